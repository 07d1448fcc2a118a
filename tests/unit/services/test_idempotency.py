"""A repeated request is answered with the prediction that it made before."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from darkroom.domain.errors import InvalidInputError, UnavailableError
from darkroom.domain.prediction import State
from darkroom.services.predictions.submit import Accepted, NewPrediction

from tests.support.fakes import Crash
from tests.support.world import PNG, SCHNELL, World

KEY: dict[str, Any] = {"idempotency_key": "order-7"}
WINDOW: dict[str, Any] = {"dedupe_s": 60}
LARGE = "data:;base64," + base64.b64encode(b"x" * 300_000).decode()


def ask(
    world: World, input_: dict[str, Any] | None = None, tenant: str = "acme", **more: Any
) -> Accepted:
    return world.submit(NewPrediction(tenant, SCHNELL, input_ or {"prompt": "a corgi"}, **more))


@pytest.mark.parametrize("sign", [KEY, WINDOW], ids=["key", "window"])
@pytest.mark.parametrize(
    "given",
    [
        {"prompt": "a corgi"},
        {"prompt": "a corgi", "seed": 7},
        {"prompt": "a corgi", "picture": LARGE},
    ],
    ids=["seed drawn", "seed given", "large file"],
)
def test_the_same_request_again_makes_nothing(sign: dict[str, Any], given: dict[str, Any]) -> None:
    world = World()
    first, second = ask(world, given, **sign), ask(world, given, **sign)
    assert not first.replayed
    assert second.replayed
    assert second.record == first.record
    assert len(world.store) == len(world.provider.creates) == 1


def test_the_same_file_uploaded_anew_is_the_same_request() -> None:
    world = World()
    given = [
        {"prompt": "p", "image": world.files.create("acme", name, PNG)["urls"]["get"]}
        for name in ("one", "two")
    ]
    first, second = (ask(world, one, **KEY) for one in given)
    assert second.record == first.record


@pytest.mark.parametrize(
    "other",
    [
        {"input_": {"prompt": "a cat"}},
        {"input_": {"prompt": "a corgi", "seed": 7}},
        {"webhook": "https://client.test"},
        {"webhook_events": ("start",)},
    ],
)
def test_a_key_used_with_another_request_is_refused(other: dict[str, Any]) -> None:
    world = World()
    first = ask(world, **KEY)
    with pytest.raises(InvalidInputError) as refused:
        ask(world, **KEY, **other)
    assert refused.value.title == "Idempotency key already used"
    assert list(world.store.items) == [first.record.id]
    assert len(world.provider.creates) == 1


def test_a_key_is_one_tenants_own() -> None:
    world = World()
    records = [ask(world, tenant=tenant, **KEY).record for tenant in ("acme", "other")]
    assert records[0].id != records[1].id


def test_a_key_counts_for_a_day() -> None:
    world = World()
    first = ask(world, **KEY).record.id
    world.clock.advance(24 * 3600 - 1)
    assert ask(world, **KEY).record.id == first
    world.clock.advance(2)
    assert ask(world, **KEY).record.id != first


def test_a_repetition_after_our_crash_finds_the_intent() -> None:
    world = World()
    world.provider.answers = ["die"]
    with pytest.raises(Crash):
        ask(world, **KEY)
    again = ask(world, **KEY)
    assert again.replayed
    assert again.record.state is State.ACCEPTED
    assert len(world.store) == len(world.provider.creates) == 1


def test_a_refused_request_does_not_use_its_key() -> None:
    world = World()
    with pytest.raises(InvalidInputError):
        ask(world, {"prompt": "p", "num_outputs": 9}, **KEY)
    assert not ask(world, **KEY).replayed


def test_a_key_whose_prediction_is_gone_makes_no_other_one() -> None:
    world = World()
    ask(world, **KEY)
    world.store.items.clear()
    with pytest.raises(UnavailableError):
        ask(world, **KEY)
    assert len(world.provider.creates) == 1


def test_a_window_counts_for_the_same_request_only() -> None:
    world = World()
    first = ask(world, **WINDOW)
    assert not ask(world, {"prompt": "a cat"}, **WINDOW).replayed
    assert not ask(world, tenant="other", **WINDOW).replayed
    world.clock.advance(60)
    assert ask(world, **WINDOW).record == first.record
    world.clock.advance(1)
    assert not ask(world, **WINDOW).replayed


def test_a_window_knows_a_file_that_was_uploaded_anew() -> None:
    world = World()
    given = [
        {"prompt": "p", "image": world.files.create("acme", name, PNG)["urls"]["get"]}
        for name in ("one", "two")
    ]
    first, second = (ask(world, one, **WINDOW) for one in given)
    assert second.record == first.record


@pytest.mark.parametrize("sign", [WINDOW, {"retry_count": 1}], ids=["window", "count"])
def test_a_new_key_says_that_the_request_is_new(sign: dict[str, Any]) -> None:
    world = World()
    ask(world, retry_count=0, **WINDOW)
    ask(world, retry_count=0)
    assert not ask(world, **KEY, **sign).replayed
    assert len(world.provider.creates) == 3


def test_a_create_is_never_answered_with_processing() -> None:
    world = World()
    record = ask(world, **KEY).record
    provider_id = str(record.provider_id)
    world.provider.upstream[provider_id]["status"] = "processing"
    world.webhook(record.id, provider_id)
    assert world.shown(world.record(record.id))["status"] == "processing"
    assert world.shown.created(ask(world, **KEY).record)["status"] == "starting"
    world.succeed(provider_id)
    world.webhook(record.id, provider_id)
    world.settle()
    assert world.shown.created(ask(world, **KEY).record)["status"] == "succeeded"
