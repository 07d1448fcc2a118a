"""Requests that come as messages: what is not taken comes again, or is told to all concerned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.domain import events
from darkroom.domain.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.ports import DeadLetters, EventBus, Redelivery, Tasks

PASSING = frozenset({429, 500, 503})
"""In HTTP's words, what may go better later."""
MOST_RECEIVES = 100
"""A request that was put off so often, over about a day, is refused."""
LONGEST_PAUSE_S = 900
BACKOFF = Backoff(1, LONGEST_PAUSE_S, most=1.25)
FIELDS_TOLD = 50


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a message says of itself, as far as it could be read."""

    id: str
    """The event's id, or the message's own."""
    request_id: str
    """The id in the detail, by which the sender knows its request; without one, `id`."""
    tenant: str | None = None
    task_token: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """One receive of one message."""

    body: str
    handle: str
    receives: int
    """How often it was received, this time included."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """What becomes of a request that Submit did not take."""

    bus: EventBus
    dead: DeadLetters
    queue: Redelivery
    tasks: Tasks | None
    """None: this deployment answers no task, and may not."""
    random: Callable[[], float]

    def __call__(self, receipt: Receipt, envelope: Envelope, problem: dict[str, Any]) -> bool:
        """Put the request off, or refuse it for good: True if it was refused, and is done with.

        `problem` is what HTTP would have answered.
        """
        if problem["status"] in PASSING and receipt.receives < MOST_RECEIVES:
            self._put_off(receipt, problem.get("retry_after", 0))
            return False
        self._reject(receipt.body, envelope, problem)
        return True

    def _put_off(self, receipt: Receipt, retry_after: int) -> None:
        """Not before `retry_after` seconds, ever later, at most after 15 minutes, and never all of
        a crowd at once."""
        pause_s = BACKOFF.pause_s(receipt.receives, self.random(), at_least_s=retry_after)
        self.queue.put_off(receipt.handle, min(LONGEST_PAUSE_S, int(pause_s) + 1))

    def _reject(self, body: str, envelope: Envelope, problem: dict[str, Any]) -> None:
        """Tell the task that waits, if one does, and the bus; keep the message with the reason.

        Every part may be repeated: if one fails, all of it is done again with the message.
        """
        title, detail = str(problem["title"]), str(problem["detail"])[:2000]
        told = {
            "event_id": f"{envelope.id}:rejected",
            "request_id": envelope.request_id,
            "tenant": envelope.tenant,
            "status": problem["status"],
            "title": title,
            "detail": detail,
            "invalid_fields": problem.get("invalid_fields", [])[:FIELDS_TOLD],
        }
        if envelope.task_token and self.tasks:
            cause = json.dumps(
                {"request_id": envelope.request_id, "title": title, "detail": detail}
            )
            self.tasks.fail(envelope.task_token, "Darkroom.request_rejected", cause)
        self.bus.publish(events.REJECTED, told)
        self.dead.park(body, f"{title}: {detail}")
