"""GET: one prediction, a page of them, and every path that nothing serves."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from darkroom.domain.money import Limits
from darkroom.services.limits import READS_AT_ONCE

from tests import events, versions
from tests.unit.handlers.conftest import ACME, OTHER, READER
from tests.unit.handlers.test_submit import is_problem
from tests.world import PUBLIC_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.handlers.conftest import App

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


def test_before_the_files_are_stored_none_of_the_providers_urls_shows(app: App) -> None:
    record = app.world.accept()
    app.world.succeed(str(record.provider_id))
    app.world.webhook(record.id, str(record.provider_id))
    answer = app.get(f"/v1/predictions/{record.id}")
    assert answer.json["status"] == "processing"
    assert answer.json["output"] is None
    assert answer.json["completed_at"] is None


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
    """Pictures inline make records of hundreds of kilobytes."""
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
        ("HEAD", "/v1/predictions", 405),
        ("OPTIONS", "/v1/predictions", 405),
        ("TRACE", "/v1/predictions", 405),
        ("GET", f"/v1/predictions/{UNKNOWN}/cancel", 405),
        ("GET", "/v1/models/a/b/predictions", 405),
        ("PATCH", "/v1/files", 405),
        ("GET", "/v1/predictions/", 404),
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
