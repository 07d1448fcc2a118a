"""Requests from a page of another origin, on an embedded cloud that allows one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from local.cloud import EmbeddedCloud
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

ORIGIN = "http://localhost:5173"
ELSEWHERE = "https://elsewhere.example"
MODEL = "black-forest-labs/flux-schnell"
SENT = "authorization,cancel-after,content-type,prefer,user-agent,x-stainless-lang,x-stainless-os"


@pytest.fixture(scope="module")
def open_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    state_dir = tmp_path_factory.mktemp("browsers")
    with EmbeddedCloud(time_scale=0, state_dir=state_dir, origins=(ORIGIN,)) as running:
        yield running


@pytest.fixture
def page(open_cloud: EmbeddedCloud) -> Iterator[httpx.Client]:
    """A client that sends what a browser would for a page of the origin."""
    with httpx.Client(
        base_url=open_cloud.base_url, headers={"origin": ORIGIN}, trust_env=False, timeout=60
    ) as client:
        yield client


def preflight(page: httpx.Client, url: str, method: str, origin: str = ORIGIN) -> httpx.Response:
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": SENT,
    }
    return page.options(url, headers=headers)


def names(answer: httpx.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in answer.headers.get(header, "").split(",")}


def test_field_f27_a_page_of_the_origin_can_use_the_api(
    open_cloud: EmbeddedCloud, page: httpx.Client
) -> None:
    path = f"/v1/models/{MODEL}/predictions"
    allowed = preflight(page, path, "POST")
    assert allowed.status_code in {200, 204}
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert set(SENT.split(",")) <= names(allowed, "access-control-allow-headers")
    token = {"authorization": f"Bearer {open_cloud.token}"}
    made = page.post(path, json={"input": {"prompt": "a pier"}}, headers=token)
    assert made.status_code == 201, made.text
    assert made.headers["access-control-allow-origin"] == ORIGIN
    exposed = {"location", "warning", "idempotent-replayed", "retry-after"}
    assert exposed <= names(made, "access-control-expose-headers")

    def stored() -> Any:
        shown = page.get(f"/v1/predictions/{made.json()['id']}", headers=token).json()
        return shown["output"] if shown["status"] == "succeeded" else None

    (url,) = until(stored)
    picture = page.get(url)
    assert (picture.status_code, picture.headers["access-control-allow-origin"]) == (200, ORIGIN)


def test_field_f27_a_page_of_the_origin_can_send_the_form_of_an_upload(
    open_cloud: EmbeddedCloud, page: httpx.Client
) -> None:
    token = {"authorization": f"Bearer {open_cloud.token}"}
    form = page.post("/v1/uploads", headers=token).json()
    posted = page.post(form["url"], data=form["fields"], files={"file": b"x"})
    assert posted.status_code == 204, posted.text
    assert posted.headers["access-control-allow-origin"] == ORIGIN
    assert preflight(page, form["url"], "POST").status_code == 200


def test_a_page_of_another_origin_can_send_a_form_alone(
    open_cloud: EmbeddedCloud, page: httpx.Client
) -> None:
    """The console's door lets it, since the signed form is the right to send it."""
    form = page.post("/v1/uploads", headers={"authorization": f"Bearer {open_cloud.token}"}).json()
    bucket = urlsplit(form["url"]).path
    for path, method, origin in (
        ("/v1/predictions", "POST", ELSEWHERE),
        (bucket, "GET", ELSEWHERE),
        (bucket, "PUT", ORIGIN),
    ):
        answer = preflight(page, path, method, origin)
        assert "access-control-allow-origin" not in answer.headers
    assert preflight(page, bucket, "POST", ELSEWHERE).status_code == 200
    other = {"origin": ELSEWHERE}
    posted = page.post(form["url"], data=form["fields"], files={"file": b"x"}, headers=other)
    assert posted.status_code == 204
    assert posted.headers["access-control-allow-origin"] == ELSEWHERE
