"""A model's price by its input: the form in a catalogue entry, and the maximum cost.

A price is a part or a list of parts, which are added up.

    {"unit": "image", "usd": 0.04}
    {"unit": "image", "usd": {"by": "quality", "usd": {"low": 0.012, "high": 0.128}}}
    {"unit": "image", "usd": {"tiers": [[24000000, 0.08], [48000000, 0.16]]}}
    [{"unit": "prediction", "usd": 0.015}, {"unit": "whole_megapixel", "usd": 0.015}]

A table is indexed by an input's value, or by its default; `*` is every other value, and tables may
be nested. A value that is in no table costs the maximum of the table. A tier is a number of pixels
and the price of one picture up to that size.

The entry's `most_pixels` has the maximum size of pictures: `in` for each input picture, `out` for
each output picture. Both are a number or a table; `out` may also be `{"of": ["width", "height"],
"step": 16}`, the product of two inputs, each rounded up to a multiple.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from darkroom.domain.model import Model

MICRO = 1_000_000
"""Millionths of a US dollar."""
MEGAPIXEL = 1_000_000
WHOLE_MEGAPIXEL = 1024 * 1024
"""A provider that bills whole megapixels counts a picture of 1024 by 1024 as one."""

BY_END = ("image", "second", "megapixel", "whole_megapixel")
"""Units that are known at the end of a run; a price has at most one of them."""
BY_INPUT = ("prediction", "megapixel_in", "whole_megapixel_in")
"""Units that are known from the input; they are billed once if the run succeeded."""
UNITS = (*BY_END, *BY_INPUT)
OUT = {"megapixel": MEGAPIXEL, "whole_megapixel": WHOLE_MEGAPIXEL}
IN = {"megapixel_in": MEGAPIXEL, "whole_megapixel_in": WHOLE_MEGAPIXEL}

COUNTS = ("num_outputs", "num_images", "number_of_images")
"""Inputs that set the number of pictures, if the entry names none."""
SLACK_S = 10
"""The provider stops a run at its deadline, but not exactly."""
LARGEST_PICTURE = 16
"""Maximum megapixels of one output, if the catalogue does not say."""
OTHERS = "*"

HUGE = 1e15
_MOST = 1_000_000
"""Pictures of one prediction: a larger number would fit into no record."""


def terms(
    model: Model, given: Mapping[str, Any], limit_s: float, pixels: Mapping[str, int]
) -> tuple[str, int, int, int, tuple[int, ...]]:
    """Return the terms of a prediction with this input: the unit, millionths per unit, the maximum,
    the amount that is added once, and the tiers as alternating pixels and millionths.

    The maximum is an upper bound of the provider's bill, and exact unless a file or the time
    decides. `pixels` has the sizes of input pictures, if known, by JSON pointer.
    """
    known = _Input(model, given, pixels)
    parts = parts_of(model.price)
    by_end = next((part for part in parts if part["unit"] in BY_END), None)
    base = sum(_once(part, known) for part in parts if part["unit"] in BY_INPUT)
    if by_end is None:
        return "prediction", base, base, 0, ()
    unit, usd = by_end["unit"], by_end["usd"]
    tiers: tuple[int, ...] = ()
    if isinstance(usd, dict) and "tiers" in usd:
        steps = [(int(pixels), _micro(each)) for pixels, each in usd["tiers"]]
        tiers = tuple(number for step in steps for number in step)
        micro = tier(tiers, known.pixels_out(steps[-1][0]))
    else:
        micro = _micro(known.most(usd, "usd", _number))
    if unit == "second":
        units: float = math.ceil(limit_s) + SLACK_S
    elif unit == "image":
        units = known.count()
    else:
        largest = by_end.get("most", LARGEST_PICTURE) * MEGAPIXEL
        units = known.count() * megapixels(unit, known.pixels_out(largest))
    return unit, micro, math.ceil(units * micro) + base, base, tiers


def parts_of(price: Any) -> list[dict[str, Any]]:
    """Return the parts of a checked price."""
    return price if isinstance(price, list) else [price]


def megapixels(unit: str, pixels: float) -> float:
    """Return the billed megapixels of one picture; for a unit of a later release, in millions of
    pixels."""
    size = (OUT | IN).get(unit, MEGAPIXEL)
    return math.ceil(pixels / size) if size == WHOLE_MEGAPIXEL else pixels / size


def tier(tiers: tuple[int, ...], pixels: float | None) -> int:
    """Return the price of a picture by its pixels; the highest tier if unknown or larger."""
    for limit, micro in zip(tiers[::2], tiers[1::2], strict=False):
        if pixels is not None and pixels <= limit:
            return micro
    return tiers[-1]


def picture_usd(price: Any) -> float | None:
    """Return the price of one picture if it is the same for every input, otherwise None."""
    flat = isinstance(price, dict) and price["unit"] == "image"
    return float(price["usd"]) if flat and not isinstance(price["usd"], dict) else None


def _once(part: Mapping[str, Any], known: _Input) -> int:
    micro = _micro(known.most(part["usd"], "usd", _number))
    if part["unit"] == "prediction":
        return micro
    units = sum(megapixels(part["unit"], pixels) for pixels in known.pixels_in())
    return math.ceil(units * micro)


def _micro(usd: float) -> int:
    return round(usd * MICRO)


def _number(leaf: Any) -> float:
    return float(leaf)


class _Input:
    """The values of an input that affect its price."""

    __slots__ = ("_given", "_model", "_pixels", "_properties")

    def __init__(self, model: Model, given: Mapping[str, Any], pixels: Mapping[str, int]) -> None:
        self._model = model
        self._given = given
        self._pixels = pixels
        self._properties: Mapping[str, Any] = model.input_schema["properties"]

    def value(self, name: str) -> Any:
        """Return the given value, or the default; null counts as not given."""
        given = self._given.get(name)
        return _dict(self._properties.get(name)).get("default") if given is None else given

    def most(self, amount: Any, kind: str, read: Callable[[Any], float]) -> float:
        """Return the amount for this input."""
        if not (isinstance(amount, dict) and "by" in amount):
            return read(amount)
        table: dict[str | None, Any] = amount[kind]
        chosen = table.get(as_text(self.value(amount["by"])), table.get(OTHERS))
        amounts = table.values() if chosen is None else (chosen,)
        return max(self.most(each, kind, read) for each in amounts)

    def count(self) -> int:
        """Return the number of requested pictures."""
        counts = self._model.counts
        if isinstance(counts, dict):
            where: dict[str, Any] = counts.get("where", {})
            if any(self.value(name) != wanted for name, wanted in where.items()):
                return 1
            name: str | None = counts["input"]
        else:
            name = counts or next((each for each in COUNTS if each in self._properties), None)
        asked = self.value(name) if name else 1
        return max(1, math.ceil(min(asked, _MOST))) if isinstance(asked, int | float) else 1

    def pixels_in(self) -> Iterator[float]:
        """Yield the maximum size of each input picture."""
        largest = self.most(self._model.most_pixels["in"], "pixels", _number)
        for name in self._model.pictures:
            for pointer in _texts(self.value(name), f"/{name}"):
                yield min(largest, self._pixels.get(pointer, largest))

    def pixels_out(self, largest: float) -> float:
        """Return the maximum size of each output picture."""
        return self.most(self._model.most_pixels.get("out", largest), "pixels", self._area)

    def _area(self, leaf: Any) -> float:
        if not isinstance(leaf, dict):
            return _number(leaf)
        step: float = leaf.get("step", 1)
        one, other = (math.ceil(self._side(name) / step) * step for name in leaf["of"])
        return one * other

    def _side(self, name: str) -> float:
        side = self.value(name)
        known = isinstance(side, int | float)
        return float(side) if known else float(self._properties[name]["maximum"])


def as_text(value: object) -> str | None:
    """A value as a table names it; None: as none does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.10g}" if abs(value) <= HUGE else None
    return value if isinstance(value, str) else None


def _texts(value: object, pointer: str) -> Iterator[str]:
    """Yield the places of the non-empty strings in a value."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, f"{pointer}/{number}")
    elif isinstance(value, str) and value:
        yield pointer


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
