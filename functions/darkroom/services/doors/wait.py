"""Waiting for news of one prediction, without holding more than the request itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction
    from darkroom.ports import Clock, PredictionStore

FIRST_S = (0.3, 0.5, 0.8, 1.2)
"""A quick model is done within a second or two."""
EVERY_S = 1.5
MOST_LOOKS = 19
"""With the key and the first read a wait of 25 seconds takes 21 reads at most."""


def moments(seconds: int) -> list[float]:
    """When to look within a wait, in seconds since its beginning.

    A wait that has a look left takes it at its end. The longest one has none: whoever goes on
    waiting reads anew at once.
    """
    found = [at for at in FIRST_S if at <= seconds]
    at = FIRST_S[-1] + EVERY_S
    while at <= seconds and len(found) < MOST_LOOKS:
        found.append(at)
        at += EVERY_S
    return found if len(found) == MOST_LOOKS else [*found, float(seconds)]


@dataclass(frozen=True, slots=True)
class Wait:
    """Looks at a record until there is news of it, or the time is over."""

    store: PredictionStore
    clock: Clock
    sleep: Callable[[float], object]
    seen: Callable[[Prediction], object]
    """Called with each reading as it is for a client that polls."""

    def __call__(self, record: Prediction, seconds: int, revision: int | None) -> Prediction:
        """The record as it was read last. `record` was read with a consistent read, just before.

        News is another revision than the `revision` that the client knows, where it names one, or
        the end, after which nothing comes. The reads are eventually consistent: what is older than
        `record` is passed over.
        """
        began = self.clock()
        first = record.revision
        self.seen(record)
        if record.state.terminal or revision not in {None, first}:
            return record
        for at in moments(seconds):
            self._sleep_until(began, at)
            found = self.store.glance(record.id)
            if found is not None and found.revision >= record.revision:
                record = found
            if record.state.terminal or (revision is not None and record.revision != first):
                return record
            self.seen(record)
        self._sleep_until(began, seconds)
        return record

    def _sleep_until(self, began: int, at: float) -> None:
        left_ms = began + round(at * 1000) - self.clock()
        if left_ms > 0:
            # No longer, should the clock be set back meanwhile.
            self.sleep(min(left_ms / 1000, EVERY_S))
