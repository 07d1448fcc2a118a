"""One submit: whichever door a request comes through, it makes the same record, reserves the same
money, and is refused for the same reason. No door has rules of its own.

A new door is one more function in `DOORS`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from darkroom.domain import keys
from darkroom.domain.money import Limits
from darkroom.ports import ApiKey

from tests.support import events
from tests.support.agent import ask
from tests.support.app import ACME, READER, App, bearer, wired
from tests.support.world import SCHNELL
from tests.unit.handlers.intaking import intake, message

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction


class Wanted(NamedTuple):
    """A request in no door's words."""

    model: str
    input: dict[str, Any]
    tags: tuple[str, ...] = ()
    key: str | None = None
    """What a repetition shares."""
    token: str = ACME


class Outcome(NamedTuple):
    """The id of the prediction, or the problem as far as the door tells it."""

    id: str | None
    problem: dict[str, Any]


# PNG is what OpenAI's API makes where no format is named.
PLAIN = Wanted(
    SCHNELL, {"prompt": "a corgi", "num_outputs": 2, "output_format": "png"}, ("spring",)
)
SEEDED = Wanted(SCHNELL, {"prompt": "a corgi", "seed": 7, "output_format": "png"})


def by_http(app: App, wanted: Wanted) -> Outcome:
    body = {"version": wanted.model, "input": wanted.input, "tags": list(wanted.tags)}
    headers = {"idempotency-key": wanted.key} if wanted.key else {}
    answer = app.submit(body, headers=headers, token=wanted.token)
    made = answer.status == 201
    return Outcome(answer.json["id"], {}) if made else Outcome(None, answer.json)


def by_mcp(app: App, wanted: Wanted) -> Outcome:
    given = {
        "model": wanted.model,
        "input": wanted.input,
        "tags": list(wanted.tags),
        "idempotency_key": wanted.key,
    }
    call = {"name": "generate_image", "arguments": given}
    answer = ask(app, "tools/call", call, token=wanted.token)
    if answer.status != 200:
        return Outcome(None, answer.json["error"]["data"])
    result = answer.json["result"]
    if result["isError"]:
        return Outcome(None, result["_meta"]["darkroom/problem"])
    return Outcome(result["structuredContent"]["id"], {})


def by_openai(app: App, wanted: Wanted) -> Outcome:
    """The model's inputs stand beside OpenAI's own. What its form has another status for is
    translated back."""
    body = {"model": wanted.model, "tags": list(wanted.tags), **wanted.input}
    sent = {"content-type": "application/json", **bearer(wanted.token)}
    sent |= {"idempotency-key": wanted.key} if wanted.key else {}
    path = "/openai/v1/images/generations"
    answer = app.http("images", events.http("POST", path, json.dumps(body), sent))
    if answer.status == 303:
        return Outcome(answer.json["id"], {})
    code = answer.json["error"]["code"]
    theirs = {"insufficient_quota": 402, "model_not_found": 422}.get(code, answer.status)
    return Outcome(None, {"status": 422 if theirs == 400 else theirs})


def by_event(app: App, wanted: Wanted) -> Outcome:
    """Of a source of acme's. What may pass comes again, and nobody is told of it yet."""
    detail = {"model": wanted.model, "input": wanted.input, "tags": list(wanted.tags)}
    detail |= {"id": wanted.key} if wanted.key else {}
    before = set(app.world.store.items)
    told_of, put_off = len(app.world.bus.events), intake(app, message(detail))
    if put_off:
        return Outcome(None, {"status": 429})
    if len(app.world.bus.events) > told_of:
        told = app.world.bus.events[-1][1]
        names = ("status", "title", "detail", "invalid_fields")
        return Outcome(None, {name: told[name] for name in names if told.get(name)})
    made = set(app.world.store.items) - before
    return Outcome(next(iter(made or before)), {})


DOORS = (by_http, by_mcp, by_openai, by_event)
WITH_KEYS = (by_http, by_mcp, by_openai)
"""Doors whose callers have an API key."""


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[App, Outcome]]:
    """A request through a door of a new world, of a tenant with these limits."""

    def send(door: Any, wanted: Wanted, limits: Limits | None = None) -> tuple[App, Outcome]:
        with monkeypatch.context() as patched:
            app = wired(patched)
            if limits:
                app.world.controls.tenants["acme"] = limits
            return app, door(app, wanted)

    return send


def record_of(app: App, outcome: Outcome) -> Prediction:
    assert outcome.id, outcome.problem
    return app.world.record(outcome.id)


def comparable(record: Prediction) -> dict[str, Any]:
    """All of a record but its random id, and the id by which an event's sender knows it."""
    return asdict(replace(record, id="", request_id=None))


