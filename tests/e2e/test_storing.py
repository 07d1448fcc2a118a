"""Outputs that fail during the download, and functions that die: the record is always correct."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.waiting import PATIENCE_S, until

if TYPE_CHECKING:
    from tests.e2e.driver import Driver


@pytest.mark.parametrize("fault", ["output_404", "output_truncate", "output_html"])
def test_a_broken_output_is_tried_again_until_it_is_whole(driver: Driver, fault: str) -> None:
    driver.faults(**{fault: 1})
    accepted = driver.submit(f"broken {fault}")
    state = driver.recorded(accepted["id"], lambda item: "store_attempts" in item)
    assert state["state"]["S"] == "storing"
    assert driver.shown(accepted["id"])["output"] is None
    driver.faults()
    shown = driver.finished(accepted["id"])
    assert shown["status"] == "succeeded"
    assert_stored(shown)


def test_an_oversized_output_fails_for_good(driver: Driver) -> None:
    driver.faults(output_oversize=1)
    shown = driver.run("oversized")
    assert (shown["status"], shown["darkroom"]["code"]) == ("failed", "output_too_large")


def test_an_expired_output_is_failed_and_says_so(driver: Driver) -> None:
    driver.faults(webhook_drop=1, output_404=1)
    accepted = driver.submit("expired")

    def over() -> list[dict[str, Any]]:
        return [up for up in driver.made_of("expired") if up["status"] == "succeeded"]

    # The provider deletes the output before the first request.
    until(over)
    driver.emulator.post("/_emulator/expire")
    shown = driver.finished(accepted["id"])
    assert (shown["status"], shown["darkroom"]["code"]) == ("failed", "output_expired")


def test_succeeded_is_never_seen_before_the_bytes_are_stored(driver: Driver) -> None:
    ids = [driver.submit(f"watched {n}", num_outputs=2)["id"] for n in range(4)]
    broken: list[str] = []

    def watch(id_: str) -> None:
        with httpx.Client(trust_env=False, timeout=60) as http:
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                shown = driver.shown(id_)
                if shown["status"] in {"starting", "processing"}:
                    if shown["output"] is not None:
                        broken.append(f"{id_} shows output while {shown['status']}")
                    time.sleep(0.05)
                    continue
                if shown["status"] != "succeeded":
                    broken.append(f"{id_} ended {shown['status']}")
                    return
                for url, file in zip(shown["output"], shown["darkroom"]["files"], strict=True):
                    got = http.get(url)
                    if hashlib.sha256(got.content).hexdigest() != file["sha256"]:
                        broken.append(f"{id_} {url} {got.status_code}")
                return
        broken.append(f"{id_} never ended")

    watchers = [threading.Thread(target=watch, args=(id_,)) for id_ in ids]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
    assert broken == []


@pytest.mark.parametrize("function", ["Relay", "Persist"])
def test_the_sweep_recovers_what_a_dead_function_left(driver: Driver, function: str) -> None:
    """ministack drops the stream records of a failing relay, so only the sweep can continue."""
    with driver.configured(function, Handler="darkroom.handlers.none.no"):
        accepted = driver.submit(f"dead {function}")
        driver.recorded(accepted["id"], lambda item: item["state"]["S"] == "storing")
        assert driver.shown(accepted["id"])["status"] == "processing"
    shown = driver.finished(accepted["id"])
    assert shown["status"] == "succeeded"
    assert_stored(shown)
    done = driver.handed_on(accepted["id"])
    assert done["effects_done"] == {"BOOL": True}


def assert_stored(shown: dict[str, Any]) -> None:
    for url, file in zip(shown["output"], shown["darkroom"]["files"], strict=True):
        got = httpx.get(url, trust_env=False, timeout=60)
        assert got.status_code == 200
        assert hashlib.sha256(got.content).hexdigest() == file["sha256"]
