"""One signed callback to a client."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from darkroom.domain import signature
from darkroom.domain.errors import DownloadFailed

if TYPE_CHECKING:
    from darkroom.ports import CallbackSender, Clock, DeliveryStore, PredictionStore, Secrets
    from darkroom.services.shown import Shown


@dataclass(frozen=True, slots=True)
class DeliverCallback:
    """One attempt, written down whatever came of it. There is no schedule of retries yet."""

    deliveries: DeliveryStore
    store: PredictionStore
    sender: CallbackSender
    secrets: Secrets
    shown: Shown
    clock: Clock

    def __call__(self, prediction: str, event: str) -> bool:
        """Attempt the delivery if it is still owed. True if the client took it (2xx).

        At least once: a crash between the POST and the write repeats the callback, with the same
        `webhook-id`.
        """
        delivery = self.deliveries.get(prediction, event)
        record = self.store.get(prediction)
        if delivery is None or delivery.state != "pending" or record is None or not record.webhook:
            return False
        body = json.dumps(self.shown(record), ensure_ascii=False, separators=(",", ":")).encode()
        status, error = self._post(record.webhook, f"{prediction}_{event}", body, record.tenant)
        taken = status is not None and 200 <= status < 300
        self.deliveries.record_attempt(
            replace(
                delivery,
                state="delivered" if taken else "failed",
                attempts=delivery.attempts + 1,
                last_status=status,
                last_error=error,
                due_at=None,
            )
        )
        return taken

    def _post(
        self, url: str, message_id: str, body: bytes, tenant: str
    ) -> tuple[int | None, str | None]:
        timestamp = self.clock() // 1000
        key = callback_secret(self.secrets.callback_key(), tenant)
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature.sign(message_id, timestamp, body, key=key),
        }
        try:
            return self.sender.post(url, headers, body), None
        except DownloadFailed as failed:
            return None, str(failed)


def callback_secret(master: bytes, tenant: str, version: int = 1) -> bytes:
    """A tenant's signing key, derived: nothing per tenant has to be stored or can be lost."""
    return hmac.digest(master, f"callback:{version}:{tenant}".encode(), hashlib.sha256)
