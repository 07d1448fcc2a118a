"""The history of callbacks, and redelivery."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.callback import EVENTS
from darkroom.domain.errors import InvalidInputError, NotFoundError, TooManyRequestsError
from darkroom.domain.receivers import REFUSALS, Endpoint, Receivers, host
from darkroom.services.callbacks.deliver import Outcome
from darkroom.services.callbacks.deliveries import ASKED_AT_ONCE, MOST_ATTEMPTS, shown

from tests.support.callbacks import HOOK, ended, row
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable


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
    # The last hundred, including the start and the end.
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
    # Its message may be lost like any other.
    world.sweep(60)
    world.settle()
    assert len(world.callbacks.posts) == 2


def test_a_redelivery_enables_the_endpoint() -> None:
    world = World()
    for _ in range(REFUSALS):
        id_ = ended(world)
    world.callbacks.first = [410] * REFUSALS
    world.settle()
    assert row(world, id_).state == "disabled"
    world.delivered.redeliver("acme", id_, "completed")
    assert world.controls.receivers("acme").refused == {}
    world.settle()
    assert row(world, id_).state == "delivered"


def test_a_redelivery_ends_the_wait_for_a_failing_endpoint_and_not_its_share() -> None:
    world = World()
    id_ = ended(world)
    failing = Endpoint(world.clock.now, 5, world.clock.now + 3_600_000, 5)
    world.controls.receiving["acme"] = Receivers(endpoints={host(HOOK): failing})
    world.settle()
    assert row(world, id_).next_at > world.clock.now + 3_600_000
    world.delivered.redeliver("acme", id_, "completed")
    assert world.controls.receivers("acme").shares(HOOK)
    world.settle()
    assert row(world, id_).state == "delivered"


def test_an_endpoint_about_which_all_write_at_once_is_to_be_asked_for_again() -> None:
    world = World()
    id_ = ended(world)
    world.controls.receiving["acme"] = Receivers(endpoints={host(HOOK): Endpoint(1, disabled_at=1)})
    world.controls.put_receivers = lambda *_: False  # type: ignore[method-assign]
    with pytest.raises(TooManyRequestsError) as caught:
        world.delivered.redeliver("acme", id_, "completed")
    assert caught.value.retry_after == 1


@pytest.mark.parametrize("event", ["start", "done", "completed\x00", "logs-000001"])
def test_what_was_never_owed_is_not_found(event: str) -> None:
    world = World()
    with pytest.raises(NotFoundError):
        world.delivered.redeliver("acme", ended(world), event)


def test_another_tenants_callbacks_are_not_found() -> None:
    world = World()
    id_ = ended(world)
    with pytest.raises(NotFoundError):
        world.delivered.history("other", id_)
    with pytest.raises(NotFoundError):
        world.delivered.redeliver("other", id_, "completed")


def test_a_record_that_has_no_webhook_has_nothing_to_deliver() -> None:
    world = World()
    id_ = ended(world)
    del world.store.items[id_]["webhook"]
    with pytest.raises(NotFoundError):
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
    with pytest.raises(InvalidInputError, match="over"):
        world.delivered.redeliver("acme", record.id, "start")
    assert row(world, record.id, "start").state == "delivered"


def beaten(world: World, rival: Callable[[], object], times: int = 1) -> None:
    """Runs the rival just before each of the next writes of a row."""
    write = world.deliveries.write

    def late(*args: Any, **more: Any) -> bool:
        nonlocal times
        times -= 1
        if times >= 0:
            rival()
        return write(*args, **more)

    world.deliveries.write = late  # type: ignore[method-assign]


def test_oracles_f4_a_redelivery_that_meets_another_is_that_one() -> None:
    world = World()
    id_ = ended(world)
    world.settle()
    beaten(world, lambda: world.delivered.redeliver("acme", id_, "completed"))
    assert world.delivered.redeliver("acme", id_, "completed") == row(world, id_)
    world.settle()
    assert row(world, id_).state == "delivered"
    assert len(world.callbacks.posts) == 2


@pytest.mark.parametrize("gone", [False, True])
def test_oracles_f4_a_redelivery_that_attempts_outrun_is_to_be_asked_for_again(gone: bool) -> None:
    world = World()
    id_ = ended(world)
    world.settle()

    def attempted() -> None:
        key = (id_, "completed")
        seen = world.deliveries.rows[key]
        if gone:
            world.deliveries.rows.clear()
        else:
            world.deliveries.rows[key] = replace(seen, attempts=seen.attempts + 1)

    beaten(world, attempted, times=1 if gone else 9)
    with pytest.raises(TooManyRequestsError) as caught:
        world.delivered.redeliver("acme", id_, "completed")
    assert caught.value.retry_after == 1
    assert len(world.deliver_queue) == 0


# Storms


def test_what_is_about_to_be_attempted_is_not_enqueued_once_more() -> None:
    world = World()
    id_ = ended(world)
    for _ in range(9):
        assert world.delivered.redeliver("acme", id_, "completed") == row(world, id_)
    assert len(world.deliver_queue) == 1
    world.settle()
    assert len(world.callbacks.posts) == 1


def test_an_attempt_under_way_is_the_one_that_was_asked_for() -> None:
    world = World()
    id_ = ended(world)
    post = world.callbacks.post

    def meanwhile(*args: Any) -> Any:
        for _ in range(9):
            assert world.delivered.redeliver("acme", id_, "completed").state == "pending"
        return post(*args)

    world.callbacks.post = meanwhile  # type: ignore[method-assign]
    world.deliver_queue.take()
    assert world.deliver(id_, "completed") is Outcome.TAKEN
    assert len(world.deliver_queue) == 0
    assert row(world, id_).state == "delivered"


def test_a_storm_of_redeliveries_calls_a_few_times_a_minute() -> None:
    world = World()
    id_ = ended(world)
    world.settle()
    refused: list[int] = []
    for _ in range(90):
        try:
            world.delivered.redeliver("acme", id_, "completed")
        except TooManyRequestsError as error:
            refused.append(error.retry_after)
        world.settle()
        world.clock.advance(1)
    assert len(world.callbacks.posts) <= 2 * MOST_ATTEMPTS
    assert refused[0] == 60 - MOST_ATTEMPTS + 1
    world.clock.advance(refused[-1])
    world.delivered.redeliver("acme", id_, "completed")


def test_a_storm_over_many_callbacks_is_a_tenants_alone() -> None:
    world = World()
    ids = [ended(world) for _ in range(ASKED_AT_ONCE + 1)]
    other = ended(world, "other")
    world.settle()
    for id_ in ids[:-1]:
        world.delivered.redeliver("acme", id_, "completed")
    with pytest.raises(TooManyRequestsError) as caught:
        world.delivered.redeliver("acme", ids[-1], "completed")
    assert caught.value.retry_after == 1
    world.delivered.redeliver("other", other, "completed")
    world.clock.advance(1)
    world.delivered.redeliver("acme", ids[-1], "completed")
    # Its requests have a rate limit separate from its creates.
    assert "acme" not in world.controls.buckets
