"""Messages from SQS, one at a time, with partial failures reported to the queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from darkroom.runtime.observability import count, logger

if TYPE_CHECKING:
    from collections.abc import Callable


class BadMessage(Exception):
    """Not a message that Darkroom sends. The queue parks it in its dead-letter queue."""


def run_messages(
    event: dict[str, Any],
    context: Any,
    one: Callable[[dict[str, str]], None],
    required: frozenset[str],
) -> Any:
    """Run `one` for each message and answer SQS with those that failed."""

    def record_handler(record: Any) -> None:
        try:
            one(read_message(record.body, required))
        except Exception:
            logger.exception("message failed", message_id=record.message_id)
            count("MessageFailed")
            raise
        count("MessageDone")

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, record_handler, processor, context)


def read_message(body: str, required: frozenset[str]) -> dict[str, str]:
    """A JSON object of strings with the required names. Raises BadMessage."""
    try:
        message = json.loads(body)
    except ValueError:
        raise BadMessage("not JSON") from None
    plain = isinstance(message, dict) and all(isinstance(v, str) for v in message.values())
    if not plain or not required <= message.keys():
        raise BadMessage("not an object with the names of a message")
    return dict(message)
