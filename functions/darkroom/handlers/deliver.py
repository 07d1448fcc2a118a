"""Messages of two queues: call a client's webhook, or notify a Step Functions task."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.domain import row_keys
from darkroom.runtime import parts, rights
from darkroom.runtime.batches import run_messages
from darkroom.runtime.function import Function, Right, WorkQueue
from darkroom.runtime.observability import count, logger
from darkroom.runtime.settings import ShowingHttp
from darkroom.services.callbacks.deliver import DeliverCallback, Outcome
from darkroom.services.callbacks.secrets import CallbackSecrets
from darkroom.services.predictions.tasks import TASK, TellTask

if TYPE_CHECKING:
    from darkroom.runtime.adapters import Adapters


class DeliverSettings(ShowingHttp):
    deliveries_table: str
    deliver_queue: str
    event_bus: str
    callback_key_secret: str
    slow_callbacks: int = 1
    """Maximum concurrent attempts at a tenant's slow or failing endpoints."""
    local_callbacks: bool = False


class Delivers(NamedTuple):
    deliver: DeliverCallback
    tell_task: TellTask


def build(s: DeliverSettings, a: Adapters) -> Delivers:
    controls, store = a.controls(s.controls_table), parts.changes(s, a).store
    shown = parts.shown(s, a)
    secrets = a.secrets(callback_name=s.callback_key_secret)
    deliver = DeliverCallback(
        deliveries=a.deliveries(s.deliveries_table),
        store=store,
        controls=controls,
        sender=a.sender(local=s.local_callbacks),
        secrets=CallbackSecrets(secrets, controls, a.clock()),
        shown=shown,
        queue=a.queue(s.deliver_queue),
        bus=a.bus(s.event_bus, lazy=True),
        random=a.dice(),
        clock=a.clock(),
        timings=s.timings,
        share=s.slow_callbacks,
    )
    return Delivers(deliver, TellTask(store, a.tasks(), shown))


def _one(made: Delivers, message: dict[str, str]) -> None:
    # These have a separate queue, so they never wait behind a slow client.
    if message["event"] == TASK:
        told = made.tell_task(message["prediction"])
        count("TaskTold" if told else "TaskGone")
        logger.info("task", prediction=message["prediction"], told=told)
        return
    outcome = made.deliver(message["prediction"], message["event"])
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


def handle(made: Delivers, event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once, with the same `webhook-id` for repetitions."""
    return run_messages(event, partial(_one, made), frozenset({"prediction", "event"}))


FUNCTION = Function(
    __name__,
    settings=DeliverSettings,
    build=build,
    handle=handle,
    queues=(
        # One at a time, so that a slow endpoint does not delay others.
        WorkQueue("Deliver", batch_size=1),
        # Step Functions' tasks and their heartbeats never wait behind a client's endpoint.
        WorkQueue("Tasks", batch_size=5),
    ),
    timeout_s=60,
    rights=(
        Right("dynamodb:GetItem PutItem", "deliveries"),
        Right("dynamodb:GetItem", "predictions", "controls"),
        Right("dynamodb:PutItem", "controls", keys=(row_keys.every(row_keys.RECEIVERS),)),
        Right("sqs:SendMessage", "deliver_queue"),
        *rights.SHOW,
        Right(rights.READ_SECRET, "callback_key"),
        Right("events:PutEvents", "bus"),
        Right(
            "states:SendTaskSuccess SendTaskFailure SendTaskHeartbeat",
            "state_machines",
            when="state_machines",
        ),
    ),
)
handler = FUNCTION.handler()
