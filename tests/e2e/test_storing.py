"""Outputs that fail during the download, and functions that die: the record is always correct."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.test_creates import submit
from tests.e2e.waiting import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.cloud import EmbeddedCloud


@pytest.mark.parametrize("fault", ["output_404", "output_truncate", "output_html"])
def test_a_broken_output_is_tried_again_until_it_is_whole(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    set_faults: Callable[..., None],
    finished: Callable[..., dict[str, Any]],
    fault: str,
) -> None:
    set_faults(**{fault: 1})
    accepted = submit(api, f"broken {fault}")
    state = wait_for(cloud, accepted["id"], lambda item: "store_attempts" in item)
    assert state["state"]["S"] == "storing"
    assert api.get(f"/v1/predictions/{accepted['id']}").json()["output"] is None
    set_faults()
    shown = finished(accepted["id"])
    assert shown["status"] == "succeeded"
    assert_stored(shown)


def test_an_oversized_output_fails_for_good(
    api: httpx.Client,
    set_faults: Callable[..., None],
    finished: Callable[..., dict[str, Any]],
) -> None:
    set_faults(output_oversize=1)
    shown = finished(submit(api, "oversized")["id"])
    assert (shown["status"], shown["darkroom"]["code"]) == ("failed", "output_too_large")


def test_an_expired_output_is_failed_and_says_so(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
) -> None:
    set_faults(webhook_drop=1, output_404=1)
    accepted = submit(api, "expired")

    def over() -> list[dict[str, Any]]:
        made = [up for up in upstream() if up["input"].get("prompt") == "expired"]
        return [up for up in made if up["status"] == "succeeded"]

    # The provider deletes the output before the first request.
    until(over)
    httpx.post(f"{cloud.replicate_url}/_emulator/expire", trust_env=False)
    shown = finished(accepted["id"])
    assert (shown["status"], shown["darkroom"]["code"]) == ("failed", "output_expired")


def test_succeeded_is_never_seen_before_the_bytes_are_stored(
    api: httpx.Client,
    set_faults: Callable[..., None],
) -> None:
    set_faults()
    ids = [submit(api, f"watched {n}", num_outputs=2)["id"] for n in range(4)]
    broken: list[str] = []

    def watch(id_: str) -> None:
        with httpx.Client(trust_env=False) as http:
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                shown = api.get(f"/v1/predictions/{id_}").json()
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


@pytest.mark.parametrize("function", ["FunctionRelay", "FunctionPersist"])
def test_the_sweep_recovers_what_a_dead_function_left(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    set_faults: Callable[..., None],
    finished: Callable[..., dict[str, Any]],
    function: str,
) -> None:
    """ministack drops the stream records of a failing relay, so only the sweep can continue."""
    set_faults()
    name = cloud.outputs[function]
    functions = cloud.client("lambda")
    kept = functions.get_function_configuration(FunctionName=name)
    functions.update_function_configuration(FunctionName=name, Handler="darkroom.handlers.none.no")
    accepted = submit(api, f"dead {function}")
    wait_for(cloud, accepted["id"], lambda item: item["state"]["S"] == "storing")
    assert api.get(f"/v1/predictions/{accepted['id']}").json()["status"] == "processing"
    functions.update_function_configuration(FunctionName=name, Handler=kept["Handler"])
    shown = finished(accepted["id"])
    assert shown["status"] == "succeeded"
    assert_stored(shown)
    done = wait_for(cloud, accepted["id"], lambda item: "due_at" not in item)
    assert done["effects_done"] == {"BOOL": True}


def assert_stored(shown: dict[str, Any]) -> None:
    for url, file in zip(shown["output"], shown["darkroom"]["files"], strict=True):
        got = httpx.get(url, trust_env=False)
        assert got.status_code == 200
        assert hashlib.sha256(got.content).hexdigest() == file["sha256"]


def wait_for(
    cloud: EmbeddedCloud, id_: str, holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    dynamodb, table = cloud.client("dynamodb"), cloud.outputs["PredictionsTable"]

    def held() -> dict[str, Any] | None:
        key = {"id": {"S": id_}}
        item: dict[str, Any] = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)[
            "Item"
        ]
        return item if holds(item) else None

    return dict(until(held))
