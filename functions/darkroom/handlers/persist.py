"""Messages of the persist queue: copy a prediction's outputs into our bucket."""

from __future__ import annotations

from typing import Any

from darkroom.runtime import wiring
from darkroom.runtime.batches import run_messages
from darkroom.runtime.observability import count, logger, metrics


def _one(message: dict[str, str]) -> None:
    record = wiring.persist()(message["id"])
    if record is not None:
        count("Stored", int(record.state.value == "succeeded"))
        logger.info("persist", prediction=record.id, state=record.state.value)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """At least once; what is stored already is not stored again."""
    return run_messages(event, context, _one, frozenset({"id"}))
