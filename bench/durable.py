"""Time from the provider's `completed_at` to `succeeded`, on the embedded cloud, by stage."""

from __future__ import annotations

import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from darkroom.aws.items import read_prediction
from darkroom.domain.prediction import State

from bench.report import Result
from local.cloud import EmbeddedCloud

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction

MODEL = "black-forest-labs/flux-schnell"
RUNS = 40
WARM_UP = 3
LIMIT_S = 30.0
STAGES = {
    "webhook": "completed_at to `storing`: Replicate's call, the gateway, the proof, the write",
    "handover": "`storing` to the output being asked for: stream, relay, queue, persist's start",
    "copy": "the output being asked for to `succeeded`: download, S3, the write",
}


def run(progress: Callable[[str], None]) -> list[Result]:
    """Return medians and 95th percentiles of the total and of each stage."""
    with (
        tempfile.TemporaryDirectory() as state,
        EmbeddedCloud(time_scale=0.05, state_dir=Path(state), say=progress) as cloud,
        httpx.Client(
            base_url=cloud.base_url,
            headers={"authorization": f"Bearer {cloud.token}"},
            trust_env=False,
            timeout=30,
        ) as api,
    ):
        ids = []
        for number in range(WARM_UP + RUNS):
            progress(f"prediction {number + 1} of {WARM_UP + RUNS}")
            ids.append(_make(api))
        written = _written(cloud)
        asked = _asked(cloud)
    times = [_stages(written[id_], asked) for id_ in ids[WARM_UP:]]
    return _results(times)


def _make(api: httpx.Client) -> str:
    """Create one prediction and wait for it. One at a time, to measure a path and not a queue."""
    body = {"version": MODEL, "input": {"prompt": "a lighthouse"}}
    made = api.post("/v1/predictions", json=body).raise_for_status().json()
    ends = time.monotonic() + LIMIT_S
    while made["status"] != "succeeded":
        if made["status"] in {"failed", "canceled"} or time.monotonic() > ends:
            raise RuntimeError(f"{made['id']}: {made['status']} {made['error']}")
        time.sleep(0.1)
        made = api.get(f"/v1/predictions/{made['id']}").raise_for_status().json()
    return str(made["id"])


def _written(cloud: EmbeddedCloud) -> dict[str, dict[State, Prediction]]:
    """Return each record as first written in each state, from the table's stream."""
    table = cloud.client("dynamodb").describe_table(TableName=cloud.outputs["PredictionsTable"])
    stream = table["Table"]["LatestStreamArn"]
    client = cloud.client("dynamodbstreams")
    found: dict[str, dict[State, Prediction]] = {}
    for shard in client.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]:
        iterator = client.get_shard_iterator(
            StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        ).get("ShardIterator")
        while iterator:
            page = client.get_records(ShardIterator=iterator)
            for record in page["Records"]:
                image = record["dynamodb"].get("NewImage")
                if image:
                    written = read_prediction(image)
                    found.setdefault(written.id, {}).setdefault(written.state, written)
            iterator = page.get("NextShardIterator") if page["Records"] else None
    return found


def _asked(cloud: EmbeddedCloud) -> dict[str, float]:
    """Return when each output was first requested, in milliseconds, by its path."""
    answer = httpx.get(f"{cloud.replicate_url}/_emulator/requests", trust_env=False)
    return {call["path"]: 1000 * call["time"] for call in answer.json() if call["method"] == "GET"}


def _stages(states: dict[State, Prediction], asked: dict[str, float]) -> dict[str, float]:
    storing, stored = states[State.STORING], states[State.SUCCEEDED]
    completed = datetime.fromisoformat(str(storing.completed_at)).timestamp() * 1000
    fetched = next(at for path, at in asked.items() if path in str(storing.output))
    return {
        "webhook": storing.updated_at - completed,
        "handover": fetched - storing.updated_at,
        "copy": stored.updated_at - fetched,
        "total": stored.updated_at - completed,
    }


def _results(times: list[dict[str, float]]) -> list[Result]:
    method = (
        f"{len(times)} predictions one after another on the embedded cloud, 1 image each, two "
        "cores for all of it"
    )
    middle = {name: statistics.median(each[name] for each in times) for name in times[0]}
    results = []
    for name in ("total", *STAGES):
        high = statistics.quantiles((each[name] for each in times), n=20)[-1]
        told = f"{STAGES.get(name, 'completed_at to `succeeded`')}; {method}"
        share = middle[name] / middle["total"]
        results += [
            Result(f"durable.{name}_p50_ms", middle[name], "ms", share, f"{told}; ratio to all"),
            Result(f"durable.{name}_p95_ms", high, "ms", None, told),
        ]
    ours = statistics.median(1 - each["webhook"] / each["total"] for each in times)
    told = f"everything after the webhook was written down, over all; {method}"
    return [*results, Result("durable.share_ours", ours, "of all", None, told)]


if __name__ == "__main__":
    for result in run(print):
        print(f"{result.name:32}{result.value:>10.3f} {result.unit}")
