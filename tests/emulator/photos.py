"""Pictures that tell what became of them."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageDraw, ImageStat


def photo(width: int, height: int) -> Image.Image:
    """A picture in which every pixel tells where it is."""
    ramp = Image.linear_gradient("L")
    across, down = ramp.rotate(90).resize((width, height)), ramp.resize((width, height))
    return Image.merge("RGB", (across, down, ImageChops.invert(across)))


def half_mask(width: int, height: int) -> Image.Image:
    """White on the left half: that is to be repainted."""
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).rectangle((0, 0, width // 2 - 1, height), fill=255)
    return mask


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean distance of two pictures, 0 to 255."""
    delta = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return sum(ImageStat.Stat(delta).mean) / 3
