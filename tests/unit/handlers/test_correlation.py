"""A client's own fields of a prediction are repeated in everything that follows from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.ports import Answered

from tests.support.app import OTHER, is_problem
from tests.support.world import SCHNELL
from tests.unit.handlers.intaking import DETAIL, ID, intake, message, told
from tests.unit.handlers.published import published

if TYPE_CHECKING:
    from tests.support.app import App

HOOK = "https://client.example/hook"
BODY: dict[str, Any] = {"version": SCHNELL, "input": {"prompt": "a corgi"}}
SAID: dict[str, Any] = {
    "metadata": {"order": "99", "größe": "A4", "empty": ""},
    "tags": ["spring", "shop/42"],
    "end_user": "user 7",
}
NAMES = {*SAID, "request_id"}


def said(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in shown.keys() & NAMES}


def ended(app: App, id_: str) -> None:
    record = app.world.record(id_)
    app.world.succeed(str(record.provider_id))
    app.world.webhook(id_, str(record.provider_id))
    app.world.settle()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/predictions", BODY),
        (f"/v1/models/{SCHNELL}/predictions", {"input": BODY["input"]}),
    ],
)
def test_answers_and_callbacks_show_what_a_create_said(
    app: App, path: str, body: dict[str, Any]
) -> None:
    created = app.submit(body | SAID | {"webhook": HOOK}, path=path)
    assert created.status == 201
    ended(app, created.json["id"])
    (listed,) = app.get("/v1/predictions").json["results"]
    got = app.get(f"/v1/predictions/{created.json['id']}").json
    called = [json.loads(body) for _, _, body in app.world.callbacks.posts]
    assert {"succeeded"} <= {body["status"] for body in called}
    for shown in (created.json, listed, got, *called):
        assert said(shown) == SAID
    assert all(said(event["detail"]) == SAID for event in published(app))


def test_who_says_nothing_is_shown_nothing(app: App) -> None:
    none = {"metadata": None, "tags": None, "end_user": None}
    for body in (BODY, BODY | none, BODY | {"metadata": {}, "tags": []}):
        assert said(app.submit(body).json) == {}


def test_none_of_it_goes_to_the_provider(app: App) -> None:
    app.submit(BODY | SAID)
    (create,) = app.world.provider.creates
    assert not any(text in json.dumps(create) for text in ("order", "spring", "user 7"))


def test_equal_tags_are_one(app: App) -> None:
    assert app.submit(BODY | {"tags": ["a", "b", "a"]}).json["tags"] == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {"a": None}}, "metadata"),
        ({"metadata": {"a": {}}}, "metadata"),
        ({"metadata": {"": "x"}}, "metadata"),
        ({"metadata": {"a": "\0"}}, "metadata"),
        ({"metadata": {"\0": "a"}}, "metadata"),
        ({"metadata": {"a": "x" * 2000}}, "metadata"),
        ({"metadata": {str(n): "" for n in range(300)}}, "metadata"),
        ({"tags": "spring"}, "tags"),
        ({"tags": [7]}, "tags.0"),
        ({"tags": ["a", ""]}, "tags.1"),
        ({"tags": [" a"]}, "tags.0"),
        ({"tags": ["a\nb"]}, "tags.0"),
        ({"tags": ["a\u202eb"]}, "tags.0"),
        ({"tags": ["x" * 65]}, "tags.0"),
        ({"tags": [str(n) for n in range(9)]}, "tags"),
        ({"tags": ["\0"] * 100_000}, "tags"),
        ({"end_user": 7}, "end_user"),
        ({"end_user": ""}, "end_user"),
        ({"end_user": "x" * 129}, "end_user"),
        ({"end_user": "a\u0000"}, "end_user"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_kept_is_refused(app: App, given: dict[str, Any], field: str) -> None:
    answer = app.submit(BODY | given)
    assert is_problem(answer, 422)
    assert field in {one["field"] for one in answer.json["invalid_fields"]}
    assert len(answer.text) < 10_000
    assert app.untouched


def test_as_much_as_may_be_said_is_kept(app: App) -> None:
    most = {
        "metadata": {"a": "x" * (2000 - len('{"a":""}'))},
        "tags": [chr(ord("a") + n) * 64 for n in range(8)],
        "end_user": "ü" * 128,
    }
    created = app.submit(BODY | most)
    assert said(app.get(f"/v1/predictions/{created.json['id']}").json) == most


@pytest.mark.parametrize(
    "other", [{"metadata": {"order": "100"}}, {"tags": ["summer"]}, {"end_user": "user 8"}]
)
def test_a_repeated_key_with_another_word_is_another_request(
    app: App, other: dict[str, Any]
) -> None:
    key = {"idempotency-key": "k1"}
    first = app.submit(BODY | SAID, headers=key)
    again = app.submit(BODY | SAID | {"tags": SAID["tags"][::-1]}, headers=key)
    assert (again.status, again.json["id"]) == (201, first.json["id"])
    answer = app.submit(BODY | SAID | other, headers=key)
    assert is_problem(answer, 422)
    assert answer.json["title"] == "Idempotency key already used"


def test_a_repetition_without_a_key_is_one_of_the_same_words(app: App) -> None:
    first = app.submit(BODY | SAID, headers={"x-stainless-retry-count": "0"})
    again = app.submit(BODY | SAID, headers={"x-stainless-retry-count": "1"})
    other = app.submit(BODY, headers={"x-stainless-retry-count": "1"})
    assert first.json["id"] == again.json["id"] != other.json["id"]


def test_a_cached_result_has_the_words_of_its_own_request(app: App) -> None:
    seeded = {**BODY, "input": {"prompt": "a corgi", "seed": 7}}
    first = app.submit(seeded | SAID)
    ended(app, first.json["id"])
    hit = app.submit(seeded | {"metadata": {"order": "100"}})
    assert hit.json["darkroom"]["cached_from"] == first.json["id"]
    assert said(hit.json) == {"metadata": {"order": "100"}}
    plain = app.submit(seeded)
    assert plain.json["darkroom"]["cached_from"] == first.json["id"]
    assert said(plain.json) == {}


# Requests by event


@pytest.mark.parametrize(
    ("detail", "request_id"), [(DETAIL | {"id": "order-99"}, "order-99"), (DETAIL, ID)]
)
def test_newcomer_friction_2_what_follows_names_it(
    app: App, detail: dict[str, Any], request_id: str
) -> None:
    app.world.tasks.waiting.add("token")
    asked = detail | SAID | {"webhook": HOOK, "taskToken": "token"}
    assert intake(app, message(asked)) == []
    (id_,) = app.world.store.items
    ended(app, id_)
    ((_, _, output),) = app.world.tasks.answers
    events = [event["detail"] for event in published(app)]
    bodies = [json.loads(body) for _, _, body in app.world.callbacks.posts]
    got = app.get(f"/v1/predictions/{id_}").json
    assert len(events) == 2
    assert bodies
    for shown in (*events, *bodies, got, json.loads(output)):
        assert said(shown) == SAID | {"request_id": request_id}


@pytest.mark.parametrize(
    ("given", "request_id"),
    [
        ("order-99", "order-99"),
        ("x" * 256, ID),
        ("  ", ID),
        ("a\nb", ID),
        (7, ID),
    ],
)
def test_a_rejection_names_the_id_that_its_sender_knows(
    app: App, given: Any, request_id: str
) -> None:
    app.world.tasks.waiting.add("token")
    detail = {"model": "nobody/nothing", "input": {}, "id": given, "taskToken": "token"}
    assert intake(app, message(detail)) == []
    assert told(app)["request_id"] == request_id
    assert told(app)["event_id"] == f"{ID}:rejected"
    ((_, _, cause),) = app.world.tasks.answers
    assert json.loads(cause)["request_id"] == request_id
    published(app)


def test_a_task_that_fails_learns_whose_it_was(app: App) -> None:
    app.world.tasks.waiting.add("token")
    app.world.provider.answers = [Answered(422, {"detail": "no"})]
    assert intake(app, message(DETAIL | SAID | {"id": "order-99", "taskToken": "token"})) == []
    app.world.settle()
    ((_, error, cause),) = app.world.tasks.answers
    assert error == "Darkroom.rejected"
    assert said(json.loads(cause)) == SAID | {"request_id": "order-99"}


def test_what_an_event_says_wrongly_is_rejected(app: App) -> None:
    assert intake(app, message(DETAIL | {"tags": ["a"] * 9})) == []
    assert told(app)["status"] == 422
    assert not app.world.store.items


def test_a_disabled_callback_is_told_with_the_words(app: App) -> None:
    app.world.callbacks.status = 410
    for number in range(3):
        created = app.submit(
            BODY | SAID | {"webhook": HOOK, "webhook_events_filter": ["completed"]},
            headers={"idempotency-key": str(number)},
        )
        ended(app, created.json["id"])
    (disabled,) = (e for e in published(app) if e["detail-type"] == "Callback Disabled")
    assert said(disabled["detail"]) == SAID


def test_another_tenant_learns_none_of_it(app: App) -> None:
    created = app.submit(BODY | SAID)
    assert app.get(f"/v1/predictions/{created.json['id']}", OTHER).status == 404
    assert app.get("/v1/predictions", OTHER).json["results"] == []
