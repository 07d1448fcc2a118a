"""GET: one prediction, a page of predictions, and unknown paths."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from darkroom.domain.money import Limits
from darkroom.services.tenants.limits import READS_AT_ONCE

from tests.support import events, versions
from tests.support.app import ACME, OTHER, READER, is_problem
from tests.support.world import PUBLIC_URL, SCHNELL

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.app import App

UNKNOWN = "0" * 26


def test_a_finished_prediction_shows_urls_of_our_own_files(app: App) -> None:
    record = app.world.accept()
    app.world.succeed(str(record.provider_id))
    app.world.webhook(record.id, str(record.provider_id))
    app.world.settle()
    answer = app.get(f"/v1/predictions/{record.id}", READER)
    assert answer.status == 200
    assert answer.json["status"] == "succeeded"
    (url,) = answer.json["output"]
    assert url.startswith("https://outputs.test/acme/")
    assert "replicate.delivery" not in answer.text
    (file,) = answer.json["darkroom"]["files"]
    assert (file["width"], file["height"], file["content_type"]) == (2, 3, "image/png")


def test_field_f34_a_poll_of_a_running_prediction_asks_for_a_look(app: App) -> None:
    record = app.world.accept()
    app.world.provider.upstream[str(record.provider_id)].update(status="processing", logs="40%")
    app.world.run_stream()
    app.world.clock.advance(6)
    app.world.dispatch_queue.take()
    assert app.get(f"/v1/predictions/{record.id}").json["logs"] == ""
    (message, _) = app.world.dispatch_queue.messages[0]
    assert message == {"action": "look", "id": record.id}
    answer = app.call("dispatch", events.sqs(message))
    assert answer == {"batchItemFailures": []}
    assert app.get(f"/v1/predictions/{record.id}").json["logs"] == "40%"


def test_a_look_that_cannot_be_asked_for_costs_the_client_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = app.world.accept()
    app.world.clock.advance(6)

    def down(*_: Any, **__: Any) -> None:
        raise OSError("SQS is down")

    monkeypatch.setattr(app.world.dispatch_queue, "send", down)
    assert app.get(f"/v1/predictions/{record.id}").status == 200
    assert "a refresh could not be requested" in app.logs.getvalue()


def test_before_the_files_are_stored_none_of_the_providers_urls_shows(app: App) -> None:
    record = app.world.accept()
    app.world.succeed(str(record.provider_id))
    app.world.webhook(record.id, str(record.provider_id))
    answer = app.get(f"/v1/predictions/{record.id}")
    assert answer.json["status"] == "processing"
    assert answer.json["output"] is None
    assert "completed_at" not in answer.json


def test_a22_another_tenants_prediction_is_an_unknown_one_in_body_and_cost(app: App) -> None:
    record = app.world.accept()
    seen = []
    for id_ in (record.id, UNKNOWN):
        app.calls.clear()
        answer = app.get(f"/v1/predictions/{id_}", OTHER)
        seen.append((answer, dict(app.calls)))
    theirs, unknown = seen
    assert theirs == unknown
    assert theirs[0].status == 404
    assert sum(theirs[1].values()) == 2


@pytest.mark.parametrize(
    "id_",
    [
        pytest.param("..", id="A19-dots"),
        pytest.param("%2e%2e%2f", id="A19-encoded"),
        pytest.param("..;", id="A19-semicolon"),
        pytest.param("%252e%252e", id="A19-encoded-twice"),
        pytest.param("a" * 2049, id="A20-2049-bytes"),
        pytest.param("a" * 25 + "#", id="A21-hash"),
        pytest.param("a" * 25 + "?", id="A21-question-mark"),
        pytest.param("a" * 25 + "\0", id="A21-nul"),
        pytest.param("a" * 26 + "\n", id="A21-line-break"),
        pytest.param("A" * 26, id="A24-other-case"),
        pytest.param("ａ" * 26, id="A24-full-width"),
        pytest.param("IDEMP#x", id="A27-internal-row"),
        pytest.param("PID#p0000000000000000000000000", id="A27-provider-id-row"),
    ],
)
def test_an_id_in_another_form_is_not_even_looked_up(app: App, id_: str) -> None:
    answer = app.get(f"/v1/predictions/{id_}")
    assert is_problem(answer, 404)
    assert app.calls == {"FakeControls.api_key": 1}


def test_a_page_is_newest_first_and_leads_to_the_next(app: App) -> None:
    ids = []
    for _ in range(101):
        ids.append(app.world.accept().id)
        app.world.clock.advance(1)
    app.world.accept(tenant="other")
    first = app.get("/v1/predictions").json
    assert [found["id"] for found in first["results"]] == ids[:0:-1]
    assert first["previous"] is None
    assert first["next"].startswith(f"{PUBLIC_URL}/v1/predictions?cursor=")
    cursor = first["next"].partition("cursor=")[2]
    second = app.get("/v1/predictions", query={"cursor": cursor}).json
    assert [found["id"] for found in second["results"]] == ids[:1]
    assert second["next"] is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x", id="plain"),
        pytest.param('"', id="escaped"),
        pytest.param("\n", id="escaped-in-the-record"),
        pytest.param("\x1b", id="six-for-one"),
        pytest.param("ü", id="two-bytes"),
        pytest.param("🌅", id="four-bytes"),
    ],
)
@pytest.mark.parametrize("limit", [None, "20"])
def test_aws_h3_a_page_is_what_lambda_hands_on(app: App, text: str, limit: str | None) -> None:
    """Inline pictures make records of hundreds of kilobytes."""
    length = len(json.dumps(text, ensure_ascii=False).encode()) - len('""')
    prompt = "a" + text * (190_000 // length)
    ids = [app.world.accept({"prompt": prompt}).id for _ in range(40)]
    seen, query = [], {"limit": limit} if limit else {}
    while True:
        answer = app.get("/v1/predictions", query=query)
        assert answer.status == 200
        page = answer.json
        assert len(page["results"]) <= int(limit or 100)
        seen += [found["id"] for found in page["results"]]
        if page["next"] is None:
            break
        query = dict(parse_qsl(urlsplit(page["next"]).query))
    assert sorted(seen) == sorted(ids)


def test_aws_h3_small_records_fill_their_page(app: App) -> None:
    for _ in range(101):
        app.world.accept()
    assert len(app.get("/v1/predictions").json["results"]) == 100


@pytest.mark.parametrize("change", versions.UNREADABLE.values(), ids=versions.UNREADABLE)
def test_a_record_that_cannot_be_read_is_a_503_and_an_error_in_the_log(
    app: App, change: Callable[[Any], Any]
) -> None:
    good, bad = app.world.accept(), app.world.accept()
    app.world.store.items[bad.id] = change(app.world.store.items[bad.id])
    for answer in (app.get(f"/v1/predictions/{bad.id}"), app.cancel(bad.id)):
        assert is_problem(answer, 503)
        assert answer.headers["retry-after"] == "60"
    assert is_problem(app.get(f"/v1/predictions/{bad.id}", OTHER), 404)
    (shown,) = app.get("/v1/predictions").json["results"]
    assert shown["id"] == good.id
    lines = [json.loads(line) for line in app.logs.getvalue().splitlines()]
    told = [line for line in lines if line.get("message") == "unreadable"]
    assert [(line["level"], line["prediction"]) for line in told] == [("ERROR", bad.id)] * 3


def follow(app: App, link: str) -> Any:
    query = dict(parse_qsl(urlsplit(link).query))
    return app.get(urlsplit(link).path, query=query).json


def test_field_f26_a_list_of_a_time_goes_on_within_it(app: App) -> None:
    """The links contain the filters, so they stay within the time range."""
    ids = []
    for _ in range(6):
        ids.append(app.world.accept().id)
        app.world.clock.advance(1)
    query = {
        "created_after": "2027-01-15T08:00:01Z",
        "created_before": "2027-01-15T09:00:05+01:00",
        "limit": "3",
    }
    first = app.get("/v1/predictions", query=query).json
    assert [found["id"] for found in first["results"]] == ids[4:1:-1]
    assert first["previous"] is None
    second = follow(app, first["next"])
    assert [found["id"] for found in second["results"]] == ids[1:2]
    assert second["next"] is None
    assert follow(app, second["previous"])["results"] == first["results"]


def test_oracles_f1_the_website_made_none(app: App) -> None:
    app.world.accept()
    assert len(app.get("/v1/predictions", query={"source": "api"}).json["results"]) == 1
    empty = {"next": None, "previous": None, "results": []}
    assert app.get("/v1/predictions", query={"source": "web"}).json == empty


@pytest.mark.parametrize(
    "time",
    [
        "2027-01-15",
        "2027-01-15T08:00:00",
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:00:00.000000000+00:00",
        "2027-01-15T08:00:00 00:00",
        "2027-01-15 08:00:00Z",
        "20270115T080000Z",
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_a_time_may_be_spelt_as_iso_8601_spells_it(app: App, time: str) -> None:
    record = app.world.accept()
    (found,) = app.get("/v1/predictions", query={"created_after": time}).json["results"]
    assert found["id"] == record.id


def test_a_time_is_exact(app: App) -> None:
    app.world.accept()
    for after, number in (("08:00:00.0000001Z", 1), ("08:00:00.000001Z", 0)):
        query = {"created_after": f"2027-01-15T{after}"}
        assert len(app.get("/v1/predictions", query=query).json["results"]) == number


@pytest.mark.parametrize(
    "query",
    [
        {"created_after": "yesterday"},
        {"created_after": ""},
        {"created_before": "2027-13-01T00:00:00Z"},
        {"created_before": "1800000000"},
        {"created_before": "2027-01-15T08:00:00Z,2027-01-15T08:00:00Z"},
        {"created_before": "２０２７-01-15"},
        {"created_before": "9" * 5000},
        {"source": "cron"},
        {"source": ""},
    ],
)
def test_a_filter_that_says_nothing_is_refused(app: App, query: dict[str, str]) -> None:
    answer = app.get("/v1/predictions", query=query)
    assert is_problem(answer, 400)
    assert next(iter(query)) in answer.json["detail"]


@pytest.mark.parametrize(
    ("function", "path"),
    [
        ("read", "/v1/predictions"),
        ("read", "/v1/models"),
        ("read", f"/v1/models/{SCHNELL}/versions"),
        ("read", "/v1/usage"),
        ("read", "/v1/usage/month"),
        ("files", "/v1/files"),
        ("deliveries", f"/v1/predictions/{UNKNOWN}/deliveries"),
    ],
)
def test_field_f26_a_name_that_a_list_does_not_have_is_named(
    app: App, function: str, path: str
) -> None:
    for name, shown in (("created_aftr", "created_aftr"), ("\x1b" * 500, "?" * 60)):
        headers = {"authorization": f"Bearer {ACME}"}
        answer = app.http(function, events.http("GET", path, None, headers, {name: "1"}))
        assert is_problem(answer, 400)
        assert f"parameter {shown}:" in answer.json["detail"]
        assert len(answer.text) < 400


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/models", "/v1/account", "/", "/v1/x"])
def test_field_f33_head_is_get_without_its_body(app: App, path: str) -> None:
    headers = {"authorization": f"Bearer {ACME}"}
    got, head = (
        app.http("read", events.http(method, path, None, headers)) for method in ("GET", "HEAD")
    )
    assert (head.status, head.headers, head.text) == (got.status, got.headers, "")


@pytest.mark.parametrize(
    ("function", "path"),
    [("files", "/v1/files"), ("deliveries", "/v1/predictions/{id}/deliveries")],
)
def test_field_f33_head_comes_to_the_function_that_has_the_get(
    app: App, function: str, path: str
) -> None:
    event = events.http(
        "HEAD",
        path.format(id=app.world.accept().id),
        None,
        {"authorization": f"Bearer {READER}"},
    )
    assert event["routeKey"] == f"HEAD {path}"
    answer = app.http(function, event)
    assert (answer.status, answer.text) == (200, "")


@pytest.mark.parametrize(("token", "status"), [(ACME, 200), (None, 401), (OTHER, 404)])
def test_field_f33_no_answer_may_be_kept(app: App, token: str | None, status: int) -> None:
    answer = app.get(f"/v1/predictions/{app.world.accept().id}", token)
    assert answer.status == status
    assert answer.headers["cache-control"] == "no-store"


def test_an_empty_list(app: App) -> None:
    assert app.get("/v1/predictions").json == {"next": None, "previous": None, "results": []}


def cursor(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x", id="text"),
        pytest.param("%00", id="percent"),
        pytest.param("ä", id="not-ascii"),
        pytest.param("A" * 500, id="long"),
        pytest.param(cursor(), id="no-parts"),
        pytest.param(cursor(1, UNKNOWN), id="two-parts"),
        pytest.param(cursor("1", UNKNOWN, "acme"), id="time-as-text"),
        pytest.param(cursor(True, UNKNOWN, "acme"), id="time-true"),
        pytest.param(cursor(-1, UNKNOWN, "acme"), id="negative-time"),
        pytest.param(cursor(10**40, UNKNOWN, "acme"), id="time-beyond-dynamodb"),
        pytest.param(cursor(1, "x", "acme"), id="no-id"),
        pytest.param(cursor(1, {"S": UNKNOWN}, "acme"), id="object-as-id"),
        pytest.param(cursor(1, UNKNOWN, "other"), id="A25-another-tenants"),
        pytest.param(base64.b64encode(b"\xff\xfe\x00").decode(), id="not-text"),
        pytest.param(base64.b64encode(b"[" * 290).decode(), id="deep"),
        pytest.param(base64.b64encode(b"9" * 290).decode(), id="number"),
    ],
)
def test_a25_a_cursor_that_is_not_ours_is_refused(app: App, text: str) -> None:
    answer = app.get("/v1/predictions", query={"cursor": text})
    assert is_problem(answer, 400)
    assert app.calls == {"FakeControls.api_key": 1}


@pytest.mark.parametrize("path", ["/v1/predictions", f"/v1/predictions/{UNKNOWN}"])
def test_without_a_token_nothing_is_read(app: App, path: str) -> None:
    assert is_problem(app.get(path, token=None), 401)
    assert is_problem(app.get(path, token="dk_unknown"), 401)
    assert not {name for name in app.calls if name.startswith("FakePredictions")}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/v1/predictions", 405),
        ("DELETE", f"/v1/predictions/{UNKNOWN}", 405),
        ("OPTIONS", "/v1/predictions", 405),
        ("TRACE", "/v1/predictions", 405),
        ("GET", f"/v1/predictions/{UNKNOWN}/cancel", 405),
        ("GET", "/v1/models/a/b/predictions", 405),
        ("PATCH", "/v1/files", 405),
        ("GET", "/v1/predictions//", 404),
        ("GET", "//v1/predictions", 404),
        ("GET", "/v1/predictions/a/b", 404),
        ("GET", "/", 404),
        ("GET", "/v2/predictions", 404),
        ("GET", "/.env", 404),
        ("GET", "/hooks/replicate/x", 404),
        ("GET", "/v1/trainings", 404),
        ("POST", "/v1/deployments/a/b/predictions", 404),
        ("GET", "/prod/v1/trainings", 404),
        ("GET", "/a/b/v1/predictions", 404),
        ("POST", "/v1/models", 405),
        ("PATCH", "/v1/models/a/b", 405),
        ("DELETE", "/v1/models/a/b/versions/c", 405),
        ("POST", "/v1/models/a/b/versions/c/trainings", 404),
        ("POST", "/v1/v1/account", 405),
        ("QUERY" * 1000, "/v1/predictions", 405),
    ],
)
def test_a71_paths_and_methods_that_nothing_serves(
    app: App, method: str, path: str, status: int
) -> None:
    event = events.http(method, path, None, {"authorization": f"Bearer {ACME}"})
    assert event["routeKey"] == "$default"
    answer = app.http("read", event)
    assert is_problem(answer, status)
    assert len(answer.text) < 400
    assert not app.calls


def test_a71_a_header_that_names_another_method_is_ignored(app: App) -> None:
    record = app.world.accept()
    headers = {"authorization": f"Bearer {ACME}", "x-http-method-override": "DELETE"}
    answer = app.http("read", events.http("GET", f"/v1/predictions/{record.id}", None, headers))
    assert answer.status == 200


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({}, id="empty"),
        pytest.param({"requestContext": None, "headers": None, "body": None}, id="nulls"),
        pytest.param({"routeKey": "GET /v1/predictions", "headers": {"a": None}}, id="null-header"),
        pytest.param(
            {
                "routeKey": "GET /v1/predictions",
                "multiValueHeaders": {"authorization": [f"Bearer {ACME}", "Bearer x"]},
            },
            id="two-tokens",
        ),
        pytest.param(
            {
                "routeKey": "GET /v1/predictions",
                "headers": {"authorization": f"Bearer {ACME}", "Authorization": "Bearer x"},
            },
            id="two-casings",
        ),
    ],
)
def test_an_event_in_an_unexpected_shape_is_refused_and_not_an_outage(
    app: App, event: dict[str, object]
) -> None:
    answer = app.http("read", event)
    assert 400 <= answer.status < 500
    assert not {name for name in app.calls if name.startswith("FakePredictions")}


def test_whoever_polls_too_often_is_told_to_wait_and_can_still_create(app: App) -> None:
    app.world.controls.tenants["acme"] = Limits(rate_interval_us=60_000_000, rate_burst=1)
    statuses = [app.get("/v1/account").status for _ in range(READS_AT_ONCE + 1)]
    assert statuses == [200] * READS_AT_ONCE + [429]
    assert app.get("/v1/account").headers["retry-after"] == "1"
    assert app.get("/v1/account", OTHER).status == 200
    assert app.submit().status == 201
