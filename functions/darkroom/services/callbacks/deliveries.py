"""History and redelivery of a prediction's callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.domain.callback import is_event, superseded
from darkroom.domain.errors import InvalidInputError, NotFoundError, TooManyRequestsError
from darkroom.domain.times import rfc3339
from darkroom.domain.values import immutable
from darkroom.services.callbacks.receivers import change

if TYPE_CHECKING:
    from darkroom.domain.callback import Callback
    from darkroom.domain.timings import Timings
    from darkroom.ports import Clock, DeliveryStore, Queue, RateBuckets, ReceiverStore
    from darkroom.services.predictions.read import Read
    from darkroom.services.tenants.limits import TenantLimits

LISTED = 100
"""Maximum rows in a history; of outputs and logs the latest."""
MOST_ATTEMPTS, WITHIN_MS = 5, 60_000
"""Maximum attempts of a callback within this time; further redeliveries are rejected."""
TRIES = 3
"""Attempts to write a row that others write too, before the client is asked to retry."""
ASKED_EVERY_US, ASKED_AT_ONCE = 200_000, 100
"""Rate limit of a tenant's redeliveries for all callbacks, since they go to a third party that did
not request them."""


@immutable
class Deliveries:
    """Reads and redelivers within one tenant, like `Read`."""

    read: Read
    limits: TenantLimits
    deliveries: DeliveryStore
    rates: RateBuckets
    receivers: ReceiverStore
    queue: Queue
    clock: Clock
    timings: Timings

    def history(self, tenant: str, id_: str) -> list[Callback]:
        """Return the rows of one prediction, oldest first. Raises TooManyRequestsError or
        NotFoundError."""
        self.limits.admit_read(tenant)
        record = self.read.get(tenant, id_)
        rows = {row.event: row for row in self.deliveries.of(record.id, LISTED)}
        last = self.deliveries.get(record.id, "completed")
        if last is not None:
            rows["completed"] = last
        return sorted(rows.values(), key=lambda row: (row.created_at, row.event))

    def redeliver(self, tenant: str, id_: str, event: str) -> Callback:
        """Restart the row's attempts, and enable its endpoint if it was disabled. If an attempt is
        in progress or imminent, that attempt counts as the redelivery.

        The `webhook-id` stays the same, so a client recognizes a callback that it has accepted.
        Raises NotFoundError, TooManyRequestsError, or InvalidInputError if the prediction's end has
        superseded the event.
        """
        self.limits.admit(tenant)
        self._bound(tenant)
        record = self.read.get(tenant, id_)
        row = self.deliveries.get(record.id, event) if is_event(event) else None
        if row is None or not record.webhook:
            raise NotFoundError("Not found")
        if superseded(record, event):
            raise InvalidInputError(
                "The prediction is over: only its `completed` is still delivered."
            )
        self._enable(record.tenant, record.webhook)
        for _ in range(TRIES):
            if (done := self._again(row, tenant)) is not None:
                return done
            # An attempt has just ended, or another redelivery was faster.
            row = self.deliveries.get(row.prediction, event) or row
        raise TooManyRequestsError(1)

    def _again(self, row: Callback, tenant: str) -> Callback | None:
        """Return the row to attempt; None if it has changed meanwhile."""
        now = self.clock()
        recent = [each.at for each in row.history if now - each.at < WITHIN_MS]
        if len(recent) >= MOST_ATTEMPTS:
            raise TooManyRequestsError(-(-(recent[-MOST_ATTEMPTS] + WITHIN_MS - now) // 1000))
        if row.pending and row.next_at <= now + self._claim_ms:
            return row
        again = row.asked_again(now, self.timings)
        if not self.deliveries.write(again, seen=row):
            return None
        self.queue.send({"prediction": row.prediction, "event": row.event}, group=tenant)
        return again

    @property
    def _claim_ms(self) -> int:
        return int(self.timings.callback_claim_s * 1000)

    def _bound(self, tenant: str) -> None:
        now_us = self.clock() * 1000
        wait_us = self.rates.take(f"{tenant}#redeliver", now_us, ASKED_EVERY_US, ASKED_AT_ONCE)
        if wait_us:
            raise TooManyRequestsError(-(-wait_us // 1_000_000))

    def _enable(self, tenant: str, url: str) -> None:
        seen = self.receivers.receivers(tenant)
        if change(self.receivers, tenant, seen, lambda each: each.enable(url)) is None:
            raise TooManyRequestsError(1)


def shown(row: Callback) -> dict[str, Any]:
    """Return a row as JSON."""
    return {
        "event": row.event,
        "state": row.state,
        "attempts": row.attempts,
        "created_at": rfc3339(row.created_at),
        # A first attempt has no stored time, since it is due from the event on.
        "next_at": rfc3339(row.next_at or row.created_at) if row.pending else None,
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
