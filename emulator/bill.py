"""The provider's bill: what Replicate would charge for the predictions that ran here.

It is computed from the price in the model's catalogue entry and from what the emulator did, never
from what it showed. It shares no code with Darkroom's own calculation, since the two are compared.

- Per second: the time from start to end by the emulator's clock, however the run ended. One that
  never started (`aborted`, or canceled while it was `starting`) costs nothing.
- Per image: every finished picture, even if the run was canceled or failed later. With tiers, by
  the area of each picture.
- Per megapixel: the area of those pictures. Per whole megapixel of 1024 by 1024: each picture is
  rounded up.
- Per prediction: each that succeeded.
- Per megapixel of the input pictures: each picture of a prediction that succeeded.

A price of several parts is their sum. An amount that depends on an input is looked up by the value
that the model used, including its default.

A prediction that still runs costs nothing, nor does a model without a price.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emulator.predictions import Prediction

DIGITS = 9
"""Decimal places of a dollar; smaller fractions do not matter for any price."""


def billed(prediction: Prediction) -> float:
    """Return the dollars for one prediction."""
    price = prediction.model.price
    if price is None or not prediction.terminal:
        return 0.0
    parts = price if isinstance(price, list) else [price]
    return round(sum(_part(part, prediction) for part in parts), DIGITS)


def bill(predictions: Iterable[Prediction]) -> dict[str, float]:
    """Return dollars by model name."""
    sums: defaultdict[str, float] = defaultdict(float)
    for prediction in predictions:
        sums[prediction.model.full_name] += billed(prediction)
    return {name: round(dollars, DIGITS) for name, dollars in sorted(sums.items())}


def check_price(entry: dict[str, Any]) -> None:
    """Raise ValueError for a catalogue entry with a price that cannot be billed here."""
    price = entry.get("price") or []
    for part in price if isinstance(price, list) else [price]:
        if part.get("unit") not in _UNITS:
            known = ", ".join(_UNITS)
            raise ValueError(f"{entry['model']}: the price's unit is none of: {known}")


def _part(part: dict[str, Any], prediction: Prediction) -> float:
    usd = part["usd"]
    if isinstance(usd, dict) and "tiers" in usd:
        return sum(_tier(usd["tiers"], w * h) for w, h in prediction.pictures)
    return _UNITS[part["unit"]](prediction) * _rate(usd, prediction)


def _tier(tiers: list[list[float]], area: int) -> float:
    """Return the price of the first tier that fits; a larger picture has the price of the last
    tier."""
    fitting = [usd for limit, usd in tiers if area <= limit]
    return fitting[0] if fitting else tiers[-1][1]


def named(value: object) -> str:
    """Return an input's value as a key of the tables in a catalogue entry."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rate(usd: Any, prediction: Prediction) -> float:
    """Look up the amount in nested tables."""
    seen = prediction.model.seen(prediction.input)
    while isinstance(usd, dict):
        key, table = named(seen.get(usd["by"])), usd["usd"]
        usd = table[key] if key in table else table["*"]
    return float(usd)


def _seconds(prediction: Prediction) -> float:
    if prediction.started is None or prediction.completed is None:
        return 0.0
    return prediction.completed - prediction.started


def _images(prediction: Prediction) -> float:
    return float(len(prediction.pictures))


def _megapixels(prediction: Prediction) -> float:
    return sum(width * height for width, height in prediction.pictures) / 1e6


def _whole(prediction: Prediction) -> float:
    return float(sum(-(-width * height // 1024**2) for width, height in prediction.pictures))


def _successes(prediction: Prediction) -> float:
    return float(prediction.status == "succeeded")


def _megapixels_in(prediction: Prediction) -> float:
    given = sum(width * height for width, height in prediction.given) / 1e6
    return given * _successes(prediction)


def _whole_in(prediction: Prediction) -> float:
    given = sum(-(-width * height // 1024**2) for width, height in prediction.given)
    return given * _successes(prediction)


_UNITS: dict[str, Callable[[Prediction], float]] = {
    "second": _seconds,
    "image": _images,
    "megapixel": _megapixels,
    "whole_megapixel": _whole,
    "prediction": _successes,
    "megapixel_in": _megapixels_in,
    "whole_megapixel_in": _whole_in,
}
