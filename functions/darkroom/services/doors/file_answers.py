"""Answers with the bytes of stored files in them: one text, or an object where that is too large.

An answer comes in pieces: texts, and files that stand for their own bytes in base64.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from darkroom.domain.prediction import File
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from darkroom.domain.prediction import Prediction
    from darkroom.ports import OutputStore, Signer

    Piece = str | File


def size(pieces: Iterable[Piece]) -> int:
    """Bytes of the answer; its texts are ASCII."""
    return sum(
        -(-piece.bytes // 3) * 4 if isinstance(piece, File) else len(piece) for piece in pieces
    )


@immutable
class FileAnswers:
    """Reads files a piece at a time, and holds no more of a stored answer than is on its way."""

    outputs: OutputStore
    signer: Signer

    def text(self, pieces: Iterable[Piece]) -> str:
        """The answer, for one that is small enough to be handed on."""
        return b"".join(self._bytes(pieces)).decode("ascii")

    def kept(
        self, record: Prediction, name: str, content_type: str, pieces: Sequence[Piece]
    ) -> str:
        """A URL of the answer, which is written below the prediction's own prefix: it ends with the
        prediction's files. One of the same name is replaced: URLs in it are good for an hour."""
        key = f"{record.folder}{name}"
        self.outputs.write(key, content_type, self._bytes(pieces))
        return self.signer.output_url(key)

    def _bytes(self, pieces: Iterable[Piece]) -> Iterator[bytes]:
        for piece in pieces:
            if isinstance(piece, File):
                yield from _base64(self.outputs.get(piece.key))
            else:
                yield piece.encode("ascii")


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for chunk in chunks:
        data = left + chunk
        whole = len(data) - len(data) % 3
        left = data[whole:]
        yield base64.b64encode(data[:whole])
    yield base64.b64encode(left)
