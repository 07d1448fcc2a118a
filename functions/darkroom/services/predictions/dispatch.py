"""Creates upstream what was refused before, and cancels upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.errors import ConflictError, ProviderUnavailableError
from darkroom.domain.lifecycle import AttemptStarted, CancelSent, ProviderReported
from darkroom.domain.prediction import Code
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.ports import Provider
    from darkroom.services.predictions.changes import Changes
    from darkroom.services.predictions.create import SendCreate


@immutable
class Dispatch:
    """Both are safe to repeat, because the record shows whether work is left."""

    changes: Changes
    create: SendCreate
    provider: Provider

    def create_upstream(self, id_: str) -> bool:
        """Start the next attempt if the record allows one, and send it. Returns True if it was
        sent."""
        record = self.changes.store.get(id_)
        if record is None:
            return False
        budget = self.changes.timings.dispatch_budget_s
        try:
            started = self.changes.apply(record, AttemptStarted(budget))
        except ConflictError:
            # Another writer has changed the record; if it still needs a create, the sweep does it.
            return False
        if not started.changed:
            return False
        self.create.send(started.record, budget)
        return True

    def cancel_upstream(self, id_: str, provider_id: str) -> None:
        """Cancel one upstream prediction of the record, its own or an extra one.

        Raises ProviderUnavailableError, also if an extra one is not known yet. The queue retries,
        and so does the sweep for the record's own.
        """
        record = self.changes.store.get(id_)
        if record is None:
            return
        own = record.provider_id == provider_id
        if not own and provider_id not in record.extra_provider_ids:
            return
        if own and record.state.terminal and record.code is not Code.PROVIDER_LOST:
            return
        snapshot = self.provider.cancel(provider_id)
        if own:
            heard = (
                ProviderReported(snapshot, polled=True, whole=True) if snapshot else CancelSent()
            )
            self.changes.apply(record, heard)
        elif snapshot is None:
            raise ProviderUnavailableError("an extra prediction is not known")
