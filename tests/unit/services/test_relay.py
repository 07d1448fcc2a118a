"""Relay: the effects of each committed change happen at least once, and are never marked before."""

from __future__ import annotations

import pytest
from darkroom.domain.prediction import State

from tests.support.world import World

HOOK = "https://client.test/hook"


def test_a_whole_life_is_published_and_delivered() -> None:
    world = World()
    record = world.accept(webhook=HOOK, webhook_events=("start", "completed"))
    provider_id = str(record.provider_id)
    world.provider.upstream[provider_id]["status"] = "processing"
    world.webhook(record.id, provider_id)
    world.succeed(provider_id)
    world.webhook(record.id, provider_id)
    world.settle()
    assert world.bus.types == ["Prediction Started", "Prediction Succeeded"]
    assert list(world.deliveries.rows) == [(record.id, "start"), (record.id, "completed")]
    after = world.record(record.id)
    assert after.effects_done
    assert after.due_at is None
    assert world.store.due(world.clock.now * 2, 100) == []


def test_an_events_detail_tells_what_happened() -> None:
    world = World()
    record = world.accept({"prompt": "a secret"})
    world.succeed(str(record.provider_id))
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    started, succeeded = (detail for _, detail in world.bus.events)
    assert started["event_id"] == f"{record.id}:started"
    assert started["completed_at"] is None
    assert succeeded["event_id"] == f"{record.id}:succeeded"
    assert succeeded["status"] == "succeeded"
    assert (succeeded["id"], succeeded["tenant"]) == (record.id, "acme")
    assert succeeded["completed_at"] is not None
    assert succeeded["darkroom"]["files"][0]["key"].startswith("acme/")
    assert started["input"]["prompt"] == succeeded["input"]["prompt"] == "a secret"


def test_a_client_without_a_webhook_is_owed_nothing() -> None:
    world = World()
    record = world.accept()
    world.provider.finish(str(record.provider_id), "failed")
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    assert world.deliveries.rows == {}


def test_the_end_is_marked_only_after_everything_was_handed_on() -> None:
    world = World()
    record = world.accept(webhook=HOOK)
    world.provider.finish(str(record.provider_id), "failed")
    world.webhook(record.id, str(record.provider_id))
    changes = list(world.store.stream)

    def outage(*_: object) -> None:
        raise ConnectionError("no bus")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.bus, "publish", outage)
        with pytest.raises(ConnectionError):
            world.run_stream()
    assert not world.record(record.id).effects_done
    assert world.record(record.id).due_at is not None
    world.store.stream[:] = changes
    world.run_stream()
    assert world.record(record.id).effects_done


def test_a_change_seen_twice_repeats_its_event_with_the_same_id_and_its_delivery_not() -> None:
    world = World()
    record = world.accept(webhook=HOOK)
    world.provider.finish(str(record.provider_id), "failed")
    world.webhook(record.id, str(record.provider_id))
    changes = list(world.store.stream)
    world.run_stream()
    world.store.stream[:] = changes
    world.run_stream()
    assert len(world.deliver_queue) == 1
    world.settle()
    ids = [detail["event_id"] for _, detail in world.bus.events]
    assert ids == [f"{record.id}:failed"] * 2
    assert len(world.callbacks.posts) == 1


def test_a_record_that_ended_before_the_mark_of_an_extra_one_keeps_its_own_effects() -> None:
    # The end's own change was lost; a later change must not mark its effects as done.
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    world.clock.advance(200)
    world.cancel("acme", record.id)
    world.sweep()
    assert world.record(record.id).state is State.CANCELED
    world.store.stream.clear()
    late = world.provider.make(**world.provider.creates[0])["id"]
    world.webhook(record.id, late)
    world.settle()
    assert world.provider.cancels == [late]
    assert not world.record(record.id).effects_done
    world.sweep(61)
    world.settle()
    assert world.bus.types == ["Prediction Canceled"]
    assert world.record(record.id).effects_done


def test_an_extra_one_after_all_was_handed_on_is_marked_by_relay_again() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    world.clock.advance(200)
    world.cancel("acme", record.id)
    world.sweep()
    world.settle()
    world.webhook(record.id, world.provider.make(**world.provider.creates[0])["id"])
    world.settle()
    assert world.record(record.id).effects_done
    assert world.bus.types == ["Prediction Canceled"]
