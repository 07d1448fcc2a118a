"""Predictions of the emulator's that never ran: only what they did is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.predictions import Prediction

if TYPE_CHECKING:
    from emulator.models import Model


def ran(model: Model, **did: Any) -> Prediction:
    """A prediction that did this. Without a status and an end it has begun and goes on."""
    told: dict[str, Any] = {"input": {}, "started": 1, **did}
    return Prediction(
        seq=0,
        model=model,
        version="",
        webhook=None,
        events=(),
        time_scale=1,
        output_kind="picture",
        cancel_after=None,
        created=0,
        **told,
    )
