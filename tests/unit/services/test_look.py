"""A client that polls sees logs and progress without a webhook, at a bounded cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from darkroom.domain.lifecycle import ProviderReported
from darkroom.domain.prediction import State
from darkroom.services.predictions.look import (
    FOR_ALL,
    LATE_MS,
    LOOK_MS,
    LOOKS_AT_ONCE,
    SHARE_AT_ONCE,
)

from tests.support.records import snapshot
from tests.support.world import World

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction


def running(world: World, seconds: float = 10, tenant: str = "acme", **said: object) -> Prediction:
    """Return a running prediction without recent reports."""
    record = world.accept(tenant=tenant)
    world.provider.upstream[str(record.provider_id)].update(status="processing", **said)
    world.run_stream()
    world.clock.advance(seconds)
    return record


def poll(world: World, id_: str) -> Prediction:
    """Do a client's GET: it shows the stored record, and may request a refresh."""
    record = world.read.get("acme", id_)
    world.ask_for_look(record)
    return record


def test_field_f34_logs_grow_for_a_client_that_polls() -> None:
    world = World()
    record = running(world, logs="10%")
    assert poll(world, record.id).logs == ""
    world.run_queues()
    seen = poll(world, record.id)
    assert (seen.state, seen.logs) == (State.PROCESSING, "10%")
    assert not world.dispatch_queue.messages, "it was looked at just now"
    world.provider.upstream[str(record.provider_id)].update(logs="10%\n60%")
    world.clock.advance(LOOK_MS / 1000)
    poll(world, record.id)
    world.run_queues()
    assert poll(world, record.id).logs == "10%\n60%"


def test_a_look_takes_in_an_end() -> None:
    world = World()
    record = running(world)
    world.succeed(str(record.provider_id))
    poll(world, record.id)
    world.settle()
    assert world.record(record.id).state is State.SUCCEEDED
    assert world.record(record.id).watched_until == 0


def test_many_that_poll_one_prediction_cost_one_look() -> None:
    world = World()
    record = running(world)
    reads = [world.read.get("acme", record.id) for _ in range(20)]
    assert [world.ask_for_look(read) for read in reads].count(True) == 1
    assert len(world.dispatch_queue.messages) == 1
    world.run_queues()
    assert world.provider.reads == [record.provider_id]


def test_nothing_is_asked_of_what_is_new_over_or_not_bound() -> None:
    world = World()
    fresh = world.accept()
    world.run_stream()
    assert not world.ask_for_look(world.record(fresh.id))
    over = running(world)
    world.succeed(str(over.provider_id))
    world.webhook(over.id, str(over.provider_id))
    world.settle()
    world.clock.advance(60)
    assert not world.ask_for_look(world.record(over.id))
    world.provider.answers = ["hang"]
    unknown = world.accept()
    world.clock.advance(60)
    assert not world.ask_for_look(world.record(unknown.id))
    assert not world.dispatch_queue.messages


def test_a_record_that_changed_meanwhile_is_news_enough() -> None:
    world = World()
    record = running(world)
    read = world.read.get("acme", record.id)
    said = snapshot("processing", provider_id=str(record.provider_id), logs="1", log_size=1)
    world.changes.apply(read, ProviderReported(said))
    assert not world.ask_for_look(read)
    assert not world.dispatch_queue.messages


def test_a_message_that_comes_late_or_for_nobody_asks_nothing() -> None:
    world = World()
    record = running(world)
    poll(world, record.id)
    world.clock.advance((LOOK_MS + LATE_MS) / 1000 + 1)
    assert not world.look(record.id)
    assert not world.look("0" * 26)
    assert world.provider.reads == []


@pytest.mark.parametrize("provider", ["down", "does not know it"])
def test_a_look_in_vain_changes_nothing(provider: str) -> None:
    world = World()
    record = running(world)
    poll(world, record.id)
    before = world.record(record.id)
    if provider == "down":
        world.provider.down = True
    else:
        del world.provider.upstream[str(record.provider_id)]
    assert not world.look(record.id)
    assert world.record(record.id) == before


@pytest.mark.no_cover
def test_all_looks_together_are_a_tenth_of_what_the_provider_allows() -> None:
    world = World()
    tenants = [f"tenant-{n}" for n in range(LOOKS_AT_ONCE)]
    records = [running(world, 0, tenant=tenant) for tenant in tenants for _ in range(2)]
    world.clock.advance(10)
    looked = 0
    for _ in range(60):
        for record in records:
            world.ask_for_look(world.record(record.id))
            looked += world.look(record.id)
        world.clock.advance(1)
    assert 280 <= looked <= 300


def test_a_tenant_that_polls_much_leaves_each_other_its_share() -> None:
    world = World()
    many = [running(world, 0, tenant="many") for _ in range(LOOKS_AT_ONCE)]
    one = running(world, 10, tenant="one")
    for record in (*many, one):
        world.ask_for_look(world.record(record.id))
    looked = [world.look(record.id) for record in many]
    assert looked.count(True) == FOR_ALL + SHARE_AT_ONCE
    assert [world.look(one.id) for _ in range(4)] == [True] * SHARE_AT_ONCE + [False]


def test_a_look_that_loses_every_race_gives_up() -> None:
    world = World()
    record = running(world, logs="10%")
    poll(world, record.id)
    world.store.conflicts = 100
    assert not world.look(record.id)
    world.store.conflicts = 0
    assert world.look(record.id)
