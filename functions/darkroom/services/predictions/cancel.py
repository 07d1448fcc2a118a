"""Cancel a prediction: record the request, then notify the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.errors import ProviderUnavailableError
from darkroom.domain.lifecycle import CancelRequested, CancelSent, ProviderReported
from darkroom.domain.prediction import State
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import Provider
    from darkroom.services.predictions.changes import Changes
    from darkroom.services.predictions.read import Read
    from darkroom.services.tenants.limits import TenantLimits


@immutable
class Cancel:
    """The cancel use case. The request is durable before the provider is notified."""

    changes: Changes
    provider: Provider
    read: Read
    limits: TenantLimits

    def __call__(self, tenant: str, id_: str) -> Prediction:
        """Record the request and cancel upstream. Returns the record afterwards.

        Raises TooManyRequestsError or NotFoundError. A prediction that has ended, or whose files
        are being stored, stays as it is.
        """
        self.limits.admit(tenant)
        record = self.changes.apply(self.read.get(tenant, id_), CancelRequested()).record
        return self.upstream(record)

    def upstream(self, record: Prediction) -> Prediction:
        """Send the cancel to the provider, once. Without an answer, the sweep repeats it."""
        wanted = record.cancel_requested_at is not None and record.provider_id is not None
        if not wanted or record.state.rank >= State.STORING.rank:
            return record
        try:
            snapshot = self.provider.cancel(str(record.provider_id))
        except ProviderUnavailableError:
            snapshot = None
        news = ProviderReported(snapshot, polled=True) if snapshot else CancelSent()
        return self.changes.apply(record, news).record
