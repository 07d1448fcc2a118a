"""The provider's own bill: what Replicate would charge for what really ran here.

It is made from the price in the model's catalogue entry and from what the emulator did, never from
what it showed, and shares no code with Darkroom's own reckoning: the two are there to be compared.

- By the second: the time from start to end by the emulator's clock, however the run ended. One that
  never started (`aborted`, or canceled while it was `starting`) costs nothing.
- By the image: every picture that was finished, also where the run was canceled or failed later.
- By the megapixel: the area of those pictures.
- By the prediction: one that succeeded.

Whatever still runs, and a model without a price, has cost nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emulator.predictions import Prediction

DIGITS = 9
"""Of a dollar; no price is so small that the rest matters."""


def billed(prediction: Prediction) -> float:
    """Dollars for one prediction."""
    price = prediction.model.price
    if price is None or not prediction.terminal:
        return 0.0
    usd: float = price["usd"]
    return round(_UNITS[price["unit"]](prediction) * usd, DIGITS)


def bill(predictions: Iterable[Prediction]) -> dict[str, float]:
    """Dollars by the model's name."""
    sums: defaultdict[str, float] = defaultdict(float)
    for prediction in predictions:
        sums[prediction.model.full_name] += billed(prediction)
    return {name: round(dollars, DIGITS) for name, dollars in sorted(sums.items())}


def check_price(entry: dict[str, Any]) -> None:
    """Raise ValueError for a catalogue entry whose price cannot be billed here."""
    price = entry.get("price")
    if price is not None and price.get("unit") not in _UNITS:
        known = ", ".join(_UNITS)
        raise ValueError(f"{entry['model']}: the price's unit is none of: {known}")


def _seconds(prediction: Prediction) -> float:
    if prediction.started is None or prediction.completed is None:
        return 0.0
    return prediction.completed - prediction.started


def _images(prediction: Prediction) -> float:
    return float(len(prediction.pictures))


def _megapixels(prediction: Prediction) -> float:
    return sum(width * height for width, height in prediction.pictures) / 1e6


def _successes(prediction: Prediction) -> float:
    return float(prediction.status == "succeeded")


_UNITS: dict[str, Callable[[Prediction], float]] = {
    "second": _seconds,
    "image": _images,
    "megapixel": _megapixels,
    "prediction": _successes,
}
