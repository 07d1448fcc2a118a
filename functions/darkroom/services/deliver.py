"""One signed callback to a client, again and again until it is taken or given up."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from darkroom.domain import callbacks, signature
from darkroom.domain.errors import DownloadFailed
from darkroom.ports import Attempt, CallbackAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction
    from darkroom.domain.timings import Timings
    from darkroom.ports import (
        CallbackSender,
        Clock,
        Controls,
        Delivery,
        DeliveryStore,
        PredictionStore,
        Queue,
    )
    from darkroom.services.callback_secrets import CallbackSecrets
    from darkroom.services.shown import Shown

LONGEST_DELAY_MS = 900_000
"""SQS delays a message no longer. What waits longer is enqueued by the sweep."""
EARLY_MS = 500
"""A message may come so much before its time: the clocks of two hosts differ."""
HISTORY_KEPT = 10


@dataclass(frozen=True, slots=True)
class DeliverCallback:
    """One attempt, claimed before its POST and written down after it, with its successor's time.

    The row alone says what is owed: a message that is lost, doubled, early or late changes nothing.
    """

    deliveries: DeliveryStore
    store: PredictionStore
    controls: Controls
    sender: CallbackSender
    secrets: CallbackSecrets
    shown: Shown
    queue: Queue
    random: Callable[[], float]
    clock: Clock
    timings: Timings

    def __call__(self, prediction: str, event: str) -> bool:
        """Attempt the delivery if it is owed now. True if the client took it (2xx).

        At least once: an attempt that dies between its POST and its write is made again when its
        claim runs out, with the same `webhook-id`.
        """
        delivery = self.deliveries.get(prediction, event)
        record = self.store.get(prediction)
        now = self.clock()
        if delivery is None or record is None or not record.webhook:
            return False
        if delivery.state != "pending" or now < delivery.next_at - EARLY_MS:
            return False
        if callbacks.superseded(record, event):
            return self._close(delivery, "superseded")
        key = callbacks.endpoint_key(record.tenant, record.webhook)
        endpoint = self.controls.endpoint(key)
        if endpoint.disabled_at is not None:
            return self._close(delivery, "disabled")
        until = now + int(self.timings.callback_claim_s * 1000)
        claimed = replace(delivery, next_at=until, due_at=until)
        if not self.deliveries.write(claimed, seen=delivery):
            return False
        answer, error = self._post(record, delivery)
        status = answer.status if answer else None
        ended = self.clock()
        after = endpoint.after(status, ended, self.timings)
        if after != endpoint:
            # Before the row: if this is lost, the attempt is repeated and says it again.
            self.controls.put_endpoint(key, after, seen=endpoint)
        attempt = Attempt(at=now, duration_ms=ended - now, status=status, error=error)
        wait = answer.retry_after_s if answer else None
        self._write_down(claimed, attempt, wait, disabled=after.disabled_at is not None)
        return callbacks.taken(status)

    def _post(
        self, record: Prediction, delivery: Delivery
    ) -> tuple[CallbackAnswer | None, str | None]:
        then = callbacks.thaw(record, delivery.frozen) if delivery.frozen else record
        body = json.dumps(self.shown(then), ensure_ascii=False, separators=(",", ":")).encode()
        message_id = f"{delivery.prediction}_{delivery.event}"
        timestamp = self.clock() // 1000
        signatures = [
            signature.sign(message_id, timestamp, body, key=key)
            for key in self.secrets.keys(record.tenant)
        ]
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signatures),
        }
        try:
            return self.sender.post(str(record.webhook), headers, body), None
        except DownloadFailed as failed:
            return None, str(failed)

    def _write_down(
        self, claimed: Delivery, attempt: Attempt, retry_after_s: float | None, *, disabled: bool
    ) -> None:
        now, timings = self.clock(), self.timings
        told = replace(
            claimed,
            attempts=claimed.attempts + 1,
            last_status=attempt.status,
            last_error=attempt.error,
            history=(*claimed.history, attempt)[-HISTORY_KEPT:],
            next_at=0,
            due_at=None,
        )
        at = callbacks.next_attempt(
            told.attempts, now, timings, jitter=self.random(), retry_after_s=retry_after_s
        )
        if callbacks.taken(attempt.status):
            told = replace(told, state="delivered")
        elif disabled:
            told = replace(told, state="disabled")
        elif at is None:
            told = replace(told, state="failed")
        else:
            queued = at - now <= LONGEST_DELAY_MS
            grace = int(timings.callback_grace_s * 1000) if queued else 0
            told = replace(told, next_at=at, due_at=at + grace)
            if self.deliveries.write(told, seen=claimed) and queued:
                message = {"prediction": told.prediction, "event": told.event}
                self.queue.send(message, -(-(at - now) // 1000))
            return
        self.deliveries.write(told, seen=claimed)

    def _close(self, delivery: Delivery, state: str) -> bool:
        self.deliveries.write(replace(delivery, state=state, next_at=0, due_at=None), seen=delivery)
        return False
