"""Once a minute: whatever is due."""

from __future__ import annotations

from typing import Any

from darkroom.runtime import wiring
from darkroom.runtime.observability import count, logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One bounded tick; ticks may overlap."""
    count("Ticks")
    tick = wiring.sweep()(context.get_remaining_time_in_millis)
    for kind, number in tick.done.items():
        count(f"Swept{kind.title()}", number)
    count("SweepLeft", tick.left)
    logger.info("swept", done=dict(tick.done), left=tick.left)
    return {"done": dict(tick.done), "left": tick.left}
