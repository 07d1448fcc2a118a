"""Messages of the deliver queue: call a client's webhook, or tell a Step Functions task."""

from __future__ import annotations

from typing import Any

from darkroom.runtime import wiring
from darkroom.runtime.batches import run_messages
from darkroom.runtime.observability import count, invocation, logger
from darkroom.services.tasks import TASK


def _one(message: dict[str, str]) -> None:
    if message["event"] == TASK:
        told = wiring.tell_task()(message["prediction"])
        count("TaskTold" if told else "TaskGone")
        logger.info("task", prediction=message["prediction"], told=told)
        return
    taken = wiring.deliver()(message["prediction"], message["event"])
    count("CallbackDelivered" if taken else "CallbackNotDelivered")
    logger.info(
        "deliver", prediction=message["prediction"], event_name=message["event"], taken=taken
    )


@invocation
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once, with a `webhook-id` that a repetition shares."""
    return run_messages(event, _one, frozenset({"prediction", "event"}))
