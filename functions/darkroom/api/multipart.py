"""Parser of multipart/form-data (RFC 7578)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from darkroom.api.media_types import media_type, parameters
from darkroom.domain.errors import BadRequestError, UnsupportedMediaError

MOST_PARTS = 20
MOST_HEAD = 4096
"""Maximum bytes of a part's head; a file name of 255 bytes, encoded twice, takes less than
2,000."""
LONGEST_BOUNDARY = 200

_FOLD = re.compile(r"\r\n[ \t]++")
_CHARSETS = frozenset({"utf-8", "iso-8859-1"})
"""Charsets of RFC 5987."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its field's name, its file name and media type, if any, and its bytes."""

    field: str
    filename: str | None
    content_type: str | None
    data: bytes


@dataclass(frozen=True, slots=True)
class FileForm:
    """A file as a client sends it. Separate form fields override the file part's own attributes."""

    filename: str | None
    content_type: str | None
    metadata: bytes | None
    """As received; it should be a JSON object."""
    data: bytes


def read_form(content_type: str | None, body: bytes) -> FileForm:
    """Return the form with the file in the field `content`. Raises UnsupportedMediaError or
    BadRequestError."""
    found = read_parts(content_type, body)
    if found is None:
        raise UnsupportedMediaError("Send the file as multipart/form-data, in the field `content`.")
    first: dict[str, Part] = {}
    for part in found:
        first.setdefault(part.field, part)
    if (file := first.get("content")) is None:
        raise BadRequestError("The form has no file in the field `content`.")
    return FileForm(
        filename=_text(first.get("filename")) or file.filename,
        content_type=media_type(_text(first.get("type"))) or file.content_type,
        metadata=first["metadata"].data if "metadata" in first else None,
        data=file.data,
    )


def read_parts(content_type: str | None, body: bytes, most: int = MOST_PARTS) -> list[Part] | None:
    """The parts of a form in their order; None where the header names no form. Raises
    BadRequestError for what is none, or has more than `most` parts."""
    # A boundary is ASCII; in a lone surrogate there is none.
    text = content_type if content_type and content_type.isascii() else ""
    boundary = parameters(text).get("boundary", "")
    if media_type(text) != "multipart/form-data" or not 0 < len(boundary) <= LONGEST_BOUNDARY:
        return None
    return _parts(body, boundary, most)


def _text(part: Part | None) -> str | None:
    return part.data[:MOST_HEAD].decode("utf-8", "replace") if part is not None else None


def _parts(body: bytes, boundary: str, most: int) -> list[Part]:
    delimiter = b"\r\n--" + boundary.encode("ascii")
    pieces = (b"\r\n" + body).split(delimiter, most)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise BadRequestError("The form is cut short, or has too many parts.")
    return [part for piece in pieces[1:-1] if (part := _part(piece)) is not None]


def _part(piece: bytes) -> Part | None:
    end = piece.find(b"\r\n\r\n", 0, MOST_HEAD)
    if end < 0:
        if len(piece) > MOST_HEAD:
            raise BadRequestError(f"The head of a part is above {MOST_HEAD} bytes.")
        return None
    head = _head(piece[:end].decode("utf-8", "replace"))
    given = parameters(head.get("content-disposition"))
    field = given.get("name")
    kind = media_type(head.get("content-type"))
    return None if field is None else Part(field, _filename(given), kind, piece[end + 4 :])


def _head(text: str) -> dict[str, str]:
    """Return a part's headers by lower-case names; the first of a name counts."""
    found: dict[str, str] = {}
    for line in _FOLD.sub(" ", text).split("\r\n"):
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), value)
    return found


def _filename(given: dict[str, str]) -> str | None:
    """Return the file's name, preferably its encoded form `filename*`, if that can be read."""
    charset, _, rest = given.get("filename*", "").partition("'")
    encoded = rest.partition("'")[2] if charset.lower() in _CHARSETS else ""
    return unquote(encoded, charset, "replace") if encoded else given.get("filename")
