"""Masks read with Pillow, which only the asset of the function `images` carries."""

from __future__ import annotations

import io
import struct

from PIL import Image

from darkroom.domain import media
from darkroom.domain.errors import BadRequestError
from darkroom.domain.values import immutable

MOST_PIXELS = 16_000_000
FORMATS = ("PNG", "WEBP")
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, MemoryError, OverflowError)
"""What Pillow raises for a file that is none, or is cut short."""


@immutable
class PillowMasks:
    """Masks: what is fully transparent is to be edited, as OpenAI has it."""

    def repainting(self, mask: bytes, picture: bytes | None, color: str) -> bytes:
        opened = _opened(mask)
        size = media.size(picture) if picture is not None else None
        if size not in {None, opened.size}:
            raise BadRequestError("The mask is not as large as the first picture.")
        alpha = _alpha(opened)
        edited, kept = (255, 0) if color == "white" else (0, 255)
        painted = alpha.point([edited, *[kept] * 255])
        if alpha.getextrema()[0]:
            raise BadRequestError("The mask is fully transparent nowhere: it asks for no edit.")
        written = io.BytesIO()
        painted.save(written, "PNG", compress_level=1)
        return written.getvalue()


def _opened(mask: bytes) -> Image.Image:
    """The mask, not decoded yet: how large it is, its header says."""
    said = media.pixels(mask)
    if said is not None and said > MOST_PIXELS:
        raise BadRequestError(f"The mask has more than {MOST_PIXELS // 1_000_000} megapixels.")
    try:
        opened = Image.open(io.BytesIO(mask), formats=FORMATS) if said else None
    except _BROKEN:
        opened = None
    if opened is None or opened.width * opened.height != said:
        raise BadRequestError("The mask is no PNG or WebP.")
    return opened


def _alpha(opened: Image.Image) -> Image.Image:
    try:
        opened.load()
        if not opened.has_transparency_data:
            raise BadRequestError(
                "The mask has no transparency: what is to be edited must be fully transparent."
            )
        whole = opened if "A" in opened.getbands() else opened.convert("RGBA")
        return whole.getchannel("A")
    except _BROKEN:
        raise BadRequestError("The mask is cut short, or cannot be read.") from None
