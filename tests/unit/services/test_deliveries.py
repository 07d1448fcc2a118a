"""The history of callbacks, and redelivery."""

from __future__ import annotations

from typing import Any

import pytest
from darkroom.domain.callbacks import EVENTS, Endpoint, endpoint_key
from darkroom.domain.errors import InvalidInput, NotFound, Unavailable
from darkroom.services.deliveries import shown

from tests.unit.services.test_deliver import HOOK, ended, row
from tests.world import World


def test_a_history_tells_of_every_attempt() -> None:
    world = World()
    id_ = ended(world)
    world.callbacks.first = [None]
    world.settle()
    (found,) = world.delivered.history("acme", id_)
    assert shown(found) == {
        "event": "completed",
        "state": "pending",
        "attempts": 1,
        "created_at": "2027-01-15T08:00:00.000Z",
        "next_at": "2027-01-15T08:00:05.000Z",
        "last_status": None,
        "last_error": "no answer",
        "history": [
            {
                "at": "2027-01-15T08:00:00.000Z",
                "duration_ms": 0,
                "status": None,
                "error": "no answer",
            }
        ],
    }
    world.clock.advance(5)
    world.deliver(id_, "completed")
    (found,) = world.delivered.history("acme", id_)
    assert (found.state, shown(found)["next_at"]) == ("delivered", None)


def test_a_first_attempt_is_due_from_its_event_on() -> None:
    world = World()
    (found,) = world.delivered.history("acme", ended(world))
    assert shown(found)["next_at"] == shown(found)["created_at"]


def test_a_history_is_in_the_order_of_the_events() -> None:
    world = World()
    record = world.accept(webhook=HOOK, webhook_events=EVENTS)
    provider_id = str(record.provider_id)
    for number in range(120):
        world.clock.advance(1)
        logs = "step\n" * (number + 1)
        world.provider.upstream[provider_id].update(status="processing", logs=logs)
        world.webhook(record.id, provider_id)
        world.run_stream()
    world.clock.advance(1)
    world.provider.finish(provider_id, "failed")
    world.webhook(record.id, provider_id)
    world.run_stream()
    events = [found.event for found in world.delivered.history("acme", record.id)]
    # The latest hundred, the start among them, and the end.
    assert len(events) == 101
    assert events[0] == "start"
    assert events[-1] == "completed"
    assert events[1:-1] == sorted(events[1:-1])
    assert world.delivered.history("acme", world.accept().id) == []


def test_a_failed_callback_is_sent_again_from_the_beginning() -> None:
    world = World()
    id_ = ended(world)
    world.callbacks.status = 500
    while row(world, id_).state == "pending":
        world.settle()
        world.sweep(3600)
    world.callbacks.status = 200
    again = world.delivered.redeliver("acme", id_, "completed")
    assert (again.state, again.attempts) == ("pending", 0)
    assert again.expires_at == world.clock.now // 1000 + 30 * 86_400
    world.settle()
    assert row(world, id_).state == "delivered"
    assert len(world.callbacks.posts) == 11
    assert len({headers["webhook-id"] for _, headers, _ in world.callbacks.posts}) == 1
    assert [attempt.status for attempt in row(world, id_).history] == [500] * 9 + [200]


def test_what_was_delivered_can_be_delivered_again() -> None:
    world = World()
    id_ = ended(world)
    world.settle()
    world.delivered.redeliver("acme", id_, "completed")
    world.deliver_queue.messages.clear()
    # Its message may be lost as any other.
    world.sweep(60)
    world.settle()
    assert len(world.callbacks.posts) == 2


def test_a_redelivery_enables_the_endpoint() -> None:
    world = World()
    id_ = ended(world)
    world.callbacks.first = [410]
    world.settle()
    assert row(world, id_).state == "disabled"
    world.delivered.redeliver("acme", id_, "completed")
    assert world.controls.endpoints[endpoint_key("acme", HOOK)] == Endpoint()
    world.settle()
    assert row(world, id_).state == "delivered"


@pytest.mark.parametrize("event", ["start", "done", "completed\x00", "logs-000001"])
def test_what_was_never_owed_is_not_found(event: str) -> None:
    world = World()
    with pytest.raises(NotFound):
        world.delivered.redeliver("acme", ended(world), event)


def test_another_tenants_callbacks_are_not_found() -> None:
    world = World()
    id_ = ended(world)
    with pytest.raises(NotFound):
        world.delivered.history("other", id_)
    with pytest.raises(NotFound):
        world.delivered.redeliver("other", id_, "completed")


def test_a_record_that_has_no_webhook_has_nothing_to_deliver() -> None:
    world = World()
    id_ = ended(world)
    del world.store.items[id_]["webhook"]
    with pytest.raises(NotFound):
        world.delivered.redeliver("acme", id_, "completed")


def test_after_the_end_only_the_end_is_sent_again() -> None:
    world = World()
    record = world.accept(webhook=HOOK, webhook_events=EVENTS)
    world.provider.upstream[str(record.provider_id)]["status"] = "processing"
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    world.provider.finish(str(record.provider_id), "failed")
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    with pytest.raises(InvalidInput, match="over"):
        world.delivered.redeliver("acme", record.id, "start")
    assert row(world, record.id, "start").state == "delivered"


def test_a_redelivery_that_meets_an_attempt_is_to_be_asked_for_again() -> None:
    world = World()
    id_ = ended(world)
    write = world.deliveries.write

    def beaten(*args: Any, **more: Any) -> bool:
        world.deliveries.write = write  # type: ignore[method-assign]
        assert world.deliver(id_, "completed")
        return write(*args, **more)

    world.deliveries.write = beaten  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        world.delivered.redeliver("acme", id_, "completed")
    assert row(world, id_).state == "delivered"
