"""A look at the provider for a client that polls: its logs and its progress, without a webhook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.domain.errors import ConflictError, ProviderUnavailableError
from darkroom.domain.lifecycle import ProviderReported
from darkroom.domain.prediction import Prediction, State

if TYPE_CHECKING:
    from darkroom.ports import Clock, PredictionStore, Provider, Queue, RateBuckets
    from darkroom.services.predictions.changes import Changes

LOOK_MS = 5_000
"""What a client is shown of a running prediction is at most about so old while it polls."""
LATE_MS = 10_000
"""A message that comes so much later is of a client that has its answer by now, or went away."""
LOOKS = "*looks"
"""The rate bucket of all looks; no tenant is named so."""
LOOK_INTERVAL_US = 240_000
LOOKS_AT_ONCE = 50
"""In no minute are all looks together more than 300, a tenth of what the provider allows: these at
once, and 250 by and by."""
FOR_ALL = LOOKS_AT_ONCE // 2
"""What is left below it is kept for tenants' shares: one that polls thousands leaves the others
theirs."""
SHARE_INTERVAL_US = 5_000_000
SHARE_AT_ONCE = 3
"""A tenant's share: 12 looks a minute, which is what one prediction takes."""

_RUNNING = frozenset({State.SUBMITTED, State.PROCESSING})


@dataclass(frozen=True, slots=True)
class AskForLook:
    """Asks dispatch for a look at a prediction that a client polls, where nothing new is known."""

    store: PredictionStore
    queue: Queue
    clock: Clock

    def __call__(self, record: Prediction) -> bool:
        """Ask, unless it is over, or was written or asked for within `LOOK_MS`; True if asked.

        One write and one message for all that poll it. The write holds where the record is still
        the one that was read: what changed meanwhile is news enough.
        """
        now = self.clock()
        if not _shows_more(record) or now < max(record.watched_until, record.updated_at + LOOK_MS):
            return False
        if not self.store.watch(record, now + LOOK_MS):
            return False
        self.queue.send({"action": "look", "id": record.id}, group=record.tenant)
        return True


@dataclass(frozen=True, slots=True)
class Look:
    """Reads one prediction from the provider and applies what it says, as any news."""

    changes: Changes
    provider: Provider
    controls: RateBuckets

    def __call__(self, id_: str) -> bool:
        """Look, unless it is over, nobody waits any more, or all looks are spent; True if it did.

        Nothing is tried again: the next poll asks anew.
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
            # No answer, or other news came, several times over.
            return False
        return snapshot is not None

    def _admitted(self, tenant: str, now: int) -> bool:
        """Take one of all looks; where they are short, only out of the tenant's share.

        Whose share is spent has what the others leave, by chance; the sweep's own polls bound that.
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
    """True while the provider may know more of it than the record."""
    return record.provider_id is not None and record.state in _RUNNING
