"""Finds what a picture shows before its background, and cuts it out."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter, ImageOps, ImageStat

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEEN = 256
"""Pixels of the longer side of the copy in which the subject is looked for."""
_DIFFERS = 44
"""How far a colour lies from the background's, 0 to 255, where it is none of it."""
_LEAST, _MOST = 0.02, 0.85
"""Shares of a picture that a subject may have; else an oval in the middle is taken for it."""


def subject(picture: Image.Image) -> Image.Image:
    """The mask of the subject, white, with soft edges; transparent parts are none of it."""
    seen = picture.convert("RGB")
    seen.thumbnail((_SEEN, _SEEN))
    different = ImageChops.difference(seen, _background(seen)).split()
    most = reduce(ImageChops.lighter, different)
    found = most.point(lambda value: 255 if value > _DIFFERS else 0).filter(
        ImageFilter.MedianFilter(5)
    )
    if not _LEAST <= ImageStat.Stat(found).mean[0] / 255 <= _MOST:
        found = oval(seen.size)
    mask = found.filter(ImageFilter.GaussianBlur(1)).resize(picture.size, Image.Resampling.BICUBIC)
    if "A" in picture.getbands():
        mask = ImageChops.multiply(mask, picture.getchannel("A"))
    return mask


def cut(picture: Image.Image, values: Mapping[str, Any]) -> Image.Image:
    """The subject with nothing behind it, or with what the input wants there."""
    mask = subject(picture)
    if values.get("reverse"):
        mask = ImageOps.invert(mask)
    if threshold := float(values.get("threshold", 0)):
        mask = mask.point(lambda value: 255 if value > threshold * 255 else 0)
    flat = picture.convert("RGB")
    behind = _behind(flat, str(values.get("background_type", "rgba")), mask)
    if behind is not None:
        return behind if behind.mode == "L" else Image.composite(flat, behind, mask)
    flat.putalpha(mask)
    return flat


def _behind(picture: Image.Image, kind: str, mask: Image.Image) -> Image.Image | None:
    """What lies behind the subject; a mask alone is the whole picture; None is transparency."""
    match kind:
        case "rgba":
            return None
        case "map":
            return mask
        case "blur":
            small = picture.reduce(max(1, min(picture.size) // 24))
            return small.resize(picture.size, Image.Resampling.BICUBIC)
        case "overlay":
            return Image.blend(picture, Image.new("RGB", picture.size, (0, 190, 90)), 0.6)
    try:
        return Image.new("RGB", picture.size, ImageColor.getrgb(kind)[:3])
    except ValueError:
        return None


def _background(picture: Image.Image) -> Image.Image:
    """A smooth surface between the colours of the four corners."""
    width, height = picture.size
    inset = max(1, min(width, height) // 16)
    corners = Image.new("RGB", (2, 2))
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        left, top = x * (width - inset), y * (height - inset)
        corner = picture.crop((left, top, left + inset, top + inset)).resize(
            (1, 1), Image.Resampling.BOX
        )
        corners.paste(corner, (x, y))
    return corners.resize(picture.size, Image.Resampling.BILINEAR)


def oval(size: tuple[int, int]) -> Image.Image:
    """A white oval in the middle, which stands for a subject where none is seen."""
    width, height = size
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((width * 0.2, height * 0.1, width * 0.8, height * 0.9), fill=255)
    return mask
