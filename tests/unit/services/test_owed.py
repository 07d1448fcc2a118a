"""Callbacks without a message are enqueued: a bounded number, in a separate time budget, and
fairly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from darkroom.services.callbacks.owed import LIMIT, OWN_MS, TENANT_FIRST, EnqueueOwed

from tests.support.callbacks import ended
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable


def enqueue(world: World) -> EnqueueOwed:
    """Return the service that the sweep calls."""
    return EnqueueOwed(
        world.deliveries, world.store, world.deliver_queue, world.clock, world.timings
    )


def owed(world: World, number: int, tenant: str = "acme") -> list[str]:
    """Create predictions whose callbacks' messages are lost."""
    made = [ended(world, tenant) for _ in range(number)]
    world.deliver_queue.messages.clear()
    world.deliver_queue.groups.clear()
    return made


def left(milliseconds: int, each: int = 0) -> Callable[[], int]:
    """Return a run's remaining time, of which each call takes `each`."""
    times = iter(range(milliseconds, -1, -each) if each else ())
    return lambda: next(times, 0) if each else milliseconds


def test_what_is_due_is_enqueued_for_its_tenant_and_claimed() -> None:
    world = World()
    (id_,) = owed(world, 1)
    world.clock.advance(59)
    assert enqueue(world)(left(50_000)) == 0
    world.clock.advance(1)
    assert enqueue(world)(left(50_000)) == 1
    assert world.deliver_queue.messages == [({"prediction": id_, "event": "completed"}, 0)]
    assert world.deliver_queue.groups == ["acme"]
    # Claimed, so the next tick skips it until a minute has passed without an attempt.
    assert enqueue(world)(left(50_000)) == 0
    world.clock.advance(60)
    assert enqueue(world)(left(50_000)) == 1


def test_of_two_sweeps_one_enqueues_it() -> None:
    world = World()
    (id_,) = owed(world, 1)
    world.clock.advance(60)
    due = world.deliveries.due(world.clock(), LIMIT)
    assert enqueue(world)(left(50_000)) == 1
    world.deliveries.due = lambda *_: due  # type: ignore[method-assign]
    assert enqueue(world)(left(50_000)) == 0
    assert world.deliver_queue.take() == [{"prediction": id_, "event": "completed"}]


def test_a_tenant_with_many_comes_after_one_with_few() -> None:
    world = World()
    many, few = owed(world, TENANT_FIRST + 5), owed(world, 3, "other")
    world.clock.advance(60)
    assert enqueue(world)(left(50_000)) == TENANT_FIRST + 8
    ids = [message["prediction"] for message in world.deliver_queue.take()]
    assert set(ids[:-5]) == {*many, *few} - set(ids[-5:])
    assert set(ids[-5:]) < set(many)
    assert world.deliver_queue.groups[-5:] == ["acme"] * 5


@pytest.mark.no_cover
def test_a_tick_takes_up_so_many_and_no_more() -> None:
    world = World()
    owed(world, LIMIT + 10)
    world.clock.advance(60)
    assert enqueue(world)(left(50_000)) == LIMIT
    assert enqueue(world)(left(50_000)) == 10


def test_it_ends_with_its_own_time_and_leaves_the_rest_due() -> None:
    world = World()
    owed(world, 30)
    world.clock.advance(60)
    # Each call takes a second; of 50 s it uses 15.
    assert enqueue(world)(left(50_000, 1000)) == OWN_MS // 1000
    assert enqueue(world)(left(50_000)) == 30 - OWN_MS // 1000


def test_it_leaves_a_reserve() -> None:
    world = World()
    owed(world, 30)
    world.clock.advance(60)
    assert enqueue(world)(left(12_000, 1000), 10_000) == 2


def test_what_is_claimed_when_the_time_is_over_is_due_again() -> None:
    world = World()
    owed(world, TENANT_FIRST + 5)
    world.clock.advance(60)
    looks = iter([50_000] * (TENANT_FIRST + 1 + 5) + [50_000, 0])
    assert enqueue(world)(lambda: next(looks)) == TENANT_FIRST + 1
    assert enqueue(world)(left(50_000)) == 0
    world.clock.advance(60)
    assert enqueue(world)(left(50_000)) == TENANT_FIRST + 5


def test_a_delivery_without_a_record_is_handed_on_to_be_closed() -> None:
    world = World()
    (id_,) = owed(world, 1)
    world.store.items.clear()
    world.clock.advance(60)
    assert enqueue(world)(left(50_000)) == 1
    assert world.deliver_queue.groups == [""]
    assert world.deliver_queue.take() == [{"prediction": id_, "event": "completed"}]
