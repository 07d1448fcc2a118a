"""Paths through the gateway: base paths, routes left out, and streams of the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.driver import SCHNELL as MODEL

if TYPE_CHECKING:
    from tests.e2e.driver import Driver

STREAMS = "emulator/stream-text"


@pytest.mark.parametrize("base", ["/v1", "/prod"])
def test_every_way_in_is_served_below_a_base_path(driver: Driver, base: str) -> None:
    body = {"input": {"prompt": "a lighthouse"}}
    made = driver.api.post(f"{base}/v1/models/{MODEL}/predictions", json=body)
    assert made.status_code == 201, made.text
    id_ = made.json()["id"]
    assert made.json()["urls"]["get"] == f"{driver.cloud.base_url}/v1/predictions/{id_}"
    shown = driver.api.get(f"{base}/v1/predictions/{id_}")
    assert (shown.status_code, shown.json()["id"]) == (200, id_)
    assert driver.api.post(f"{base}/v1/predictions/{id_}/cancel").status_code == 200
    for path in ("/v1/models", f"/v1/models/{MODEL}/versions", "/v1/account", "/v1/files"):
        assert driver.api.get(base + path).json() == driver.api.get(path).json()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/trainings", 404),
        ("GET", "/v1/v1/hardware", 404),
        ("POST", "/v1/deployments/a/b/predictions", 404),
        ("QUERY", "/v1/models", 405),
        ("POST", "/v1/models", 405),
        ("DELETE", f"/v1/models/{MODEL}", 405),
        ("GET", f"/v1/models/{MODEL}/readme", 404),
        ("GET", "/v1/predictions//", 404),
        ("POST", "/v1/predictions/a/b/c", 404),
        ("GET", "/v1/a%0Ab", 404),
        ("GET", "/%00", 404),
        ("PUT", "/somewhere", 404),
    ],
)
def test_a_path_that_is_not_served_is_answered_with_a_problem_and_no_token(
    driver: Driver, method: str, path: str, status: int
) -> None:
    answer = driver.anyone.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_field_f31_and_f33_other_spellings_of_a_request(driver: Driver) -> None:
    body = {"version": MODEL, "input": {"prompt": "a lighthouse"}}
    made = driver.api.post("/v1/predictions/", json=body)
    assert made.status_code == 201, made.text
    id_ = made.json()["id"]
    assert driver.api.get(f"/v1/predictions/{id_}/").json()["id"] == id_
    assert driver.api.post(f"/v1/v1/predictions/{id_}/cancel/").status_code == 200
    for path in ("/v1/predictions", f"/v1/predictions/{id_}", "/v1/files/", "/v1/models"):
        got, head = driver.api.get(path), driver.api.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["cache-control"] == got.headers["cache-control"] == "no-store"
    assert driver.api.head(f"/v1/predictions/{'0' * 26}/deliveries").status_code == 404


def test_a_model_that_streams_shows_the_providers_own_stream(driver: Driver) -> None:
    """The client connects to the provider itself, so no connection of ours stays open."""
    version = driver.api.get(f"/v1/models/{STREAMS}").json()["latest_version"]["id"]
    body = {"version": f"{STREAMS}:{version}", "input": {"prompt": "four words are here"}}
    made = driver.api.post("/v1/predictions", json=body)
    assert made.status_code == 201, made.text
    stream = made.json()["urls"]["stream"]
    assert stream.startswith(driver.cloud.replicate_url)
    sent = httpx.get(
        stream, headers={"accept": "text/event-stream"}, trust_env=False, timeout=60
    ).text
    assert "event: output" in sent
    assert "event: done" in sent
    shown = driver.finished(made.json()["id"])
    assert shown["status"] == "succeeded", shown["error"]
    assert shown["urls"]["stream"] == stream
    assert "".join(shown["output"])


def test_a_prediction_without_a_stream_has_no_url_for_one(driver: Driver) -> None:
    """Replicate's Python client 1.x accepts no null among the URLs."""
    made = driver.api.post(
        f"/v1/models/{MODEL}/predictions", json={"input": {"prompt": "still"}}
    ).json()
    shown = driver.finished(made["id"])
    for urls in (made["urls"], shown["urls"]):
        assert None not in urls.values()
