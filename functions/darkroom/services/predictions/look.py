"""A poll of the provider for a client that polls: fresh logs and progress without a webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.errors import ConflictError, ProviderUnavailableError
from darkroom.domain.lifecycle import ProviderReported
from darkroom.domain.prediction import Prediction, State
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.ports import Clock, PredictionStore, Provider, Queue, RateBuckets
    from darkroom.services.predictions.changes import Changes

LOOK_MS = 5_000
"""Target for the age of a running prediction's data while a client polls it."""
LATE_MS = 10_000
"""Delay of a message after which its client has its answer, or has gone away."""
LOOKS = "*looks"
"""The rate bucket of all polls; no tenant can have this name."""
LOOK_INTERVAL_US = 240_000
LOOKS_AT_ONCE = 50
"""At most 300 polls per minute in total, a tenth of the provider's limit: a burst of 50, and 250
more over the minute."""
FOR_ALL = LOOKS_AT_ONCE // 2
"""The level below which the bucket serves only tenants' shares, so that a tenant that polls
thousands leaves the others theirs."""
SHARE_INTERVAL_US = 5_000_000
SHARE_AT_ONCE = 3
"""A tenant's share: 12 polls a minute, enough for one prediction."""

_RUNNING = frozenset({State.SUBMITTED, State.PROCESSING})


@immutable
class AskForLook:
    """Requests a poll of a prediction from dispatch if its data is out of date."""

    store: PredictionStore
    queue: Queue
    clock: Clock

    def __call__(self, record: Prediction) -> bool:
        """Request a poll, unless the prediction has ended, or was written or requested within
        `LOOK_MS`. Returns True if requested.

        One write and one message serve all clients that poll it. The write is conditional on the
        record as read, since a change meanwhile is fresh enough.
        """
        now = self.clock()
        if not _shows_more(record) or now < max(record.watched_until, record.updated_at + LOOK_MS):
            return False
        if not self.store.watch(record, now + LOOK_MS):
            return False
        self.queue.send({"action": "look", "id": record.id}, group=record.tenant)
        return True


@immutable
class Look:
    """Polls one prediction from the provider and applies the snapshot."""

    changes: Changes
    provider: Provider
    controls: RateBuckets

    def __call__(self, id_: str) -> bool:
        """Poll, unless the prediction has ended, no client waits any more, or the budget is used
        up. Returns True if it polled.

        Nothing is retried, since the client's next poll requests it again.
        """
        record = self.changes.store.get(id_)
        now = self.changes.clock()
        if record is None or not _shows_more(record) or now > record.watched_until + LATE_MS:
            return False
        if not self._admitted(record.tenant, now):
            return False
        try:
            snapshot = self.provider.get(str(record.provider_id))
            if snapshot is not None:
                self.changes.apply(record, ProviderReported(snapshot, whole=True))
        except (ProviderUnavailableError, ConflictError):
            # No answer, or several lost races with other changes.
            return False
        return snapshot is not None

    def _admitted(self, tenant: str, now: int) -> bool:
        """Take one poll from the common budget; if that is low, only with one from the tenant's
        share.

        A tenant without share gets what the others leave; the sweep's own polls limit its age.
        """

        def taken(bucket: str, interval_us: int, most: int) -> bool:
            return not self.controls.take(bucket, now * 1000, interval_us, most)

        if taken(LOOKS, LOOK_INTERVAL_US, FOR_ALL):
            return True
        share = f"{LOOKS} {tenant}"
        return taken(share, SHARE_INTERVAL_US, SHARE_AT_ONCE) and taken(
            LOOKS, LOOK_INTERVAL_US, LOOKS_AT_ONCE
        )


def _shows_more(record: Prediction) -> bool:
    """Whether the provider may know more than the record."""
    return record.provider_id is not None and record.state in _RUNNING
