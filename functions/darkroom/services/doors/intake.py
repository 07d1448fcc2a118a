"""Prediction requests from the intake queue.

A request that fails temporarily is retried. One that fails permanently is reported to the waiting
task and the bus, then moved to the dead-letter queue.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from darkroom.domain import events
from darkroom.domain.backoff import Backoff
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.ports import DeadLetters, EventBus, Redelivery, Tasks

PASSING = frozenset({429, 500, 503})
"""HTTP statuses of temporary failures."""
MOST_RECEIVES = 100
"""Maximum receives of a request, over about a day, before it is rejected."""
LONGEST_PAUSE_S = 900
BACKOFF = Backoff(1, LONGEST_PAUSE_S, most=1.25)
FIELDS_TOLD = 50


@immutable
class Envelope:
    """The identification in a message, as far as it is readable."""

    id: str
    """The event's id, or the message's own."""
    request_id: str
    """The id in the detail, which the sender knows; without one, `id`."""
    tenant: str | None = None
    task_token: str | None = None


@immutable
class ReceivedRequest:
    """One receive of one message."""

    body: str
    handle: str
    receives: int
    """Number of receives, including this one."""


@immutable
class RetryOrReject:
    """Handles a request that Submit rejected."""

    bus: EventBus
    dead: DeadLetters
    queue: Redelivery
    tasks: Tasks | None
    """None if this deployment may answer no task."""
    random: Callable[[], float]

    def __call__(
        self, receipt: ReceivedRequest, envelope: Envelope, problem: dict[str, Any]
    ) -> bool:
        """Delay the request, or reject it permanently. Returns True if it was rejected.

        `problem` is the answer that HTTP would give.
        """
        if problem["status"] in PASSING and receipt.receives < MOST_RECEIVES:
            self._put_off(receipt, problem.get("retry_after", 0))
            return False
        self._reject(receipt.body, envelope, problem)
        return True

    def _put_off(self, receipt: ReceivedRequest, retry_after: int) -> None:
        """Delay by `retry_after` seconds or more, longer each time, at most 15 minutes, with jitter
        so that a crowd does not return at once."""
        pause_s = BACKOFF.pause_s(receipt.receives, self.random(), at_least_s=retry_after)
        self.queue.change_visibility(receipt.handle, min(LONGEST_PAUSE_S, int(pause_s) + 1))

    def _reject(self, body: str, envelope: Envelope, problem: dict[str, Any]) -> None:
        """Notify the waiting task, if any, and the bus; then keep the message with the reason.

        Every part may be repeated: if one fails, all are repeated with the message.
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
