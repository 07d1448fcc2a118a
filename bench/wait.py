"""The cost of a hundred waits for the embedded cloud's predictions, and the delay of their
answers."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from darkroom.aws.predictions import DynamoPredictions

from bench.report import Result
from local.cloud import EmbeddedCloud

if TYPE_CHECKING:
    from collections.abc import Callable

PREDICTIONS, WAITERS = 20, 100
ROUNDS = 3
LIMIT_S = 120.0
SLOWER = 1.3
"""Maximum factor on the predictions' duration with waiters."""
LATE_S = 1.8
"""Maximum delay from the commit to the answer, for the 95th percentile."""
MODEL = "black-forest-labs/flux-schnell"
OVER = frozenset({"succeeded", "failed", "canceled"})
METHOD = (
    f"Embedded cloud, front included, and its clients on one machine; {PREDICTIONS} predictions of "
    f"{MODEL} created at once, their time from the first POST to the commit of `succeeded`; rounds "
    f"without and with {WAITERS} clients that wait, {ROUNDS} of each by turns after one that warms "
    "up"
)


@dataclass
class Round:
    """Measurements of one round, in seconds."""

    ends: list[float]
    """From the first POST to the commit of each prediction's end, in order."""
    late: list[float] = field(default_factory=list)
    """From that commit to each waiter's answer."""
    asked: int = 0
    """Waits, including those without news and rejected ones."""
    turned_away: int = 0


def run(progress: Callable[[str], None]) -> list[Result]:
    """Return `wait.{median,last}` with their ratio to the rounds without waiters, and
    `wait.late_p95`."""
    alone: list[Round] = []
    beside: list[Round] = []
    with (
        tempfile.TemporaryDirectory() as state,
        EmbeddedCloud(state_dir=Path(state), say=progress) as cloud,
    ):
        asyncio.run(_round(cloud, 0))
        for number in range(ROUNDS):
            for waiters, rounds in ((0, alone), (WAITERS, beside)):
                made = asyncio.run(_round(cloud, waiters))
                rounds.append(made)
                progress(f"round {number + 1} of {ROUNDS}, {waiters} waiters: {_told(made)}")
    return _results(alone, beside)


def _told(made: Round) -> str:
    ends = f"median {statistics.median(made.ends):.2f} s, last {made.ends[-1]:.2f} s"
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    if not made.late:
        return f"{ends}; {load}"
    late = f"late {statistics.median(made.late):.2f} s, p95 {_p95(made.late):.2f} s"
    return f"{ends}; {late}, {made.asked} waits, {made.turned_away} turned away; {load}"


def _results(alone: list[Round], beside: list[Round]) -> list[Result]:
    """Return the median of the rounds' figures, because another program's burst affects a single
    round."""

    def ends(name: str, figure: Callable[[list[float]], float], told: str) -> Result:
        without = statistics.median(figure(one.ends) for one in alone)
        with_them = statistics.median(figure(one.ends) for one in beside)
        method = f"{METHOD}: {told}; ratio to the rounds without, at most {SLOWER}."
        return Result(name, round(with_them, 2), "s", round(with_them / without, 3), method)

    late = [_p95(one.late) for one in beside]
    told = f"{METHOD}: from that commit to a waiter's answer; at most {LATE_S}."
    return [
        ends("wait.median", statistics.median, "the median of the predictions"),
        ends("wait.last", max, "the last of the predictions"),
        Result("wait.late_p95", round(statistics.median(late), 2), "s", None, told),
    ]


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


async def _round(cloud: EmbeddedCloud, waiters: int) -> Round:
    async with httpx.AsyncClient(
        base_url=cloud.base_url,
        headers={"authorization": f"Bearer {cloud.token}"},
        trust_env=False,
        timeout=60,
        limits=httpx.Limits(max_connections=None),
    ) as api:
        began = time.time()
        made = await asyncio.gather(*(_made(api) for _ in range(PREDICTIONS)))
        found = Round([])
        urls = [made[number % PREDICTIONS]["urls"]["watch"] for number in range(waiters)]
        waits = [asyncio.create_task(_heard(api, url, found)) for url in urls]
        ids = [one["id"] for one in made]
        ended = await _ended(cloud, ids)
        heard = await asyncio.gather(*waits)
    found.ends = sorted(at - began for at in ended.values())
    found.late = [at - ended[ids[number % PREDICTIONS]] for number, at in enumerate(heard)]
    return found


async def _made(api: httpx.AsyncClient) -> dict[str, Any]:
    body = {"version": MODEL, "input": {"prompt": "a lighthouse"}}
    answer = await api.post("/v1/predictions", json=body)
    return dict(answer.raise_for_status().json())


async def _heard(api: httpx.AsyncClient, url: str, found: Round) -> float:
    """Return the time at which the end was reported, as in the page of docs/waiting.md."""
    while True:
        found.asked += 1
        answer = await api.get(f"{url}&seconds=25")
        if answer.status_code == 503:
            found.turned_away += 1
            await asyncio.sleep(1)
        elif answer.raise_for_status().json()["status"] in OVER:
            return time.time()


async def _ended(cloud: EmbeddedCloud, ids: list[str]) -> dict[str, float]:
    """Return the time of the commit of each prediction's end, read from the table."""
    store = DynamoPredictions(cloud.client("dynamodb"), cloud.outputs["PredictionsTable"])
    until = time.monotonic() + LIMIT_S
    while True:
        records = list(await asyncio.to_thread(store.get_many, ids))
        if all(record.state.terminal for record in records):
            return {record.id: record.updated_at / 1000 for record in records}
        if time.monotonic() > until:
            raise RuntimeError(f"some of {len(ids)} predictions have not ended in {LIMIT_S:.0f} s")
        await asyncio.sleep(0.5)
