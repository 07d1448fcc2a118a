"""Size of an output picture, from whatever inputs a model has for it.

Models express it in many ways: sides in pixels, a size such as `1536x1024`, a tier such as `2K` or
`1 MP`, a shape such as `16:9`, or the size of the input picture. The form of the value tells which
one it is, so a new model needs no line here. No size has more pixels than its tier.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Size = tuple[int, int]

MEGAPIXEL = 1024 * 1024
STEP = 16
"""Sides computed from a tier and a shape are multiples of this."""
CUSTOM_STEP = 32
SIZES: dict[str, Size] = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "21:9": (1536, 640),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "3:4": (896, 1152),
    "4:3": (1152, 896),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}
"""The sizes of flux-schnell and flux-dev (replicate/cog-flux), used for every megapixel."""
_TIERS = ("resolution", "size", "megapixels", "output_megapixels")
_EXACT = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")
_SHAPE = re.compile(r"([1-9][0-9]?):([1-9][0-9]?)")
_SIDE = re.compile(r"([1-9])K")
_AREA = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?: MP)?")
_AS_GIVEN = frozenset({"match_input", "match_input_image", "auto"})


def wanted(values: Mapping[str, Any], given: Size | None, *, follows: bool = False) -> Size:
    """Return the size of a new picture.

    `given` is the size of the first input picture. With `follows`, the new picture has its shape,
    whatever the input says.
    """
    shape = values.get("aspect_ratio")
    if shape == "custom" or (shape is None and {"width", "height"} & values.keys()):
        step = 1 if shape is None else CUSTOM_STEP
        return _side(values, "width", step), _side(values, "height", step)
    numbers = ratio(shape)
    # A shape takes precedence over a `size`.
    texts = [values.get("resolution"), shape, None if numbers else values.get("size")]
    for text in texts:
        if exact := _EXACT.fullmatch(str(text)):
            return int(exact[1]), int(exact[2])
    pixels = area(values, given)
    if given and (follows or shape in _AS_GIVEN):
        return given if pixels == given[0] * given[1] else shaped(pixels, given)
    if pixels == MEGAPIXEL and shape in SIZES:
        return SIZES[shape]
    if pixels == MEGAPIXEL // 4 and shape in SIZES:
        width, height = SIZES[shape]
        return width // 2, height // 2
    return shaped(pixels, numbers or (1, 1))


def area(values: Mapping[str, Any], given: Size | None) -> int:
    """Return the pixels of the tier that the input names; by default one megapixel."""
    for name in _TIERS:
        value = str(values.get(name))
        if value in _AS_GIVEN and given:
            return given[0] * given[1]
        if side := _SIDE.fullmatch(value):
            return (int(side[1]) * 1024) ** 2
        if megapixels := _AREA.fullmatch(value):
            return round(float(megapixels[1]) * MEGAPIXEL)
        if exact := _EXACT.fullmatch(value):
            return int(exact[1]) * int(exact[2])
    return MEGAPIXEL


def has_tier(values: Mapping[str, Any]) -> bool:
    """Whether an input names megapixels; a repainted picture is then resized to them."""
    return any(name in values for name in _TIERS if name.endswith("megapixels"))


def shaped(pixels: int, shape: Size) -> Size:
    """Return sides in the shape's ratio with at most `pixels` pixels."""
    stretch = math.sqrt(shape[0] / shape[1])
    side = math.sqrt(pixels)
    # A strip of minimum width is no longer than the pixels allow.
    longest = pixels / STEP
    return _down(min(side * stretch, longest)), _down(min(side / stretch, longest))


def around(size: Size, shape: Size) -> Size:
    """Return the smallest canvas of this shape that holds a picture of this size."""
    width, height = size
    return (
        max(width, math.ceil(height * shape[0] / shape[1])),
        max(height, math.ceil(width * shape[1] / shape[0])),
    )


def ratio(text: object) -> Size | None:
    """Parse `16:9` to numbers."""
    found = _SHAPE.fullmatch(str(text))
    return (int(found[1]), int(found[2])) if found else None


def factor(values: Mapping[str, Any], names: tuple[str, ...], otherwise: float) -> float:
    """Return the factor by which each side grows: a number, or a text such as `4x`; `None` means
    1."""
    for name in names:
        if name in values:
            text = str(values[name]).removesuffix("x")
            return 1.0 if text == "None" else float(text)
    return otherwise


def _side(values: Mapping[str, Any], name: str, step: int) -> int:
    side = int(values.get(name, 1024))
    return side if step == 1 else max(step, side // step * step)


def _down(length: float) -> int:
    # The epsilon corrects the root of a square, which is not always exact.
    return max(STEP, int(length + 1e-6) // STEP * STEP)
