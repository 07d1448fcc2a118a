"""Pictures in which transformations are visible."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageDraw, ImageStat


def photo(width: int, height: int) -> Image.Image:
    """Return a picture in which every pixel shows its position."""
    ramp = Image.linear_gradient("L")
    across, down = ramp.rotate(90).resize((width, height)), ramp.resize((width, height))
    return Image.merge("RGB", (across, down, ImageChops.invert(across)))


def half_mask(width: int, height: int) -> Image.Image:
    """Return a mask that is white on the left half, which is to be repainted."""
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).rectangle((0, 0, width // 2 - 1, height), fill=255)
    return mask


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean distance of two pictures, 0 to 255."""
    delta = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return sum(ImageStat.Stat(delta).mean) / 3