def creates(app: App) -> list[dict[str, Any]]:
    """What the provider was asked for, without the record's id in the webhook's URL."""
    return [{**each, "webhook": None} for each in app.world.provider.creates]


@pytest.mark.parametrize("door", DOORS[1:], ids=lambda door: door.__name__)
@pytest.mark.parametrize("wanted", [PLAIN, SEEDED], ids=["plain", "seeded"])
def test_every_door_makes_the_same_record_and_reservation(
    through: Any, door: Any, wanted: Wanted
) -> None:
    limits = Limits(monthly_cap=10_000_000, in_flight=5, rate_interval_us=1000, rate_burst=5)
    app, outcome = through(by_http, wanted, limits)
    other, others = through(door, wanted, limits)
    assert comparable(record_of(other, others)) == comparable(record_of(app, outcome))
    assert other.world.store.months == app.world.store.months != {}
    assert creates(other) == creates(app)
    assert other.world.controls.buckets == app.world.controls.buckets


REFUSED = {
    "spent budget": (PLAIN, Limits(monthly_cap=1000), 402),
    "in flight": (PLAIN, Limits(in_flight=0), 429),
    "unknown model": (PLAIN._replace(model="nobody/nothing"), None, 422),
    "no prompt": (PLAIN._replace(input={}), None, 422),
    "wrong input": (PLAIN._replace(input={"prompt": "x", "num_outputs": 99}), None, 422),
    "secret input": (PLAIN._replace(input={"prompt": "x", "api_key": "k"}), None, 422),
    "NUL": (PLAIN._replace(input={"prompt": "a\0b"}), None, 422),
    "large input": (PLAIN._replace(input={"prompt": "x", "y": "y" * 300_000}), None, 413),
    "bad tag": (PLAIN._replace(tags=("a,b",)), None, 422),
}


@pytest.mark.parametrize("door", DOORS[1:], ids=lambda door: door.__name__)
@pytest.mark.parametrize("case", REFUSED)
def test_every_door_refuses_for_the_same_reason(through: Any, door: Any, case: str) -> None:
    wanted, limits, status = REFUSED[case]
    app, outcome = through(by_http, wanted, limits)
    other, others = through(door, wanted, limits)
    assert outcome.id is others.id is None
    assert outcome.problem["status"] == others.problem["status"] == status
    assert others.problem.items() <= outcome.problem.items()
    for each in (app, other):
        assert not each.world.store.items
        assert not each.world.store.months
        assert creates(each) == []


@pytest.mark.parametrize("door", WITH_KEYS, ids=lambda door: door.__name__)
@pytest.mark.parametrize(("token", "status"), [("dk_unknown", 401), (READER, 403)])
def test_every_door_refuses_a_key_that_may_not(
    through: Any, door: Any, token: str, status: int
) -> None:
    app, outcome = through(door, PLAIN._replace(token=token))
    assert outcome.problem["status"] == status
    problem = through(by_http, PLAIN._replace(token=token))[1].problem
    assert outcome.problem.items() <= problem.items()
    assert app.untouched


@pytest.mark.parametrize("door", WITH_KEYS[1:], ids=lambda door: door.__name__)
def test_one_key_makes_one_prediction_through_whichever_door(app: App, door: Any) -> None:
    wanted = PLAIN._replace(key="order 7")
    first = by_http(app, wanted)
    assert door(app, wanted) == first
    assert len(creates(app)) == 1
    refused = door(app, wanted._replace(input={"prompt": "another"}))
    assert refused.problem["status"] == 422


@pytest.mark.parametrize("door", DOORS[1:], ids=lambda door: door.__name__)
def test_a_stored_result_is_found_through_whichever_door(app: App, door: Any) -> None:
    first = record_of(app, by_http(app, SEEDED))
    app.world.succeed(str(first.provider_id))
    app.world.webhook(first.id, str(first.provider_id))
    app.world.settle()
    app.world.bus.events.clear()
    again = record_of(app, door(app, SEEDED))
    assert again.cached_from == first.id
    assert len(creates(app)) == 1


@pytest.mark.parametrize("door", WITH_KEYS[1:], ids=lambda door: door.__name__)
def test_the_window_of_a_key_holds_through_whichever_door(app: App, door: Any) -> None:
    """An API key's equal requests within its window are one, however they are sent."""
    scopes = frozenset({"submit"})
    app.world.controls.keys[keys.key_id(ACME)] = ApiKey("acme", scopes, dedupe_window_s=60)
    assert door(app, PLAIN) == by_http(app, PLAIN)
