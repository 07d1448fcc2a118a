"""The amount that the provider bills for a prediction, by its own meter; independent of the
product."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from tests.proof.pictures import size

if TYPE_CHECKING:
    from tests.proof.upstream import Up

PRICES = {
    "black-forest-labs/flux-schnell": ("image", Fraction("0.003")),
    "stability-ai/sdxl": ("second", Fraction("0.000975")),
    "proof/upscaler": ("megapixel", Fraction("0.002")),
}
"""US dollars per unit."""


def billed(up: Up) -> Fraction | None:
    """Return the bill of a prediction that ended, in micro-dollars; None if its price is
    unknown."""
    if up.request["model"] not in PRICES:
        return None
    unit, usd = PRICES[up.request["model"]]
    made = up.pictures if up.status == "succeeded" else up.grown
    match unit:
        case "image":
            units = Fraction(made)
        case "second":
            units = Fraction(up.run_ms, 1000) if up.started_at else Fraction(0)
        case _:
            sizes = [size(f"{up.id}/{number}.png") for number in range(made)]
            units = Fraction(sum(width * height for width, height in sizes), 1_000_000)
    return units * usd * 1_000_000
