"""Callbacks to a receiver on this machine: signed, retried, abandoned, redelivered."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from ops.callbacks import rotate
from tests.e2e.test_creates import SCHNELL
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from local.cloud import EmbeddedCloud


@dataclass
class Receiver:
    """A client's endpoint. It answers `answers` in turn, then 204."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]


@contextmanager
def receiving(*answers: int) -> Iterator[Receiver]:
    receiver = Receiver(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status = receiver.answers.pop(0) if receiver.answers else 204
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        yield receiver
        server.shutdown()
        thread.join()


def create(api: httpx.Client, url: str, *events: str) -> str:
    body = {
        "version": SCHNELL,
        "input": {"prompt": "callback"},
        "webhook": url,
        "webhook_events_filter": list(events),
    }
    answer = api.post("/v1/predictions", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def deliveries(api: httpx.Client, id_: str) -> dict[str, dict[str, Any]]:
    answer = api.get(f"/v1/predictions/{id_}/deliveries")
    assert answer.status_code == 200, answer.text
    return {row["event"]: row for row in answer.json()["results"]}


def state(api: httpx.Client, id_: str) -> str | None:
    row = deliveries(api, id_).get("completed")
    return row["state"] if row else None


@pytest.fixture
def secret(api: httpx.Client) -> str:
    return str(api.get("/v1/webhooks/default/secret").json()["key"])


def test_a_callback_comes_once_and_can_be_verified(
    api: httpx.Client, secret: str, finished: Callable[..., dict[str, Any]]
) -> None:
    with receiving() as receiver:
        id_ = create(api, f"{receiver.url}?order=7", "completed")
        until(lambda: state(api, id_) == "delivered")
        assert receiver.ids == [f"{id_}_completed"]
        ((headers, raw),) = receiver.got
    body = Webhook(secret).verify(raw, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(raw + b" ", headers)
    shown = finished(id_)
    assert body["webhook"] == f"{receiver.url}?order=7"
    # The URLs differ, because they are created anew each time.
    assert [without_urls(body), len(body["output"])] == [without_urls(shown), 1]
    assert api.get(body["output"][0]).status_code == 200


def without_urls(shown: dict[str, Any]) -> dict[str, Any]:
    """Return it without URLs, and without the fields for waiting: the watch URL and the
    revision."""
    urls = {name: value for name, value in shown["urls"].items() if name != "watch"}
    ours = {name: value for name, value in shown["darkroom"].items() if name != "revision"}
    kept = {name: value for name, value in shown.items() if name != "output"}
    return kept | {"urls": urls, "darkroom": ours}


def test_all_events_of_a_prediction_are_told_and_the_end_is_the_last(
    api: httpx.Client, set_faults: Callable[..., None]
) -> None:
    set_faults(time_scale=1.5)
    with receiving() as receiver:
        id_ = create(api, receiver.url, "start", "output", "logs", "completed")
        until(lambda: state(api, id_) == "delivered")
        rows = deliveries(api, id_)
        until(lambda: all(row["state"] != "pending" for row in deliveries(api, id_).values()))
    statuses = [body["status"] for body in receiver.bodies]
    assert statuses[-1] == "succeeded"
    assert statuses.count("succeeded") == 1
    assert set(statuses[:-1]) == {"processing"}
    assert f"{id_}_start" in receiver.ids
    assert len(set(receiver.ids)) == len(receiver.ids)
    assert any(event.startswith("logs-") for event in rows)
    told = {
        name.rpartition("-")[2]: body["logs"]
        for name, body in zip(receiver.ids, receiver.bodies, strict=True)
        if "_logs-" in name
    }
    assert told
    # Each shows the logs of its own revision, whenever it was sent, and logs only grow.
    sizes = [len(told[revision]) for revision in sorted(told)]
    assert sizes == sorted(set(sizes))


def test_a_receiver_that_fails_is_called_again_with_the_same_id(
    api: httpx.Client, secret: str
) -> None:
    with receiving(500, 302) as receiver:
        id_ = create(api, receiver.url, "completed")
        until(lambda: len(receiver.got) >= 2)
        until(lambda: state(api, id_) == "delivered")
    assert receiver.ids == [f"{id_}_completed"] * 3
    for headers, raw in receiver.got:
        assert Webhook(secret).verify(raw, headers)["status"] == "succeeded"
    row = deliveries(api, id_)["completed"]
    assert [attempt["status"] for attempt in row["history"]] == [500, 302, 204]
    assert (row["attempts"], row["next_at"]) == (3, None)


def test_one_job_that_is_gone_silences_no_other(api: httpx.Client) -> None:
    with receiving(410) as receiver:
        first = create(api, f"{receiver.url}?id=1", "completed")
        until(lambda: state(api, first) == "failed")
        second = create(api, f"{receiver.url}?id=2", "completed")
        until(lambda: state(api, second) == "delivered")
    assert receiver.ids == [f"{first}_completed", f"{second}_completed"]


def test_an_address_that_is_gone_is_called_again_only_when_asked(api: httpx.Client) -> None:
    with receiving(410, 410, 410) as receiver:
        gone = []
        for ends in ("failed", "failed", "disabled"):
            gone.append(create(api, receiver.url, "completed"))
            until(lambda ends=ends: state(api, gone[-1]) == ends)  # type: ignore[misc]
        last = create(api, receiver.url, "completed")
        until(lambda: state(api, last) == "disabled")
        assert receiver.ids == [f"{id_}_completed" for id_ in gone]
        again = api.post(f"/v1/predictions/{last}/deliveries/completed/redeliver")
        assert again.status_code == 202
        assert again.json()["state"] == "pending"
        until(lambda: state(api, last) == "delivered")
        assert receiver.ids[3:] == [f"{last}_completed"]
        assert state(api, gone[-1]) == "disabled"


def test_a_rotated_secret_and_the_one_before_both_verify(
    cloud: EmbeddedCloud, api: httpx.Client, secret: str
) -> None:
    table = cloud.outputs["ControlsTable"]
    rotate(cloud.client("dynamodb"), table, "local", overlap_hours=1)
    new = str(api.get("/v1/webhooks/default/secret").json()["key"])
    assert new != secret
    with receiving() as receiver:
        id_ = create(api, receiver.url, "completed")
        until(lambda: state(api, id_) == "delivered")
    ((headers, raw),) = receiver.got
    assert Webhook(new).verify(raw, headers) == Webhook(secret).verify(raw, headers)
    rotate(cloud.client("dynamodb"), table, "local", overlap_hours=0)


def test_another_name_for_a_private_address_is_never_called(api: httpx.Client) -> None:
    answer = api.post(
        "/v1/predictions",
        json={"version": SCHNELL, "input": {"prompt": "x"}, "webhook": "http://127.0.0.2:1/"},
    )
    assert answer.status_code == 422
