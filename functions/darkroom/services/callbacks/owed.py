"""Due callbacks without a message: those that wait long, and those whose message was lost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from darkroom.domain.values import immutable
from darkroom.ports import Due

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.timings import Timings
    from darkroom.ports import Clock, DeliveryStore, PredictionStore, Queue

LIMIT = 500
"""Maximum callbacks handled in one tick."""
TENANT_FIRST = 50
"""Callbacks of one tenant that are enqueued before those of others; the rest follows."""
OWN_MS = 15_000
"""Maximum time of a tick for this work."""


@immutable
class EnqueueOwed:
    """A part of the tick that calls neither the provider nor a client.

    Each callback is claimed before its message is sent. One that is claimed but not sent, for lack
    of time, is due again when the claim expires.
    """

    deliveries: DeliveryStore
    store: PredictionStore
    deliver: Queue
    clock: Clock
    timings: Timings

    def __call__(self, remaining_ms: Callable[[], int], reserve_ms: int = 0) -> int:
        """Enqueue due callbacks and return their number. Starts nothing with less than the reserve
        left."""
        begun = self.clock()
        least = max(reserve_ms, remaining_ms() - OWN_MS)
        until = begun + int(self.timings.claim_s * 1000)
        sent: Counter[str] = Counter()
        later: list[tuple[str, str, str]] = []
        due = list(self.deliveries.due(begun, LIMIT))
        known = self.store.look(Due(prediction, at) for prediction, _, at in due)
        tenants = {each.key.id: each.tenant for each in known}
        for prediction, event, due_at in due:
            if remaining_ms() < least:
                break
            if not self.deliveries.claim(prediction, event, due_at, until):
                continue
            # If the record is gone, deliver closes the callback.
            tenant = tenants.get(prediction, "")
            if sent[tenant] < TENANT_FIRST:
                self._send(prediction, event, tenant)
                sent[tenant] += 1
            else:
                later.append((prediction, event, tenant))
        for prediction, event, tenant in later:
            if remaining_ms() < least:
                break
            self._send(prediction, event, tenant)
            sent[tenant] += 1
        return sent.total()

    def _send(self, prediction: str, event: str, tenant: str) -> None:
        self.deliver.send({"prediction": prediction, "event": event}, group=tenant)
