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
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

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

_HUGE = 1e15
_MOST = 1_000_000
"""Maximum number of pictures of one prediction; a larger number would fit into no record."""
_DEEPEST = 4


class InvalidPriceError(ValueError):
    """An entry's price, or a part of it, is invalid. The text names the entry's field."""


# --- The maximum ----------------------------------------------------------------------------------


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
        chosen = table.get(_text(self.value(amount["by"])), table.get(OTHERS))
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


def _text(value: object) -> str | None:
    """Return a value as a table's key; None if it can be in no table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.10g}" if abs(value) <= _HUGE else None
    return value if isinstance(value, str) else None


def _texts(value: object, pointer: str) -> Iterator[str]:
    """Yield the places of the non-empty strings in a value."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, f"{pointer}/{number}")
    elif isinstance(value, str) and value:
        yield pointer


# --- Validation -----------------------------------------------------------------------------------


def check(entry: Mapping[str, Any]) -> None:
    """Raise InvalidPriceError for an entry with an invalid price. Its schema must be valid."""
    properties: Mapping[str, Any] = entry["input_schema"]["properties"]
    parts = entry["price"] if isinstance(entry["price"], list) else [entry["price"]]
    for part in parts:
        _check_part(part, properties)
    units = [part["unit"] for part in parts]
    if not parts or len(set(units)) < len(units) or len(set(units) & set(BY_END)) > 1:
        _refuse("price", f"parts, each of another unit, and one at most of {', '.join(BY_END)}")
    most = entry.get("most_pixels", {})
    if not isinstance(most, dict) or not most.keys() <= {"in", "out"}:
        _refuse("most_pixels", "an object of in and out")
    if "in" in most:
        _check_amount("most_pixels", most["in"], "pixels", properties, _is_size)
    if "out" in most:
        _check_amount("most_pixels", most["out"], "pixels", properties, _is_area(properties))
    if set(units) & set(IN) and not ("in" in most and entry.get("pictures")):
        _refuse("price", "of pictures given only where `pictures` and most_pixels.in are known")
    _check_counts(entry.get("counts"), properties)


def _check_part(part: object, properties: Mapping[str, Any]) -> None:
    found = _dict(part)
    if not {"unit", "usd"} <= found.keys() <= {"unit", "usd", "most"}:
        _refuse("price", "an object of unit and usd, or a list")
    if found["unit"] not in UNITS:
        _refuse("price", f"of a unit, one of {', '.join(UNITS)}")
    if "most" in found and (found["unit"] != "megapixel" or not _is_size(found["most"])):
        _refuse("price", "without a most, but for megapixels: a number above 0")
    usd = found["usd"]
    if isinstance(usd, dict) and "tiers" in usd:
        if found["unit"] != "image" or usd.keys() != {"tiers"} or not _are_tiers(usd["tiers"]):
            _refuse("price", "in tiers only by the image: pairs of pixels and usd, both rising")
    else:
        _check_amount("price", usd, "usd", properties, _is_usd)


def _check_amount(
    field: str,
    amount: object,
    kind: str,
    properties: Mapping[str, Any],
    fits: Callable[[Any], bool],
    depth: int = 0,
) -> None:
    """Check that it is a valid number, or a table of those whose names are in the schema."""
    if not (isinstance(amount, dict) and "by" in amount):
        if not fits(amount):
            _refuse(field, f"made of numbers of {kind}, or of tables by an input's value")
        return
    table = amount.get(kind)
    name = amount["by"]
    if amount.keys() != {"by", kind} or not isinstance(table, dict) or not table:
        _refuse(field, f"made of tables that have by and {kind}")
    if not isinstance(name, str) or name not in properties or depth == _DEEPEST:
        _refuse(field, "chosen by inputs that the schema has, at most four in a row")
    enum = _dict(properties[name]).get("enum")
    known = {_text(value) for value in enum} if isinstance(enum, list) else None
    for value, inner in table.items():
        if known is not None and value not in known | {OTHERS}:
            _refuse(field, f"chosen by values that the schema has: {name} is never {value!r}")
        _check_amount(field, inner, kind, properties, fits, depth + 1)


def _check_counts(counts: object, properties: Mapping[str, Any]) -> None:
    if counts is None:
        return
    found: dict[str, Any] = {"input": counts} if isinstance(counts, str) else _dict(counts)
    where = found.get("where", {})
    fits = found.keys() <= {"input", "where"} and isinstance(where, dict)
    if not fits or not _all_in(properties, (found.get("input"), *where)):
        _refuse("counts", "an input's name, or an object of input and where, the values of others")


def _is_area(properties: Mapping[str, Any]) -> Callable[[Any], bool]:
    def fits(leaf: Any) -> bool:
        if not isinstance(leaf, dict):
            return _is_size(leaf)
        of = leaf.get("of")
        known = {"of"} <= leaf.keys() <= {"of", "step"} and _is_size(leaf.get("step", 1))
        if not known or not isinstance(of, list) or len(of) != 2 or not _all_in(properties, of):
            return False
        return all(_is_size(properties[name].get("maximum")) for name in of)

    return fits


def _are_tiers(tiers: object) -> bool:
    pairs = tiers if isinstance(tiers, list) else []
    if not pairs or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return False
    sizes, prices = zip(*pairs, strict=True)
    numbers = all(_is_size(size) and isinstance(size, int) for size in sizes)
    if not numbers or not all(map(_is_usd, prices)):
        return False
    return all(map(_rises, pairs, pairs[1:]))


def _rises(one: list[float], other: list[float]) -> bool:
    return one[0] < other[0] and one[1] <= other[1]


def _all_in(properties: Mapping[str, Any], names: Iterable[object]) -> bool:
    return all(isinstance(name, str) and isinstance(properties.get(name), dict) for name in names)


def _is_usd(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= _HUGE


def _is_size(value: object) -> bool:
    return _is_usd(value) and value != 0


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _refuse(field: str, expected: str) -> NoReturn:
    raise InvalidPriceError(f"field {field!r} must be {expected}")
