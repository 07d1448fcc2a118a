"""Waiting for changes of one prediction, holding nothing but the request itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction
    from darkroom.ports import Clock, PredictionStore

FIRST_S = (0.3, 0.5, 0.8, 1.2)
"""A quick model ends within a second or two."""
EVERY_S = 1.5
MOST_LOOKS = 19
"""With the key and the first read, a wait of 25 seconds makes 21 reads at most."""


def moments(seconds: int) -> list[float]:
    """Return the times of the reads within a wait, in seconds since its beginning.

    A wait with a read left makes it at its end. The longest one has none, because a client that
    continues to wait reads at once.
    """
    found = [at for at in FIRST_S if at <= seconds]
    at = FIRST_S[-1] + EVERY_S
    while at <= seconds and len(found) < MOST_LOOKS:
        found.append(at)
        at += EVERY_S
    return found if len(found) == MOST_LOOKS else [*found, float(seconds)]


@immutable
class Wait:
    """Reads a record until it changes, or the time is over."""

    store: PredictionStore
    clock: Clock
    sleep: Callable[[float], object]
    seen: Callable[[Prediction], object]
    """Called with each reading, as for a client that polls."""

    def __call__(self, record: Prediction, seconds: int, revision: int | None) -> Prediction:
        """Return the record as last read. `record` was just read consistently.

        The wait ends at a revision other than `revision`, if the client names one, or at the
        prediction's end, after which nothing changes. The reads are eventually consistent, so one
        that is older than `record` is ignored.
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
            # Never longer, in case the clock is set back meanwhile.
            self.sleep(min(left_ms / 1000, EVERY_S))
