"""The door `wait`: long polls by API key, by watch URL, and by redirects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from darkroom.api.waiting import MOST_HOPS
from darkroom.domain import link
from darkroom.services.predictions.look import LOOK_MS

from tests.support import events
from tests.support.app import ACME, ASKING, OTHER, PATIENT, READER, is_problem
from tests.support.world import PUBLIC_URL

if TYPE_CHECKING:
    from tests.support.app import Answer, App


@pytest.fixture
def app(waiting_app: App) -> App:
    return waiting_app


def end(app: App, id_: str) -> None:
    provider_id = str(app.world.record(id_).provider_id)
    app.world.succeed(provider_id)
    app.world.webhook(id_, provider_id)
    app.world.settle()


def place(id_: str) -> str:
    return f"/v1/predictions/{id_}/wait"


def followed(app: App, location: str) -> Answer:
    parts = urlsplit(location)
    assert (parts.scheme, parts.netloc) == ("", ""), "no host: a client keeps its token"
    return app.wait(parts.path, **dict(parse_qsl(parts.query)))


def watched(app: App, url: str, **query: Any) -> Answer:
    parts = urlsplit(url)
    return app.wait(parts.path, None, **{**dict(parse_qsl(parts.query)), **query})


# By API key


def test_the_end_is_answered_soon_after_it_with_the_body_of_a_get(app: App) -> None:
    record, began = app.world.accept(), app.world.clock()
    app.world.meanwhile[5] = lambda: end(app, record.id)
    answer = app.wait(place(record.id), READER)
    assert answer.status == 200
    assert app.world.clock() - began == 4_200
    assert answer.headers["cache-control"] == "no-store"
    got = app.get(f"/v1/predictions/{record.id}").json
    assert answer.json | {"urls": 0} == got | {"urls": 0}
    assert got["status"] == "succeeded"


def test_a_full_wait_takes_21_reads_at_most_and_creates_nothing(app: App) -> None:
    record = app.world.accept()
    app.world.run_stream()
    app.calls.clear()
    assert app.wait(place(record.id), seconds=25).json["status"] == "starting"
    # The link key is kept in memory between invocations.
    aside = (".watch", ".link_keys")
    reads = {name: n for name, n in app.calls.items() if not name.endswith(aside)}
    assert sum(reads.values()) == 21
    assert reads == {
        "FakeControls.api_key": 1,
        "FakePredictions.get": 1,
        "FakePredictions.glance": 19,
    }
    assert app.world.provider.creates == [record.id] or len(app.world.provider.creates) == 1


def test_a_wait_is_noted_as_a_get_is_and_asks_for_looks(app: App) -> None:
    record = app.world.accept()
    app.world.run_stream()
    app.world.clock.advance(6)
    app.world.dispatch_queue.take()
    began = app.world.clock()
    app.wait(place(record.id), seconds=1)
    assert app.world.record(record.id).watched_until == began + LOOK_MS
    (message, _) = app.world.dispatch_queue.messages[0]
    assert message == {"action": "look", "id": record.id}


def test_a_look_that_cannot_be_asked_for_costs_the_client_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = app.world.accept()
    app.world.clock.advance(6)

    def down(*_: Any, **__: Any) -> None:
        raise OSError("SQS is down")

    monkeypatch.setattr(app.world.dispatch_queue, "send", down)
    assert app.wait(place(record.id), seconds=1).status == 200
    assert "a refresh could not be requested" in app.logs.getvalue()


def test_the_revision_of_an_answer_is_what_the_next_wait_goes_on_from(app: App) -> None:
    made = app.submit().json
    revision = made["darkroom"]["revision"]
    assert app.get(f"/v1/predictions/{made['id']}").json["darkroom"]["revision"] == revision
    app.world.meanwhile[2] = lambda: end(app, made["id"])
    answer = app.wait(place(made["id"]), revision=revision)
    assert answer.json["darkroom"]["revision"] > revision
    assert len(app.world.naps) == 3
    assert app.wait(place(made["id"]), revision=revision).status == 200
    assert len(app.world.naps) == 3, "news that are there are answered at once"


@pytest.mark.parametrize(
    "query",
    [
        {"seconds": "0"},
        {"seconds": "26"},
        {"seconds": "-1"},
        {"seconds": "1.5"},
        {"seconds": "2e1"},
        {"seconds": ""},
        {"seconds": "\u0662"},
        {"seconds": "9" * 5000},
        {"revision": "-1"},
        {"revision": "x"},
        {"revision": ""},
        {"revision": "9" * 14},
        {"hop": "0"},
        {"hop": "19"},
        {"hop": "1\r\nlocation: https://evil.test"},
        {"next": "https://evil.test"},
    ],
)
def test_a_query_that_says_nothing_is_refused_without_a_wait(app: App, query: Any) -> None:
    record = app.world.accept()
    answer = app.wait(place(record.id), **query)
    assert is_problem(answer, 400)
    assert app.world.naps == []


@pytest.mark.parametrize("token", [None, "dk_unknown"])
def test_who_has_no_key_does_not_wait(app: App, token: str | None) -> None:
    record = app.world.accept()
    assert is_problem(app.wait(place(record.id), token), 401)
    assert app.world.naps == []


def test_another_tenants_prediction_is_not_found(app: App) -> None:
    record = app.world.accept()
    for id_ in (record.id, "0" * 26, "..", "x" * 4000):
        assert is_problem(app.wait(place(id_), OTHER), 404)
    assert app.world.naps == []


# By redirects


@pytest.mark.parametrize("headers", [PATIENT, ASKING, {**ASKING, "prefer": "wait=30"}])
@pytest.mark.parametrize("path", ["/v1/predictions", None])
def test_a_create_that_wants_to_wait_is_sent_to_where_it_can(
    app: App, headers: dict[str, str], path: str | None
) -> None:
    if path:
        answer = app.submit(headers=headers)
    else:
        body = {"input": {"prompt": "a corgi"}}
        path = "/v1/models/black-forest-labs/flux-schnell/predictions"
        answer = app.submit(body, path=path, headers=headers)
    assert answer.status == 303
    id_ = answer.json["id"]
    assert answer.headers["location"] == f"/v1/predictions/{id_}/wait?hop=1"
    assert answer.json["status"] == "starting"
    assert app.world.naps == [], "the POST itself never waits"
    app.world.meanwhile[3] = lambda: end(app, id_)
    last = followed(app, answer.headers["location"])
    assert (last.status, last.json["status"]) == (200, "succeeded")


@pytest.mark.parametrize(
    "headers",
    [
        {"prefer": "wait"},
        {"prefer": "wait", "user-agent": "replicate-python/1.0.7"},
        {"prefer": "wait=60", "user-agent": "Replicate/Python 2.0.0"},
        {"prefer": "wait", "user-agent": "replicate-javascript/1.4.0"},
        {"user-agent": PATIENT["user-agent"]},
        {**PATIENT, "prefer": "respond-async"},
        {**PATIENT, "prefer": "waiting"},
        {**PATIENT, "prefer": ""},
    ],
)
def test_all_others_get_their_201(app: App, headers: dict[str, str]) -> None:
    answer = app.submit(headers=headers)
    assert answer.status == 201
    assert answer.headers["location"].startswith(PUBLIC_URL)


@pytest.mark.parametrize("prefer", ["respond-async, wait=5", "WAIT", "wait; q=1", "a=b,wait"])
def test_a_preference_may_stand_beside_others(app: App, prefer: str) -> None:
    assert app.submit(headers={**PATIENT, "prefer": prefer}).status == 303


def test_a_wish_that_is_not_known_is_refused_before_anything_is_made(app: App) -> None:
    for text in ("", "yes", "https://evil.test"):
        assert is_problem(app.submit(headers={"darkroom-wait": text}), 400)
    assert app.untouched


def test_what_is_over_already_is_answered_at_once(app: App) -> None:
    headers = {**ASKING, "idempotency-key": "one"}
    first = app.submit(headers=headers)
    again = app.submit(headers=headers)
    assert (again.status, again.headers["location"]) == (303, first.headers["location"])
    assert again.headers["idempotent-replayed"] == "true"
    end(app, first.json["id"])
    assert (app.submit(headers=headers).status, app.world.naps) == (201, [])


def test_a_chain_of_waits_ends_after_18(app: App) -> None:
    location = app.submit(headers=ASKING).headers["location"] + "&seconds=2"
    hops = 0
    while True:
        hops += 1
        answer = followed(app, location)
        if answer.status != 303:
            break
        assert answer.json["status"] == "starting"
        location = answer.headers["location"]
        assert dict(parse_qsl(urlsplit(location).query)) == {"hop": str(hops + 1), "seconds": "2"}
    assert (hops, answer.status, answer.json["status"]) == (MOST_HOPS, 200, "starting")


def test_a_chain_that_knows_a_revision_ends_with_the_next_one(app: App) -> None:
    made = app.submit().json
    revision = made["darkroom"]["revision"]
    answer = app.wait(place(made["id"]), hop=1, seconds=1, revision=revision)
    assert answer.status == 303
    app.world.meanwhile[len(app.world.naps)] = lambda: app.world.webhook(
        made["id"], str(app.world.record(made["id"]).provider_id)
    )
    app.world.provider.upstream[str(app.world.record(made["id"]).provider_id)].update(
        status="processing", started_at="2026-11-30T00:00:00Z"
    )
    answer = followed(app, answer.headers["location"])
    assert (answer.status, answer.json["status"]) == (200, "processing")


# By watch URL


def test_creates_and_gets_have_a_watch_url_and_nothing_else_has(app: App) -> None:
    made = app.submit({"version": "black-forest-labs/flux-schnell", "input": {"prompt": "a corgi"},
                       "webhook": "https://client.test/hook"})  # fmt: skip
    id_ = made.json["id"]
    url = made.json["urls"]["watch"]
    assert url.startswith(f"{PUBLIC_URL}/v1/predictions/{id_}/watch?t=")
    assert app.get(f"/v1/predictions/{id_}").json["urls"]["watch"] == url
    listed = app.get("/v1/predictions").json["results"][0]
    assert "watch" not in listed["urls"]
    assert "revision" not in listed["darkroom"]
    canceled = app.cancel(id_).json
    assert "watch" not in canceled["urls"]
    end(app, id_)
    told = json.dumps([app.world.bus.events, [str(post) for post in app.world.callbacks.posts]])
    assert id_ in told
    for secret in ("/watch", parse_qsl(urlsplit(url).query)[0][1]):
        assert secret not in told
        assert secret not in app.logs.getvalue()


def test_a_watch_url_shows_what_came_of_it_to_any_page(app: App) -> None:
    made = app.submit().json
    answer = watched(app, made["urls"]["watch"], seconds=1)
    revision = made["darkroom"]["revision"]
    assert answer.json == {
        "id": made["id"],
        "status": "starting",
        "output": None,
        "error": None,
        "progress": None,
        "revision": revision,
    }
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-store"
    naps = len(app.world.naps)
    app.world.meanwhile[naps + 1] = lambda: end(app, made["id"])
    answer = watched(app, made["urls"]["watch"], revision=revision)
    assert answer.json["revision"] > revision
    assert (answer.json["status"], answer.json["progress"]) == ("succeeded", 1.0)
    assert answer.json["output"][0].startswith("https://outputs.test/acme/")
    assert answer.json.keys() == {"id", "status", "output", "error", "progress", "revision"}


def test_the_progress_of_a_watched_run_is_that_of_its_logs(app: App) -> None:
    made = app.submit().json
    provider_id = str(app.world.record(made["id"]).provider_id)
    app.world.provider.upstream[provider_id].update(status="processing", logs=" 40%|####   | 2/5")
    app.world.webhook(made["id"], provider_id)
    answer = watched(app, made["urls"]["watch"], seconds=1)
    assert (answer.json["status"], answer.json["progress"]) == ("processing", 0.4)


def test_h_wait_tokens_that_open_nothing(app: App) -> None:
    mine, other = app.submit().json, app.submit().json
    path = urlsplit(mine["urls"]["watch"]).path
    record = app.world.record(mine["id"])
    hook = link.token(mine["id"], record.created_at, key=app.world.secrets.link[0])
    late = link.watch_token(mine["id"], app.world.clock() // 1000, key=app.world.secrets.link[0])
    of_other = dict(parse_qsl(urlsplit(other["urls"]["watch"]).query))["t"]
    app.calls.clear()
    for token in (of_other, late, hook, "", "x" * 9000, "1." + "\u00e9" * 32, f"1.{hook}", None):
        answer = app.wait(path, None, **({} if token is None else {"t": token}))
        assert is_problem(answer, 404)
        assert answer.headers["access-control-allow-origin"] == "*"
    assert set(app.calls) == {"FakeSecrets.link_keys"}, "no record is read for them"
    assert app.world.naps == []


def test_h_wait_an_api_key_is_no_watch_token(app: App) -> None:
    made = app.submit().json
    path = urlsplit(made["urls"]["watch"]).path
    assert is_problem(app.wait(path, ACME), 404)
    assert is_problem(app.wait(path, None, t=ACME), 404)


def test_h_wait_a_watch_token_is_refused_at_the_webhook(app: App) -> None:
    made = app.submit().json
    token = dict(parse_qsl(urlsplit(made["urls"]["watch"]).query))["t"]
    body = json.dumps(app.world.provider.body(str(app.world.record(made["id"]).provider_id)))
    before = app.kept()
    assert app.webhook(app.hook(made["id"], body, token=token)).status == 401
    assert app.kept() == before


def test_h_wait_a_watch_url_is_no_key_to_anything_else(app: App) -> None:
    made = app.submit().json
    token = dict(parse_qsl(urlsplit(made["urls"]["watch"]).query))["t"]
    assert is_problem(app.wait(place(made["id"]), None, seconds=1), 401)
    assert is_problem(app.wait(place(made["id"]), token, seconds=1), 401)
    assert is_problem(app.get(f"/v1/predictions/{made['id']}", token), 401)


@pytest.mark.parametrize("query", [{"seconds": "0"}, {"revision": "x"}, {"hop": "1"}])
def test_h_wait_a_watch_query_is_checked_as_a_waits(app: App, query: Any) -> None:
    made = app.submit().json
    answer = watched(app, made["urls"]["watch"], **query)
    assert is_problem(answer, 400)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert app.world.naps == []


def test_a_watched_prediction_that_is_gone_is_not_found(app: App) -> None:
    made = app.submit().json
    app.world.store.items.clear()
    assert is_problem(watched(app, made["urls"]["watch"]), 404)


@pytest.mark.parametrize("path", ["/v1{}", "/v1/v1{}", "/prod/v1{}", "/v1{}/"])
def test_both_are_served_in_every_spelling(app: App, path: str) -> None:
    made = app.submit().json
    end(app, made["id"])
    token = dict(parse_qsl(urlsplit(made["urls"]["watch"]).query))["t"]
    below = f"/predictions/{made['id']}"
    assert app.wait(path.format(f"{below}/wait")).status == 200
    answer = app.wait(path.format(f"{below}/watch"), None, t=token)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
    event = events.http("HEAD", f"/v1{below}/watch", None, {}, {"t": token})
    assert app.http("wait", event).text == ""


def test_a_record_that_cannot_be_read_is_told_of_as_a_get_tells(app: App) -> None:
    made = app.submit().json
    app.world.store.items[made["id"]]["state"] = {"S": "?"}
    assert is_problem(app.wait(place(made["id"])), 503)
    assert is_problem(watched(app, made["urls"]["watch"]), 503)
