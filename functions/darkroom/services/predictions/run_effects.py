"""Carries out the effects of a committed change: queue messages, events, callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain import events
from darkroom.domain.callback import caused
from darkroom.domain.lifecycle import (
    CancelUpstream,
    EnqueueCreate,
    NotifyTask,
    PublishEvent,
    StoreOutputs,
)
from darkroom.domain.values import immutable
from darkroom.services.predictions.tasks import TASK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from darkroom.domain.lifecycle import Effect
    from darkroom.domain.prediction import Prediction
    from darkroom.domain.timings import Timings
    from darkroom.ports import Clock, DeliveryStore, EventBus, Queue


@immutable
class RunEffects:
    """Carries out each effect at least once. All receivers recognize repetitions by id."""

    persist: Queue
    dispatch: Queue
    deliver: Queue
    tasks_queue: Queue
    bus: EventBus
    deliveries: DeliveryStore
    clock: Clock
    timings: Timings

    def __call__(self, record: Prediction, effects: Iterable[Effect]) -> None:
        """Carry out all effects. Raises at the first failure, after which all are carried out
        again."""
        for effect in effects:
            self._one(record, effect)

    def _one(self, record: Prediction, effect: Effect) -> None:
        match effect:
            case StoreOutputs(not_before=at):
                self.persist.send({"id": record.id}, self._delay_s(at), group=record.tenant)
            case EnqueueCreate(not_before=at):
                message = {"action": "create", "id": record.id}
                # A process whose clock is behind would receive it too early, and ignore it.
                later = at + int(self.timings.clocks_apart_s * 1000)
                self.dispatch.send(message, self._delay_s(later), group=record.tenant)
            case CancelUpstream(provider_id=provider_id):
                message = {"action": "cancel", "id": record.id, "provider_id": provider_id}
                self.dispatch.send(message, group=record.tenant)
            case PublishEvent(event=event):
                self.bus.publish(event.detail_type, events.detail(record, event))
            case NotifyTask():
                message = {"prediction": record.id, "event": TASK}
                self.tasks_queue.send(message, group=record.tenant)
            case _:
                self._deliver(record, effect.event)

    def _deliver(self, record: Prediction, event: str) -> None:
        if self.deliveries.put(caused(record, event, self.clock(), self.timings)):
            self.deliver.send({"prediction": record.id, "event": event}, group=record.tenant)

    def _delay_s(self, at: int) -> int:
        """Return the whole seconds until `at`, rounded up, because a message must never arrive
        early."""
        return max(0, -(-(at - self.clock()) // 1000))
