"""Delivers one signed callback to a client, with retries until it is accepted or abandoned."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING

from darkroom.domain import events, signature
from darkroom.domain.callback import (
    Attempt,
    CallbackState,
    after_attempt,
    next_turn,
    restore_status,
    superseded,
)
from darkroom.domain.errors import TransferFailedError
from darkroom.domain.values import immutable
from darkroom.services.callbacks.receivers import change

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.callback import Callback
    from darkroom.domain.prediction import Prediction
    from darkroom.domain.receivers import Receivers
    from darkroom.domain.timings import Timings
    from darkroom.ports import (
        CallbackAnswer,
        CallbackSender,
        Clock,
        DeliveryStore,
        EventBus,
        PredictionStore,
        Queue,
        ReceiverStore,
    )
    from darkroom.services.callbacks.secrets import CallbackSecrets
    from darkroom.services.predictions.shown import Shown

LONGEST_DELAY_MS = 900_000
"""The longest delay of an SQS message. The sweep enqueues callbacks that wait longer."""


class Outcome(Enum):
    """Result of a message. True if the client accepted the callback."""

    TAKEN = "taken"
    NOT_TAKEN = "not_taken"
    DISABLED = "disabled"
    """Not accepted, and its endpoint is now disabled."""
    PUT_OFF = "put_off"
    """Waits for its slow or failing endpoint. No attempt was made."""
    CLOSED = "closed"
    """The callback is not due any more."""
    NOTHING = "nothing"
    """Nothing is due, or not yet."""

    def __bool__(self) -> bool:
        return self is Outcome.TAKEN


@immutable
class DeliverCallback:
    """Makes one attempt: claimed before its POST, and recorded afterwards with the time of the next
    one.

    Only the row decides what is due, so lost, duplicate, early or late messages change nothing.
    """

    deliveries: DeliveryStore
    store: PredictionStore
    controls: ReceiverStore
    sender: CallbackSender
    secrets: CallbackSecrets
    shown: Shown
    queue: Queue
    bus: EventBus
    random: Callable[[], float]
    clock: Clock
    timings: Timings
    share: int = 1
    """Maximum concurrent attempts at a tenant's slow or failing endpoints."""

    def __call__(self, prediction: str, event: str) -> Outcome:
        """Attempt the callback if it is due and its endpoint has a free slot.

        At least once: an attempt that crashes between its POST and its write is repeated when its
        claim expires, with the same `webhook-id`.
        """
        delivery = self.deliveries.get(prediction, event)
        record = self.store.get(prediction)
        now = self.clock()
        if delivery is None or not delivery.owed_at(now):
            return Outcome.NOTHING
        if record is None or not record.webhook or now >= 1000 * record.expires_at:
            return self._close(delivery, CallbackState.EXPIRED)
        if superseded(record, event):
            return self._close(delivery, CallbackState.SUPERSEDED)
        receivers = self.controls.receivers(record.tenant)
        if receivers.disabled(record.webhook, now):
            return self._close(delivery, CallbackState.DISABLED)
        return self._in_turn(record, record.webhook, delivery, receivers)

    def _in_turn(
        self, record: Prediction, url: str, delivery: Callback, receivers: Receivers
    ) -> Outcome:
        now = self.clock()
        until = now + int(self.timings.callback_claim_s * 1000)
        if now < receivers.next_at(url):
            return self._put_off(record, delivery, receivers.next_at(url))
        place = until if receivers.shares(url) else None
        if place is not None:
            entered = change(
                self.controls,
                record.tenant,
                receivers,
                lambda seen: seen.enter(now, until, self.share),
            )
            if entered is None:
                return self._put_off(record, delivery, now)
            receivers = entered
        claimed = delivery.claimed(until)
        if not self.deliveries.write(claimed, seen=delivery):
            change(self.controls, record.tenant, receivers, lambda seen: seen.leave(place))
            return Outcome.NOTHING
        return self._attempt(record, url, claimed, receivers, place)

    def _attempt(
        self,
        record: Prediction,
        url: str,
        claimed: Callback,
        receivers: Receivers,
        place: int | None,
    ) -> Outcome:
        began = self.clock()
        answer, error = self._post(record, claimed)
        ended = self.clock()
        status = answer.status if answer else None

        def after(seen: Receivers) -> Receivers:
            told = seen.leave(place).after(url, status, ended - began, ended, self.timings)
            if told.disabled(url, ended) and not seen.disabled(url, ended):
                # Before the state is written, since a crash in between would otherwise lose the
                # event.
                detail = events.callback_disabled(record, claimed.event, status)
                self.bus.publish(events.CALLBACK_DISABLED, detail)
            return told

        # Before the row is written: if this write is lost, the attempt is repeated and writes it
        # again.
        told = change(self.controls, record.tenant, receivers, after)
        disabled = (told or after(receivers)).disabled(url, ended)
        attempt = Attempt(at=began, duration_ms=ended - began, status=status, error=error)
        wait = answer.retry_after_s if answer else None
        self._write_down(record, claimed, attempt, wait, disabled=disabled)
        if attempt.taken:
            return Outcome.TAKEN
        return Outcome.DISABLED if disabled else Outcome.NOT_TAKEN

    def _put_off(self, record: Prediction, delivery: Callback, not_before: int) -> Outcome:
        """Let the callback wait for its endpoint without using up an attempt. It is abandoned after
        the longest time for which an endpoint may fail."""
        now = self.clock()
        if now - delivery.owed_since >= int(self.timings.callback_disable_s * 1000):
            return self._close(delivery, CallbackState.FAILED)
        since = max(delivery.owed_since, delivery.history[-1].at if delivery.history else 0)
        at = next_turn(now, since, not_before, self.timings, jitter=self.random())
        self._send_at(record, delivery, delivery, at, lane=record.tenant)
        return Outcome.PUT_OFF

    def _post(
        self, record: Prediction, delivery: Callback
    ) -> tuple[CallbackAnswer | None, str | None]:
        then = restore_status(record, delivery.frozen) if delivery.frozen else record
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
        except TransferFailedError as failed:
            return None, str(failed)

    def _write_down(
        self,
        record: Prediction,
        claimed: Callback,
        attempt: Attempt,
        retry_after_s: float | None,
        *,
        disabled: bool,
    ) -> None:
        made = after_attempt(
            claimed,
            attempt,
            self.clock(),
            self.timings,
            jitter=self.random(),
            retry_after_s=retry_after_s,
            disabled=disabled,
        )
        if made.pending:
            self._send_at(record, made, claimed, made.next_at)
        else:
            self.deliveries.write(made, seen=claimed)

    def _send_at(
        self, record: Prediction, delivery: Callback, seen: Callback, at: int, lane: str = ""
    ) -> None:
        """Record the next due time, and send a message if SQS can delay it that long."""
        delay_ms = at - self.clock()
        queued = delay_ms <= LONGEST_DELAY_MS
        grace = int(self.timings.callback_grace_s * 1000) if queued else 0
        owed = delivery.scheduled(at, grace)
        if self.deliveries.write(owed, seen=seen, lane=lane) and queued:
            message = {"prediction": owed.prediction, "event": owed.event}
            self.queue.send(message, -(-delay_ms // 1000), group=record.tenant)

    def _close(self, delivery: Callback, state: CallbackState) -> Outcome:
        self.deliveries.write(delivery.closed(state), seen=delivery)
        return Outcome.CLOSED
