"""Separates the subject of a picture from its background."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter, ImageOps, ImageStat

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEEN = 256
"""Pixels of the longer side of the copy in which the subject is searched."""
_DIFFERS = 44
"""Distance from the background's color, 0 to 255, at which a pixel belongs to the subject."""
_LEAST, _MOST = 0.02, 0.85
"""Plausible shares of the subject in a picture; outside of them an oval in the middle is used."""


def subject(picture: Image.Image) -> Image.Image:
    """Return the mask of the subject: white with soft edges. Transparent parts do not belong to
    it."""
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
    """Return the subject on a transparent background, or on the one that the input names."""
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
    """Return the background by the input's kind. A mask alone fills the picture; None is
    transparency."""
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
    """Return a smooth gradient between the colors of the four corners."""
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
    """Return a white oval in the middle, used as the subject if none is found."""
    width, height = size
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((width * 0.2, height * 0.1, width * 0.8, height * 0.9), fill=255)
    return mask
