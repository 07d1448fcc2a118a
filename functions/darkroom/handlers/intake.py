"""Messages of the intake queue: `Prediction Requested`, with the tenant that the rule wrote."""

from __future__ import annotations

import json
from typing import Any

from darkroom.api.http import problem
from darkroom.api.messages import read_message
from darkroom.runtime import wiring
from darkroom.runtime.batches import run_each
from darkroom.runtime.observability import count, invocation, logger
from darkroom.services.intake import Receipt


class RetryMessageError(Exception):
    """The message is put off: the queue must not take it for done."""


def _one(record: dict[str, Any]) -> None:
    try:
        done = _take(record)
    except Exception:
        logger.exception("message failed", message_id=record["messageId"])
        count("MessageFailed")
        raise
    if not done:
        raise RetryMessageError


def _take(record: dict[str, Any]) -> bool:
    read_create, submit, not_taken = wiring.intake()
    message = read_message(record["body"], record["messageId"])
    request = message.envelope.id
    try:
        detail, tenant = message.requested()
        accepted = submit(read_create.event(detail, tenant, message.envelope))
    except Exception as error:  # noqa: BLE001 - as over HTTP, whatever it is has an answer
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        receipt = Receipt(record["body"], record["receiptHandle"], receives)
        answer = json.loads(problem(error)["body"])
        refused = not_taken(receipt, message.envelope, answer)
        count("RequestRejected" if refused else "RequestPutOff")
        unforeseen = answer["status"] == 500
        logger.info("not taken", request=request, reason=type(error).__name__, exc_info=unforeseen)
        return refused
    count("RequestReplayed" if accepted.replayed else "RequestAccepted")
    logger.info("accepted", request=request, prediction=accepted.record.id)
    return True


@invocation
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once; an event's id makes one prediction. What is put off comes again by itself."""
    return run_each(event["Records"], _one, lambda record: record["messageId"])


wiring.at_init(wiring.intake)
