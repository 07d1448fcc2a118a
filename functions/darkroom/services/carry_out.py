"""Hands on what a committed change causes: queue messages, events, deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.domain import callbacks, wire
from darkroom.domain.lifecycle import CancelUpstream, Dispatch, Persist, Publish
from darkroom.domain.snapshot import rfc3339
from darkroom.ports import Delivery
from darkroom.services.deliveries import KEPT_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from darkroom.domain.lifecycle import Effect
    from darkroom.domain.prediction import Prediction
    from darkroom.domain.timings import Timings
    from darkroom.ports import Clock, DeliveryStore, EventBus, Queue


@dataclass(frozen=True, slots=True)
class CarryOut:
    """At least once each: every receiver of these knows a repetition by its id."""

    persist: Queue
    dispatch: Queue
    deliver: Queue
    bus: EventBus
    deliveries: DeliveryStore
    clock: Clock
    timings: Timings

    def __call__(self, record: Prediction, effects: Iterable[Effect]) -> None:
        """Carry out all, or raise at the first that fails: then all are carried out again."""
        for effect in effects:
            self._one(record, effect)

    def _one(self, record: Prediction, effect: Effect) -> None:
        match effect:
            case Persist(not_before=at):
                self.persist.send({"id": record.id}, self._delay_s(at))
            case Dispatch(not_before=at):
                self.dispatch.send({"action": "create", "id": record.id}, self._delay_s(at))
            case CancelUpstream(provider_id=provider_id):
                message = {"action": "cancel", "id": record.id, "provider_id": provider_id}
                self.dispatch.send(message)
            case Publish(event=event):
                self.bus.publish(f"Prediction {event.capitalize()}", event_detail(record, event))
            case _:
                self._deliver(record, effect.event)

    def _deliver(self, record: Prediction, event: str) -> None:
        now = self.clock()
        delivery = Delivery(
            prediction=record.id,
            event=event,
            created_at=now,
            expires_at=(now + KEPT_MS) // 1000,
            due_at=now + int(self.timings.callback_grace_s * 1000),
            frozen=None if event == "completed" else callbacks.freeze(record),
        )
        if self.deliveries.put(delivery):
            self.deliver.send({"prediction": record.id, "event": event})

    def _delay_s(self, at: int) -> int:
        """Whole seconds until `at`, rounded up: a message must never come early."""
        return max(0, -(-(at - self.clock()) // 1000))


def event_detail(record: Prediction, event: str) -> dict[str, Any]:
    """The event's detail: small, without the input, and with an id that a repetition shares."""
    return {
        "event_id": f"{record.id}:{event}",
        "id": record.id,
        "tenant": record.tenant,
        "model": record.model,
        "version": record.version,
        "status": wire.STATUS[record.state],
        "error": record.error,
        "created_at": rfc3339(record.created_at),
        "completed_at": record.completed_at if record.state.terminal else None,
        "darkroom": wire.details(record),
    }
