"""Messages of the deliver queue: call a client's webhook."""

from __future__ import annotations

from typing import Any

from darkroom.runtime import wiring
from darkroom.runtime.batches import run_messages
from darkroom.runtime.observability import count, logger, metrics


def _one(message: dict[str, str]) -> None:
    taken = wiring.deliver()(message["prediction"], message["event"])
    count("CallbackDelivered" if taken else "CallbackNotDelivered")
    logger.info("deliver", prediction=message["prediction"], taken=taken)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """At least once, with a `webhook-id` that a repetition shares."""
    return run_messages(event, context, _one, frozenset({"prediction", "event"}))
