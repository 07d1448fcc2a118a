"""Messages of the intake queue: `Prediction Requested`, with the tenant that the rule wrote."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.http import problem
from darkroom.api.messages import read_message
from darkroom.api.requests import ReadCreate
from darkroom.runtime import parts, rights
from darkroom.runtime.batches import run_each
from darkroom.runtime.function import MOST_FAILURES, Function, Right, WorkQueue
from darkroom.runtime.observability import count, logger
from darkroom.runtime.settings import Submitting
from darkroom.services.doors.intake import MOST_RECEIVES, ReceivedRequest, RetryOrReject

if TYPE_CHECKING:
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.predictions.submit import Submit


class RetryMessageError(Exception):
    """The message is delayed, so the queue must not delete it."""


class IntakeSettings(Submitting):
    event_bus: str
    intake_queue: str
    intake_dlq: str
    tasks: bool = False
    """Whether the tasks of some state machine may be answered."""


class IntakeServices(NamedTuple):
    read_create: ReadCreate
    submit: Submit
    retry_or_reject: RetryOrReject


def build(s: IntakeSettings, a: Adapters) -> IntakeServices:
    return IntakeServices(
        read_create=ReadCreate(local_callbacks=s.local_callbacks, tasks=s.tasks),
        submit=parts.submit(s, a),
        retry_or_reject=RetryOrReject(
            bus=a.bus(s.event_bus),
            dead=a.dead_letters(s.intake_dlq),
            queue=a.redelivery(s.intake_queue),
            # Without such a state machine, a request that names a task is rejected.
            tasks=a.tasks() if s.tasks else None,
            random=a.dice(),
        ),
    )


def _one(made: IntakeServices, record: dict[str, Any]) -> None:
    try:
        done = _take(made, record)
    except Exception:
        logger.exception("message failed", message_id=record["messageId"])
        count("MessageFailed")
        raise
    if not done:
        raise RetryMessageError


def _take(made: IntakeServices, record: dict[str, Any]) -> bool:
    message = read_message(record["body"], record["messageId"])
    request = message.envelope.id
    try:
        detail, tenant = message.requested()
        accepted = made.submit(made.read_create.event(detail, tenant, message.envelope))
    except Exception as error:  # noqa: BLE001 - as over HTTP, whatever it is has an answer
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        receipt = ReceivedRequest(record["body"], record["receiptHandle"], receives)
        answer = json.loads(problem(error)["body"])
        refused = made.retry_or_reject(receipt, message.envelope, answer)
        count("RequestRejected" if refused else "RequestPutOff")
        unforeseen = answer["status"] == 500
        logger.info("not taken", request=request, reason=type(error).__name__, exc_info=unforeseen)
        return refused
    count("RequestReplayed" if accepted.replayed else "RequestAccepted")
    logger.info("accepted", request=request, prediction=accepted.record.id)
    return True


def handle(made: IntakeServices, event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once; an event's id makes one prediction. Delayed messages return by themselves."""
    return run_each(event["Records"], partial(_one, made), lambda record: record["messageId"])


FUNCTION = Function(
    __name__,
    settings=IntakeSettings,
    build=build,
    handle=handle,
    # Delaying a request is not a failure; the function itself gives up, a little earlier.
    queues=(WorkQueue("Intake", batch_size=5, max_receives=MOST_RECEIVES + MOST_FAILURES),),
    timeout_s=60,
    rights=(
        *rights.SUBMIT,
        rights.KEEP_SCHEMA,
        Right("sqs:ChangeMessageVisibility", "intake_queue"),
        Right("sqs:SendMessage", "intake_dlq"),
        Right("events:PutEvents", "bus"),
        Right("states:SendTaskFailure", "state_machines", when="state_machines"),
    ),
)
handler = FUNCTION.handler()
