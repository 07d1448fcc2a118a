"""Keys of thumbnails, which are stored beside their originals, and the files that have some."""

from __future__ import annotations

import re

from darkroom.domain import media
from darkroom.domain.errors import NoThumbnailError

WIDTHS = (256, 512, 1024)
"""Widths in pixels. A picture that is narrower keeps its own."""
SHOWN = 512
"""The width of a file's `thumbnail`."""
TYPE = media.WEBP
KINDS = (media.PNG, media.JPEG, media.WEBP, media.GIF, media.AVIF)
"""The files that have thumbnails."""
PICTURES = frozenset(kind.type for kind in KINDS)
"""Their types."""

# Stricter than the keys that are stored: it decides which objects a URL's path may name.
_KEY = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]{0,62}/[0-9]{4}/[0-9]{2}/[0-9a-z]{26}/"
    rf"(?:0|[1-9][0-9]{{0,3}})\.(?:{'|'.join(kind.extension for kind in KINDS)}))"
    rf"\.t({'|'.join(map(str, WIDTHS))})\.{TYPE.extension}"
)


def key_of(original: str, width: int) -> str:
    """Return the key of an output's thumbnail."""
    return f"{original}.t{width}.{TYPE.extension}"


def original_of(key: str) -> tuple[str, int]:
    """Return the key of the original, and the width. Raises NoThumbnailError for any text that is
    no such key."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise NoThumbnailError("The path is not that of a thumbnail.")
    return found[1], int(found[2])
