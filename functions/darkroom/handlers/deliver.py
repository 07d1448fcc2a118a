"""Messages of two queues: call a client's webhook, or tell a Step Functions task."""

from __future__ import annotations

from typing import Any

from darkroom.runtime import wiring
from darkroom.runtime.batches import run_messages
from darkroom.runtime.observability import count, invocation, logger
from darkroom.services.deliver import Outcome
from darkroom.services.tasks import TASK


def _one(message: dict[str, str]) -> None:
    # A queue of its own brings these: here they never wait behind a client that does not answer.
    if message["event"] == TASK:
        told = wiring.tell_task()(message["prediction"])
        count("TaskTold" if told else "TaskGone")
        logger.info("task", prediction=message["prediction"], told=told)
        return
    outcome = wiring.deliver()(message["prediction"], message["event"])
    _count(outcome)
    logger.info(
        "deliver",
        prediction=message["prediction"],
        event_name=message["event"],
        outcome=outcome.value,
    )


def _count(outcome: Outcome) -> None:
    match outcome:
        case Outcome.TAKEN:
            count("CallbackDelivered")
        case Outcome.PUT_OFF:
            count("CallbackPutOff")
        case _:
            count("CallbackNotDelivered")
    if outcome is Outcome.DISABLED:
        count("CallbackDisabled")


@invocation
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once, with a `webhook-id` that a repetition shares."""
    return run_messages(event, _one, frozenset({"prediction", "event"}))


wiring.at_init(wiring.deliver, wiring.tell_task)
