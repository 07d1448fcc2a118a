"""Provider webhooks: verified, matched to a record, recorded, then acknowledged."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from darkroom.domain import lenient_json, link, signature
from darkroom.domain.errors import BadRequestError, ProviderIdTakenError, WebhookRefusedError
from darkroom.domain.lifecycle import ProviderReported
from darkroom.domain.values import immutable
from darkroom.replicate.snapshot import BadSnapshotError, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.domain.prediction import Prediction
    from darkroom.domain.snapshot import Snapshot
    from darkroom.ports import Secrets
    from darkroom.services.predictions.changes import Changes


class WebhookOutcome(StrEnum):
    """Result of a valid webhook."""

    CHANGED = "changed"
    NOTHING_NEW = "nothing_new"
    MISDIRECTED = "misdirected"
    """Signed and linked, but about another prediction than the record's."""
    EXTRA = "extra"
    """A second upstream prediction for the record, recorded and to be canceled."""


@immutable
class HandleWebhook:
    """The webhook use case: one read, at most one write, and only then a 2xx."""

    changes: Changes
    secrets: Secrets

    def __call__(
        self, id_: str, token: str, headers: Mapping[str, object], body: bytes
    ) -> WebhookOutcome:
        """Handle a webhook.

        Raises WebhookRefusedError (401, nothing changed); BadRequestError for a verified body that
        is not a prediction; and ConflictError or an outage's own error if nothing durable was
        written, which is answered with a 5xx so that the provider sends it again.
        """
        self._verify(headers, body)
        record = self.changes.store.get(id_) if link.is_id(id_) else None
        keys = self.secrets.link_keys()
        if record is None or not link.check(token, record.id, record.created_at, keys=keys):
            raise WebhookRefusedError("link")
        snapshot = _parse(body)
        try:
            return self._apply(self._owner(record, snapshot), snapshot)
        except ProviderIdTakenError as taken:
            owner = self.changes.store.get(taken.owner)
            return self._apply(owner, snapshot) if owner else WebhookOutcome.MISDIRECTED

    def _verify(self, headers: Mapping[str, object], body: bytes) -> None:
        now = self.changes.clock() / 1000
        try:
            signature.verify(headers, body, keys=self.secrets.webhook_keys(), now=now)
        except signature.SignatureRejectedError as refused:
            if refused.reason is not signature.Reason.NO_MATCH:
                raise WebhookRefusedError(refused.reason.value) from None
        else:
            return
        # The provider's secret may have been rotated since it was read.
        try:
            keys = self.secrets.webhook_keys(refresh=True)
            signature.verify(headers, body, keys=keys, now=now)
        except signature.SignatureRejectedError as refused:
            raise WebhookRefusedError(refused.reason.value) from None

    def _owner(self, record: Prediction, snapshot: Snapshot) -> Prediction:
        """Return the owner of the provider id if it has one, whatever the link says."""
        if not self.changes.dedicated_account or record.provider_id == snapshot.provider_id:
            return record
        owner_id = self.changes.store.owner_of(snapshot.provider_id)
        owner = self.changes.store.get(owner_id) if owner_id else None
        return owner or record

    def _apply(self, record: Prediction, snapshot: Snapshot) -> WebhookOutcome:
        applied = self.changes.apply(record, ProviderReported(snapshot))
        if applied.record.provider_id == snapshot.provider_id:
            return WebhookOutcome.CHANGED if applied.changed else WebhookOutcome.NOTHING_NEW
        if snapshot.provider_id in applied.record.extra_provider_ids:
            return WebhookOutcome.EXTRA
        return WebhookOutcome.MISDIRECTED


def _parse(body: bytes) -> Snapshot:
    try:
        return read_snapshot(lenient_json.loads(body))
    except lenient_json.LenientJSONError as error:
        raise BadRequestError(f"The webhook's body is not JSON: {error}") from None
    except BadSnapshotError as error:
        raise BadRequestError(f"The webhook's body is not a prediction: {error}") from None
