"""The only way to change a record: read, apply an input, write conditionally, with some retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.errors import ConflictError, ProviderIdTakenError
from darkroom.domain.lifecycle import advance
from darkroom.domain.money import settlement
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.domain.lifecycle import News
    from darkroom.domain.prediction import Prediction
    from darkroom.domain.timings import Timings
    from darkroom.ports import Clock, PredictionStore

TRIES = 4
"""One write and three more after lost races. Then the sender retries on its own schedule."""


@immutable
class Applied:
    """The stored record, and whether this input changed it."""

    record: Prediction
    changed: bool


@immutable
class Changes:
    """Applies inputs to records. Safe to repeat, since an input already applied changes nothing."""

    store: PredictionStore
    clock: Clock
    timings: Timings
    dedicated_account: bool = False
    """Bind provider ids uniquely, which is required if the provider's list may serve as
    evidence."""

    def apply(self, record: Prediction, news: News) -> Applied:
        """Apply an input, starting from `record` as last read.

        Raises ConflictError if the race was lost too often or the record is gone, and
        ProviderIdTakenError if it would bind a provider id of another record.
        """
        current = record
        for _ in range(TRIES):
            changed = advance(current, news, self.clock(), self.timings)
            if changed is None:
                return Applied(current, changed=False)
            claims = newly_held(current, changed) if self.dedicated_account else None
            try:
                self.store.commit(changed, claims=claims, entries=settlement(current, changed))
            except ProviderIdTakenError:
                raise
            except ConflictError as lost:
                if lost.current is None:
                    raise
                current = lost.current
                continue
            return Applied(changed, changed=True)
        raise ConflictError(current)


def newly_held(old: Prediction, new: Prediction) -> str | None:
    """Return the provider id that `new` has and `old` does not: its own, or an extra one."""
    if new.provider_id != old.provider_id:
        return new.provider_id
    if new.extra_provider_ids != old.extra_provider_ids:
        return new.extra_provider_ids[-1]
    return None
