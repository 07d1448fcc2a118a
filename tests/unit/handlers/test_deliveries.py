"""GET /v1/predictions/{id}/deliveries and POST …/{event}/redeliver; callback URLs on create."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.callback import EVENTS

from tests.support import events, fakes
from tests.support.app import ACME, GOOD, OTHER, READER, Answer, is_problem

if TYPE_CHECKING:
    from tests.support.app import App

HOOK = "https://client.example/hook?order=7"
UNKNOWN = "0" * 26


def call(app: App, method: str, path: str, token: str | None) -> Answer:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return app.http("deliveries", events.http(method, path, None, headers))


def history(app: App, id_: str, token: str | None = ACME) -> Answer:
    return call(app, "GET", f"/v1/predictions/{id_}/deliveries", token)


def redeliver(app: App, id_: str, event: str = "completed", token: str | None = ACME) -> Answer:
    return call(app, "POST", f"/v1/predictions/{id_}/deliveries/{event}/redeliver", token)


def ended(app: App) -> str:
    record = app.world.accept(webhook=HOOK)
    app.world.provider.finish(str(record.provider_id), "failed")
    app.world.webhook(record.id, str(record.provider_id))
    app.world.settle()
    return record.id


def test_a_history_is_a_page_of_rows(app: App) -> None:
    answer = history(app, ended(app), READER)
    assert answer.status == 200
    assert answer.json["next"] is answer.json["previous"] is None
    (row,) = answer.json["results"]
    assert (row["event"], row["state"], row["attempts"]) == ("completed", "delivered", 1)
    assert row["history"][0]["status"] == 200
    assert "client.example" not in answer.text


def test_a_redelivery_is_accepted_and_made(app: App) -> None:
    id_ = ended(app)
    answer = redeliver(app, id_)
    assert answer.status == 202
    assert (answer.json["state"], answer.json["attempts"]) == ("pending", 0)
    app.world.settle()
    assert [headers["webhook-id"] for _, headers, _ in app.world.callbacks.posts] == [
        f"{id_}_completed"
    ] * 2


@pytest.mark.parametrize("event", ["start", "nothing", "completed%00", "logs-000009"])
def test_a_redelivery_of_what_was_never_owed(app: App, event: str) -> None:
    assert is_problem(redeliver(app, ended(app), event), 404)
    assert len(app.world.callbacks.posts) == 1


def test_a_redelivery_that_its_end_has_superseded(app: App) -> None:
    record = app.world.accept(webhook=HOOK, webhook_events=EVENTS)
    app.world.provider.upstream[str(record.provider_id)]["status"] = "processing"
    app.world.webhook(record.id, str(record.provider_id))
    app.world.run_stream()
    app.world.provider.finish(str(record.provider_id), "failed")
    app.world.webhook(record.id, str(record.provider_id))
    app.world.settle()
    assert is_problem(redeliver(app, record.id, "start"), 422)


@pytest.mark.parametrize("act", [history, redeliver])
def test_a62_another_tenants_deliveries_are_unknown_ones(
    app: App, monkeypatch: pytest.MonkeyPatch, act: Any
) -> None:
    id_ = ended(app)
    calls: list[str] = []
    for name in ("get", "of", "write"):
        monkeypatch.setattr(
            fakes.FakeDeliveries, name, lambda *_, name=name, **__: calls.append(name)
        )
    app.world.delivered.limits.of("other")  # Read once in half a minute, for any request.
    seen = []
    for other in (id_, UNKNOWN, "x"):
        app.calls.clear()
        seen.append((act(app, other, token=OTHER), dict(app.calls)))
    assert seen[0] == seen[1]
    assert all(is_problem(answer, 404) for answer, _ in seen)
    assert calls == []


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("dk_unknown", 401), (READER, 403)])
def test_who_may_not_redeliver(app: App, token: str | None, status: int) -> None:
    id_ = ended(app)
    assert is_problem(redeliver(app, id_, token=token), status)
    assert app.world.deliveries.rows[id_, "completed"].state == "delivered"


def test_no_filter_means_all_events(app: App) -> None:
    answer = app.submit({**GOOD, "webhook": HOOK})
    assert app.world.record(answer.json["id"]).webhook_events == EVENTS
    assert app.world.provider.creates[0]["events"] == sorted(EVENTS)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://client.example/", id="A28-http"),
        pytest.param("http://127.0.0.1:9/", id="A28-loopback-in-a-deployed-stage"),
        pytest.param("file:///etc/passwd", id="A29-file"),
        pytest.param("gopher://client.example/", id="A29-gopher"),
        pytest.param("ftp://client.example/", id="A29-ftp"),
        pytest.param("data:text/plain,x", id="A29-data"),
        pytest.param("blob:https://client.example/x", id="A29-blob"),
        pytest.param("https://user@client.example/", id="A30-user"),
        pytest.param("https://user:password@client.example/", id="A30-password"),
        pytest.param("https://client.example:8443/", id="A31-port"),
        pytest.param("https://client.example:99999/", id="A31-port-out-of-range"),
        pytest.param("https://169.254.169.254/", id="A32-metadata"),
        pytest.param("https://[fd00:ec2::254]/", id="A32-metadata-6"),
        pytest.param("https://127.0.0.1/", id="A33-loopback"),
        pytest.param("https://[::1]/", id="A33-loopback-6"),
        pytest.param("https://0.0.0.0/", id="A33-any"),
        pytest.param("https://2130706433/", id="A34-decimal"),
        pytest.param("https://017700000001/", id="A34-octal"),
        pytest.param("https://0x7f000001/", id="A34-hex"),
        pytest.param("https://127.1/", id="A34-short"),
        pytest.param("https://127.0.0.0x1/", id="A34-hex-part"),
        pytest.param("https://169。254。169。254/", id="A35-ideographic-stop"),
        pytest.param("https://①②⑦.0.0.1/", id="A36-circled-digits"),
        pytest.param("https://[::ffff:169.254.169.254]/", id="A37-mapped"),
        pytest.param("https://[64:ff9b::a9fe:a9fe]/", id="A38-nat64"),
        pytest.param("https://100.64.0.1/", id="A39-shared"),
        pytest.param("https://client.example\\@evil.example/", id="A45-backslash"),
        pytest.param("https://client.example./", id="A46-trailing-dot"),
        pytest.param("https://" + "a" * 64 + ".example/", id="A46-long-label"),
        pytest.param("https://" + "a." * 130 + "example/", id="A46-long-name"),
        pytest.param("https://localhost/", id="A46-localhost"),
        pytest.param("https://x.localhost/", id="A46-below-localhost"),
        pytest.param("https://metadata.google.internal/", id="A46-internal"),
        pytest.param("https://printer.local/", id="A46-local"),
        pytest.param("https://clíent.example/", id="A46-homograph"),
        pytest.param("https://client.example/a b", id="space"),
        pytest.param("https://client.example/\n", id="line-break"),
        pytest.param("https://", id="no-host"),
        pytest.param("client.example", id="no-scheme"),
        pytest.param("", id="empty"),
    ],
)
def test_a_callback_url_is_refused_before_anything_is_done(app: App, url: str) -> None:
    answer = app.submit({**GOOD, "webhook": url})
    assert is_problem(answer, 422)
    assert answer.json["invalid_fields"][0]["field"] == "webhook"
    assert app.untouched


@pytest.mark.parametrize(
    "url",
    [
        "https://client.example",
        "https://Client.Example:443/a?b=c#d",
        "https://xn--clent-6sa.example/",
        "https://a_b.xn--p1ai/",
        "https://1.2.3.4.example.com/",
    ],
)
def test_a_callback_url_of_a_public_name(app: App, url: str) -> None:
    answer = app.submit({**GOOD, "webhook": url})
    assert answer.status == 201
    assert app.world.record(answer.json["id"]).webhook == url
