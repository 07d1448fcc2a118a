"""The emulator's predictions that never ran, with given results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.predictions import Prediction

if TYPE_CHECKING:
    from emulator.models import Model


def ran(model: Model, **did: Any) -> Prediction:
    """Return a prediction with these results. Without a status and an end it is running."""
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
