"""Making a thumbnail of a stored picture at the first look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain import thumbnails
from darkroom.domain.errors import NotFoundError, NoThumbnailError
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.ports import OutputStore, PredictionStore, Signer, Thumbnails
    from darkroom.services.doors.thumbnails import LinkedThumbnails

MOST_BYTES = 50_000_000
"""The largest original that is read."""
KEPT_S = 1800
"""How long a browser may keep a redirect. The URL that it leads to lives for an hour, or a little
less where the function's own credentials end earlier."""


@immutable
class MakeThumbnail:
    """Makes a thumbnail of a stored picture, and stores it beside the original."""

    outputs: OutputStore
    thumbnails: Thumbnails

    def made(self, original: str, width: int) -> bytes:
        """Return the thumbnail. Raises NoThumbnailError."""
        picture = self.outputs.whole(original, MOST_BYTES)
        if picture is None:
            raise NoThumbnailError("The file is gone, or too large.")
        return self.thumbnails.made(picture, width)

    def keep(self, original: str, width: int, made: bytes) -> None:
        """Store it. If another call was faster, its object stays: it is the same picture."""
        key = thumbnails.key_of(original, width)
        self.outputs.write_once(key, thumbnails.TYPE.type, iter([made]))


@immutable
class LookAtThumbnail:
    """Finds the object that a thumbnail's URL at our own API leads to."""

    store: PredictionStore
    links: LinkedThumbnails
    make: MakeThumbnail
    signer: Signer

    def __call__(self, id_: str, number: str, width: str, token: str) -> tuple[str, int]:
        """Return the object's URL, and for how many seconds it may be kept. Makes the object if it
        does not exist. Raises NotFoundError, NoThumbnailError, or UnavailableError."""
        left_s = self.links.left_s(id_, number, width, token)
        # With a valid token, number and width are those of a file that was shown.
        original, pixels = self._original(id_, int(number)), int(width)
        key = thumbnails.key_of(original, pixels)
        if self.make.outputs.digest(key) is None:
            self.make.keep(original, pixels, self.make.made(original, pixels))
        return self.signer.output_url(key), min(left_s, KEPT_S)

    def _original(self, id_: str, number: int) -> str:
        record = self.store.get(id_)
        if record is None:
            raise NotFoundError("Not found")
        return record.files[number].key
