"""What a hundred waits cost the embedded cloud's predictions, and how late their answers come."""

from __future__ import annotations

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from darkroom.adapters.predictions import DynamoPredictions

from bench.report import Result
from local.cloud import EmbeddedCloud

if TYPE_CHECKING:
    from collections.abc import Callable

PREDICTIONS, WAITERS = 20, 100
ROUNDS = 2
BODY = {"version": "black-forest-labs/flux-schnell", "input": {"prompt": "a lighthouse"}}
OVER = {"succeeded", "failed", "canceled"}
METHOD = (
    f"Embedded cloud, {PREDICTIONS} predictions of flux-schnell created at once, without and with "
    f"{WAITERS} clients at their watch URLs, alternating, best of {ROUNDS} rounds each"
)


def run(progress: Callable[[str], None]) -> list[Result]:
    """Rounds without and with waiters alternate, so that a busy machine meets both."""
    alone: list[float] = []
    beside: list[float] = []
    late: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedCloud(state_dir=Path(folder), say=progress) as cloud,
    ):
        _round(cloud, 0)  # starts the functions' workers
        for number in range(ROUNDS):
            progress(f"round {number + 1} of {ROUNDS}")
            alone.append(_round(cloud, 0)[0])
            took, answers = _round(cloud, WAITERS)
            beside.append(took)
            late += answers
    late.sort()
    p95 = late[int(len(late) * 0.95)]
    slower = min(beside) / min(alone)
    return [
        Result("waiting.end", round(min(beside), 2), "s", round(slower, 3), f"{METHOD}: the end."),
        Result(
            "waiting.late_p95",
            round(p95, 2),
            "s",
            None,
            f"{METHOD}: from the commit of a prediction's end to a waiter's answer.",
        ),
    ]


def _round(cloud: EmbeddedCloud, waiters: int) -> tuple[float, list[float]]:
    """Seconds until the last prediction's end, and how late each waiter heard of its own."""
    table = cloud.outputs["PredictionsTable"]
    store = DynamoPredictions(cloud.client("dynamodb"), table)
    with (
        httpx.Client(
            base_url=cloud.base_url,
            headers={"authorization": f"Bearer {cloud.token}"},
            trust_env=False,
            timeout=120,
            limits=httpx.Limits(max_connections=None),
        ) as api,
        ThreadPoolExecutor(PREDICTIONS + WAITERS) as pool,
    ):
        began, all_over = time.time(), threading.Event()
        created = [pool.submit(lambda: _made(api)) for _ in range(PREDICTIONS)]
        made = [one.result() for one in created]
        waits = [
            pool.submit(_heard, api, made[number % PREDICTIONS]["urls"]["watch"])
            for number in range(waiters)
        ]
        ids = [one["id"] for one in made]
        while not all(record.state.terminal for record in store.get_many(ids)):
            all_over.wait(0.5)
        ends = {record.id: record.updated_at / 1000 for record in store.get_many(ids)}
        late = [
            max(0.0, heard.result() - ends[ids[number % PREDICTIONS]])
            for number, heard in enumerate(waits)
        ]
    return max(ends.values()) - began, late


def _made(api: httpx.Client) -> dict[str, Any]:
    answer = api.post("/v1/predictions", json=BODY)
    answer.raise_for_status()
    return dict(answer.json())


def _heard(client: httpx.Client, url: str) -> float:
    """When the end was told."""
    while client.get(url).json()["status"] not in OVER:
        pass
    return time.time()
