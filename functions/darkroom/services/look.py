"""A look at the provider for a client that polls: its logs and its progress, without a webhook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.domain.errors import Conflict, ProviderUnavailable
from darkroom.domain.lifecycle import Heard
from darkroom.domain.prediction import Prediction, State

if TYPE_CHECKING:
    from darkroom.ports import Clock, Controls, PredictionStore, Provider, Queue
    from darkroom.services.changes import Changes

LOOK_MS = 5_000
"""What a client is shown of a running prediction is at most about so old while it polls."""
LATE_MS = 10_000
"""A message that comes so much later is of a client that has its answer by now, or went away."""
LOOKS = "*looks"
"""The rate bucket of all looks; no tenant is named so."""
LOOK_INTERVAL_US = 200_000
LOOKS_AT_ONCE = 25
"""All looks together are 300 calls a minute, a tenth of what the provider allows."""

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
    controls: Controls

    def __call__(self, id_: str) -> bool:
        """Look, unless it is over, nobody waits any more, or all looks are spent; True if it did.

        Nothing is tried again: the next poll asks anew.
        """
        record = self.changes.store.get(id_)
        now = self.changes.clock()
        if record is None or not _shows_more(record) or now > record.watched_until + LATE_MS:
            return False
        if self.controls.take(LOOKS, now * 1000, LOOK_INTERVAL_US, LOOKS_AT_ONCE):
            return False
        try:
            snapshot = self.provider.get(str(record.provider_id))
            if snapshot is not None:
                self.changes.apply(record, Heard(snapshot, whole=True))
        except (ProviderUnavailable, Conflict):
            # No answer, or other news came, several times over.
            return False
        return snapshot is not None


def _shows_more(record: Prediction) -> bool:
    """True while the provider may know more of it than the record."""
    return record.provider_id is not None and record.state in _RUNNING
