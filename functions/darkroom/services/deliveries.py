"""What became of a prediction's callbacks, and sending one of them again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from darkroom.domain import callbacks
from darkroom.domain.errors import InvalidInput, NotFound, Unavailable
from darkroom.domain.snapshot import rfc3339

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction
    from darkroom.domain.timings import Timings
    from darkroom.ports import Clock, Controls, Delivery, DeliveryStore, Queue
    from darkroom.services.limits import TenantLimits
    from darkroom.services.read import Read

KEPT_MS = 30 * 86_400_000
"""Life of a row."""
LISTED = 100
"""Rows in a history, at most: of outputs and logs the latest."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Reads and redelivers within one tenant, as `Read` does."""

    read: Read
    limits: TenantLimits
    deliveries: DeliveryStore
    controls: Controls
    queue: Queue
    clock: Clock
    timings: Timings

    def history(self, tenant: str, id_: str) -> list[Delivery]:
        """The rows of one prediction, oldest first. Raises TooManyRequests or NotFound."""
        self.limits.admit_read(tenant)
        record = self.read.get(tenant, id_)
        rows = {row.event: row for row in self.deliveries.of(record.id, LISTED)}
        last = self.deliveries.get(record.id, "completed")
        if last is not None:
            rows["completed"] = last
        return sorted(rows.values(), key=lambda row: (row.created_at, row.event))

    def redeliver(self, tenant: str, id_: str, event: str) -> Delivery:
        """Start the row's attempts afresh, and enable its endpoint if that was disabled.

        The `webhook-id` stays: a client that has taken it knows it again. Raises TooManyRequests,
        NotFound, or InvalidInput where the prediction's end has superseded the event.
        """
        self.limits.admit(tenant)
        record = self.read.get(tenant, id_)
        row = self.deliveries.get(record.id, event) if callbacks.is_event(event) else None
        if row is None or not record.webhook:
            raise NotFound("Not found")
        if callbacks.superseded(record, event):
            raise InvalidInput("The prediction is over: only its `completed` is still delivered.")
        self._enable(record)
        now = self.clock()
        again = replace(
            row,
            state="pending",
            attempts=0,
            next_at=0,
            due_at=now + int(self.timings.callback_grace_s * 1000),
            expires_at=(now + KEPT_MS) // 1000,
        )
        if not self.deliveries.write(again, seen=row):
            raise Unavailable("An attempt of this callback has just ended; try again.")
        self.queue.send({"prediction": row.prediction, "event": event}, group=tenant)
        return again

    def _enable(self, record: Prediction) -> None:
        key = callbacks.endpoint_key(record.tenant, str(record.webhook))
        endpoint = self.controls.endpoint(key)
        if endpoint != callbacks.Endpoint():
            self.controls.put_endpoint(key, callbacks.Endpoint(), seen=endpoint)


def shown(row: Delivery) -> dict[str, Any]:
    """A row as JSON."""
    waiting = row.state == "pending"
    return {
        "event": row.event,
        "state": row.state,
        "attempts": row.attempts,
        "created_at": rfc3339(row.created_at),
        # A first attempt has no time of its own: it is due from the event on.
        "next_at": rfc3339(row.next_at or row.created_at) if waiting else None,
        "last_status": row.last_status,
        "last_error": row.last_error,
        "history": [
            {
                "at": rfc3339(attempt.at),
                "duration_ms": attempt.duration_ms,
                "status": attempt.status,
                "error": attempt.error,
            }
            for attempt in row.history
        ],
    }
