"""The result cache: who gets a stored result, the effects of a hit, and a miss for every
failure."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import InvalidInputError
from darkroom.domain.money import Limits
from darkroom.domain.prediction import CreateState, State
from darkroom.services.predictions.reuse import ReuseResult
from darkroom.services.predictions.submit import Accepted, NewPrediction

from tests.support.fakes import START, Crash, FakeOutputs
from tests.support.world import PNG, SCHNELL, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction

HOOK = "https://client.test/hook"
SEEDED: dict[str, Any] = {"prompt": "a corgi", "seed": 7}
SDXL = "stability-ai/sdxl"


def ask(
    world: World, input_: dict[str, Any] | None = None, tenant: str = "acme", **more: Any
) -> Accepted:
    given = SEEDED if input_ is None else input_
    more.setdefault("reference", SCHNELL)
    return world.submit(NewPrediction(tenant, input=given, **more))


def made(world: World, input_: dict[str, Any] | None = None, **request: Any) -> Prediction:
    """Return a prediction that the model made, with all its effects done."""
    record = ask(world, input_, **request).record
    finish(world, record)
    return world.record(record.id)


def finish(world: World, record: Prediction, *names: str) -> None:
    world.provider.upstream[str(record.provider_id)]["metrics"] = {"predict_time": 1.5}
    world.succeed(str(record.provider_id), *names)
    world.webhook(record.id, str(record.provider_id))
    world.settle()


def hit(world: World, *args: Any, **request: Any) -> bool:
    """Whether an equal request is answered from the cache, without a create."""
    before = len(world.provider.creates)
    record = ask(world, *args, **request).record
    assert len(world.provider.creates) == before + (record.cached_from is None)
    return record.cached_from is not None


# Hits


def test_an_equal_request_with_a_seed_gets_the_stored_result_at_once() -> None:
    world = World()
    first = made(world)
    world.clock.advance(3600)
    again = ask(world)
    record = again.record
    assert record == world.record(record.id)
    assert record.state is State.SUCCEEDED
    assert record.cached_from == first.id
    assert record.id != first.id
    assert not again.replayed
    assert len(world.provider.creates) == 1
    assert (record.output, record.metrics) == (first.output, first.metrics)
    assert (record.provider_id, record.create.attempt) == (None, 0)
    assert record.create.state is CreateState.REFUSED
    assert (record.cost, record.price, record.logs) == (0, None, "")
    assert record.started_at == record.completed_at == "2027-01-15T09:00:00.000Z"
    assert record.expires_at == START // 1000 + 3600 + 90 * 86_400


def test_a_hit_has_bytes_of_its_own() -> None:
    world = World()
    first = ask(world).record
    finish(world, first, "0.png", "1.png", "2.png")
    stored = world.record(first.id).files
    record = ask(world).record
    assert [file.key for file in record.files] == [
        f"acme/2027/01/{record.id}/copy-{number}.png" for number in range(3)
    ]
    for file in stored:
        del world.outputs.objects[file.key]
    for file, original in zip(record.files, stored, strict=True):
        kind, data = world.outputs.objects[file.key]
        assert (kind, hashlib.sha256(data).hexdigest()) == ("image/png", file.sha256)
        assert replace(file, key=original.key) == original


def test_the_answer_is_the_finished_prediction() -> None:
    world = World()
    first = made(world)
    record = ask(world).record
    shown = world.shown.created(record)
    assert shown["status"] == "succeeded"
    assert shown["output"] == [f"https://outputs.test/{record.files[0].key}?signed"]
    assert shown["metrics"] == {"predict_time": 1.5}
    assert shown["input"] == SEEDED
    details = shown["darkroom"]
    assert (details["cached_from"], details["cost"], details["attempts"]) == (first.id, 0, 0)
    assert world.shown(world.record(first.id))["darkroom"]["cached_from"] is None


def test_without_a_seed_only_who_asks_for_it_gets_one_with_the_seed_that_made_it() -> None:
    world = World()
    first = made(world, {"prompt": "a corgi"})
    assert not hit(world, {"prompt": "a corgi"})
    record = ask(world, {"prompt": "a corgi"}, cache="reuse").record
    assert record.cached_from == first.id
    assert record.input == first.input
    assert "seed" in record.input


def test_reuse_takes_the_latest_result() -> None:
    world = World()
    made(world, {"prompt": "a corgi"})
    second = made(world, {"prompt": "a corgi"})
    assert ask(world, {"prompt": "a corgi"}, cache="reuse").record.cached_from == second.id


def test_bypass_makes_anew_and_what_it_makes_takes_the_others_place() -> None:
    world = World()
    made(world)
    assert not hit(world, cache="bypass")
    newer = made(world, cache="bypass")
    assert ask(world).record.cached_from == newer.id


EQUAL: dict[str, dict[str, Any]] = {
    "in another order": {"input_": {"seed": 7, "prompt": "a corgi"}},
    "for another webhook": {"webhook": HOOK, "webhook_events": ("start",)},
    "with another deadline": {"cancel_after_s": 60},
    "that asks for reuse": {"cache": "reuse"},
}
OTHER: dict[str, dict[str, Any]] = {
    "of another tenant": {"tenant": "other"},
    "of another tenant that asks for reuse": {"tenant": "other", "cache": "reuse"},
    "with another seed": {"input_": {"prompt": "a corgi", "seed": 8}},
    "with another prompt": {"input_": {"prompt": "a cat", "seed": 7}},
    "with a default written out": {"input_": {**SEEDED, "num_outputs": 1}},
    "of another model": {"reference": SDXL},
    "without the seed": {"input_": {"prompt": "a corgi"}, "cache": "reuse"},
}


@pytest.mark.parametrize("request_", EQUAL.values(), ids=EQUAL)
def test_a_request_is_equal(request_: dict[str, Any]) -> None:
    world = World()
    made(world)
    assert hit(world, **request_)


@pytest.mark.parametrize("request_", OTHER.values(), ids=OTHER)
def test_a_request_is_another_one(request_: dict[str, Any]) -> None:
    world = World()
    made(world)
    assert not hit(world, **request_)


def test_files_count_by_their_contents() -> None:
    world = World()

    def given(data: bytes) -> dict[str, Any]:
        file = world.files.create("acme", "picture", data)
        return {**SEEDED, "image": file["urls"]["get"]}

    made(world, given(PNG))
    same, other = ask(world, given(PNG)).record, ask(world, given(PNG + b"x")).record
    assert same.cached_from is not None
    assert other.cached_from is None
    # The copy contains the file of its own request.
    assert same.uploads.keys() == {"/image"}
    assert same.uploads["/image"] == f"acme/inputs/{same.id}/0.png"
    assert same.uploads["/image"] in world.uploads.objects


@pytest.mark.parametrize("seed", [0, 0.0, -1, -7])
def test_f7_a_seed_that_may_mean_random_finds_no_result(seed: float) -> None:
    world = World()
    asked = {"prompt": "a corgi", "seed": seed}
    made(world, asked)
    assert not hit(world, input_=asked)
    assert hit(world, input_=asked, cache="reuse")


def test_f7_a_negative_seed_is_drawn_and_counts_as_none() -> None:
    world = World()
    first = ask(world, {"prompt": "a corgi", "seed": -1}, idempotency_key="k").record
    drawn = first.input["seed"]
    assert 0 < drawn < 2**31
    assert world.provider.creates[0]["input_"]["seed"] == drawn
    again = ask(world, {"prompt": "a corgi", "seed": -1}, idempotency_key="k")
    assert again.replayed
    assert again.record.id == first.id
    unseeded = ask(world, {"prompt": "a corgi"}).record
    assert unseeded.cache_key == first.cache_key


def test_a_replay_comes_before_the_cache() -> None:
    world = World()
    first = made(world, retry_count=0)
    again = ask(world, retry_count=1)
    assert again.replayed
    assert again.record == first
    assert len(world.store) == 1


def files_of_nobody(world: World) -> set[str]:
    """Return copies and outputs that no record refers to."""
    records = [world.record(id_) for id_ in world.store.items]
    return world.outputs.objects.keys() - {file.key for r in records for file in r.files}


def test_repetitions_under_one_key_leave_no_copy_behind() -> None:
    world = World()
    made(world)
    records = {ask(world, idempotency_key="order 7").record.id for _ in range(50)}
    assert len(records) == 1
    assert files_of_nobody(world) == set()
    assert len(world.outputs.objects) == 2


def test_a_repetition_that_runs_beside_its_first_try_leaves_no_copy_behind() -> None:
    class Slow(FakeOutputs):
        rival: Callable[[], object] | None = None

        def copy(self, source: str, key: str) -> str | None:
            done = super().copy(source, key)
            if self.rival:
                rival, self.rival = self.rival, None
                rival()
            return done

    world = World()
    made(world)
    world.outputs = slow = Slow(world.outputs.objects)
    world.submit = replace(world.submit, reuse=ReuseResult(world.controls, world.store, slow))
    answers: list[Accepted] = []
    slow.rival = lambda: answers.append(ask(world, idempotency_key="order 7"))
    answers.append(ask(world, idempotency_key="order 7"))
    assert [answer.replayed for answer in answers] == [False, True]
    assert answers[0].record == answers[1].record
    assert files_of_nobody(world) == set()


def test_a_key_that_is_used_anew_has_files_of_its_own() -> None:
    world = World()
    made(world)
    first = ask(world, idempotency_key="order 7").record
    world.clock.advance(24 * 3600 + 1)
    second = ask(world, idempotency_key="order 7").record
    assert second.id != first.id
    assert not {file.key for file in first.files} & {file.key for file in second.files}


def test_a_hit_uses_its_key_up() -> None:
    world = World()
    made(world)
    first = ask(world, idempotency_key="order 7").record
    again = ask(world, idempotency_key="order 7")
    assert first.cached_from is not None
    assert again.replayed
    assert again.record.id == first.id
    with pytest.raises(InvalidInputError):
        ask(world, {"prompt": "a cat", "seed": 7}, idempotency_key="order 7")


def test_a_hit_needs_no_room_in_the_month_and_takes_none() -> None:
    world = World()
    made(world)
    world.clock.advance(60)
    world.controls.tenants["acme"] = Limits(monthly_cap=1, in_flight=0)
    record = ask(world).record
    world.settle()
    assert record.cached_from is not None
    assert record.ledger is None
    assert world.store.months == {}


# Entries


@pytest.mark.parametrize("status", ["failed", "canceled", "aborted"])
def test_what_did_not_succeed_never_enters(status: str) -> None:
    world = World()
    record = ask(world).record
    world.provider.finish(str(record.provider_id), status)
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    assert world.controls.results == {}
    assert not hit(world)


def test_what_is_not_stored_yet_does_not_count() -> None:
    world = World()
    record = ask(world).record
    world.succeed(str(record.provider_id))
    world.webhook(record.id, str(record.provider_id))
    assert world.record(record.id).state is State.STORING
    assert not hit(world)


def test_a_copy_is_not_copied_from() -> None:
    world = World()
    first = made(world)
    for _ in range(2):
        assert ask(world).record.cached_from == first.id
        world.settle()
    assert list(world.controls.results.values()) == [first.id]


def test_a_stage_without_the_cache_neither_takes_nor_notes() -> None:
    world = World()
    world.submit = replace(world.submit, reuse=None)
    assert made(world).cache_key is None
    assert world.controls.results == {}
    assert not hit(world, cache="reuse")


def test_a_note_that_is_lost_costs_a_miss_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()

    def outage(*_: object) -> None:
        raise ConnectionError("throttled")

    monkeypatch.setattr(world.controls, "cache_result", outage)
    record = made(world, webhook=HOOK)
    assert record.effects_done
    assert world.bus.types == ["Prediction Started", "Prediction Succeeded"]
    assert not hit(world)


# Failures


def gone(world: World, first: Prediction) -> None:
    del world.outputs.objects[first.files[0].key]


def overwritten(world: World, first: Prediction) -> None:
    world.outputs.objects[first.files[0].key] = ("image/png", PNG + b"x")


def no_record(world: World, first: Prediction) -> None:
    del world.store.items[first.id]


def another_tenants(world: World, first: Prediction) -> None:
    world.store.items[first.id]["tenant"] = {"S": "other"}


def another_result(world: World, first: Prediction) -> None:
    other = made(world, {"prompt": "a cat", "seed": 7})
    world.controls.results[str(first.cache_key)] = other.id


def past_its_time(world: World, first: Prediction) -> None:
    world.store.items[first.id]["expires_at"] = {"N": str(world.clock() // 1000)}


def without_files(world: World, first: Prediction) -> None:
    world.store.items[first.id]["files"] = {"L": []}


TROUBLES = [
    gone,
    overwritten,
    no_record,
    another_tenants,
    another_result,
    past_its_time,
    without_files,
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_every_trouble_with_the_stored_result_is_a_miss(
    trouble: Callable[[World, Prediction], None],
) -> None:
    world = World()
    first = made(world)
    trouble(world, first)
    record = ask(world).record
    assert record.cached_from is None
    finish(world, record)
    assert world.record(record.id).state is State.SUCCEEDED
    assert ask(world).record.cached_from == record.id


@pytest.mark.parametrize("port", ["cached_result", "copy"])
def test_an_outage_is_a_miss(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    made(world)

    def outage(*_: object) -> None:
        raise ConnectionError("throttled")

    target = world.outputs if port == "copy" else world.controls
    monkeypatch.setattr(target, port, outage)
    assert not hit(world)


def test_a_copy_that_takes_too_long_is_a_miss() -> None:
    released = threading.Event()

    class Slow(FakeOutputs):
        def copy(self, source: str, key: str) -> str | None:
            released.wait(30)
            return super().copy(source, key)

    world = World()
    made(world)
    slow = ReuseResult(world.controls, world.store, Slow(world.outputs.objects), copy_budget_s=0.01)
    world.submit = replace(world.submit, reuse=slow)
    try:
        assert not hit(world)
    finally:
        released.set()


def test_a_crash_before_the_record_is_written_leaves_files_that_nothing_refers_to() -> None:
    class Dying(FakeOutputs):
        def copy(self, source: str, key: str) -> str | None:
            super().copy(source, key)
            raise Crash

    world = World()
    first = made(world)
    dying = ReuseResult(world.controls, world.store, Dying(world.outputs.objects))
    alive, world.submit = world.submit, replace(world.submit, reuse=dying)
    with pytest.raises(Crash):
        ask(world)
    assert len(world.store) == 1
    assert len(world.outputs.objects) == 2
    world.submit = alive
    assert ask(world).record.cached_from == first.id


# Effects of a hit


def test_a_hit_is_announced_as_succeeded_and_never_as_started() -> None:
    world = World()
    made(world)
    world.bus.events.clear()
    record = ask(world, webhook=HOOK, webhook_events=("start", "completed")).record
    assert not record.effects_done
    world.settle()
    assert world.bus.types == ["Prediction Succeeded"]
    detail = world.bus.events[0][1]
    assert detail["id"] == record.id
    assert detail["darkroom"]["cached_from"] == record.cached_from
    assert [key for key in world.deliveries.rows if key[0] == record.id] == [
        (record.id, "completed")
    ]
    assert len(world.callbacks.posts) == 1
    after = world.record(record.id)
    assert after.effects_done
    assert after.due_at is None


def test_the_sweep_announces_a_hit_whose_stream_record_was_lost() -> None:
    world = World()
    made(world)
    world.bus.events.clear()
    record = ask(world, webhook=HOOK).record
    world.store.stream.clear()
    assert record.due_at is not None
    world.sweep(61)
    world.settle()
    assert world.bus.types == ["Prediction Succeeded"]
    assert len(world.callbacks.posts) == 1
    assert world.record(record.id).effects_done


def test_nothing_can_change_a_hit() -> None:
    world = World()
    made(world)
    record = ask(world).record
    stray = world.provider.make(**world.provider.creates[0])["id"]
    world.webhook(record.id, stray)
    world.cancel("acme", record.id)
    assert world.record(record.id) == record
    assert world.provider.cancels == []
