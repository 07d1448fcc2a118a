"""Which part saturates first: a small simulation of every quota, from the counts of bench/io.json.

`python -m bench.scale [--rate R] [--tenants N]` prints the table; docs/scale.md explains it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import DUE_SHARDS
from darkroom.runtime.function import declared

from app import stage
from bench.report import Result
from infra.config import RELAYS_PER_SHARD, StageConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DATA = Path(__file__).parent
DEFAULT_PER_S = 10.0
"""Replicate's default limit: 600 creates a minute."""
SCALES = (1, 10, 100, 1000)
SIMULATED_S = 600
TICKS_PER_S = 10

PARTITION_WRITES = 1000.0
"""Write units per second that one partition, and so one key, allows."""
PARTITIONS = 4
"""Partitions of a new on-demand table, and so shards of its stream. They split as it grows."""
TABLE_WRITES = 40_000.0
"""Write units per second of one table: an account's default quota."""
API_PER_S = 10_000.0
"""Requests per second of all HTTP APIs of an account and region."""
CONCURRENCY = 1000.0
"""Lambda's default for an account and region; new accounts may have 10."""
EVENTS_PER_S = 10_000.0
"""PutEvents per second in the largest regions; 600 in the smallest."""
S3_PUTS_PER_S = 3500.0
"""Per second and prefix; S3 splits prefixes as their load grows."""
CONFLICTS = 0.25
"""Assumed share of a partition's writes at which transactions on one row mostly conflict."""


@dataclass(frozen=True, slots=True)
class Part:
    """One quota: the units that a prediction uses, and the units available per second."""

    name: str
    each: float
    per_s: float
    unit: str

    @property
    def predictions_per_s(self) -> float:
        """Return the rate that it allows."""
        return self.per_s / self.each if self.each else float("inf")


@dataclass(frozen=True, slots=True)
class Deployment:
    """The settings of a stage, and its load."""

    config: StageConfig
    tenants: int
    parallel_per_shard: int
    submit_s: float
    webhook_s: float
    persist_s: float
    relay_record_s: float


def parts(counted: Mapping[str, Any], of: Deployment) -> list[Part]:
    """Return every quota that predictions share."""
    run = counted["limits"]
    rows: Mapping[str, float] = run["writes_by_target"]
    records = run["invocations"]["relay"]
    config = of.config
    busy = of.submit_s + 2 * of.webhook_s + of.persist_s + records * of.relay_record_s
    tenants = of.tenants
    return [
        Part("gateway throttle of the stage", run["http_requests"], config.throttle_rate, "req/s"),
        Part("HTTP API quota of the account", run["http_requests"], API_PER_S, "req/s"),
        Part("Lambda concurrency of the account", busy, CONCURRENCY, "executions"),
        Part(
            "webhook, reserved concurrency",
            2 * of.webhook_s,
            config.concurrency.webhook or CONCURRENCY,
            "executions",
        ),
        Part(
            "persist, concurrency of its queue",
            of.persist_s,
            config.concurrency.each_queue,
            "executions",
        ),
        Part(
            "relay, one shard of the stream",
            records * of.relay_record_s / PARTITIONS,
            of.parallel_per_shard,
            "executions",
        ),
        Part("Predictions, write units", run["write_units"], TABLE_WRITES, "WRU/s"),
        Part(
            "index `due`, one shard",
            rows["predictions.due"] / DUE_SHARDS,
            PARTITION_WRITES,
            "WRU/s",
        ),
        Part(
            "index `tenant`, one tenant",
            rows["predictions.tenant"] / tenants,
            PARTITION_WRITES,
            "WRU/s",
        ),
        Part(
            "SPEND# row of one tenant",
            rows["controls SPEND"] / tenants,
            PARTITION_WRITES * CONFLICTS,
            "WRU/s",
        ),
        Part(
            "USAGE# row of one tenant",
            rows["controls USAGE"] / tenants,
            PARTITION_WRITES * CONFLICTS,
            "WRU/s",
        ),
        Part("RATE# row of one tenant", rows["controls RATE"] / tenants, PARTITION_WRITES, "WRU/s"),
        Part("EventBridge, PutEvents", run["aws"]["events PutEvents"], EVENTS_PER_S, "events/s"),
        Part("S3, PUT on one prefix", run["aws"]["s3 PutObject"] / tenants, S3_PUTS_PER_S, "PUT/s"),
    ]


@dataclass(slots=True)
class Load:
    """A part after the simulated minutes."""

    part: Part
    used: float
    """Share of it that the offered load would use."""
    backlog: float = 0.0
    """Predictions waiting for it at the end."""
    first_s: float | None = None
    """Time at which its backlog first exceeded one second's rate."""


def simulate(found: list[Part], rate: float, seconds: int = SIMULATED_S) -> list[Load]:
    """Offer `rate` predictions per second to the parts in sequence. Each passes what it can, and
    the rest waits. The parts are in the order in which a prediction reaches them."""
    loads = [Load(part, rate / part.predictions_per_s) for part in found]
    for tick in range(seconds * TICKS_PER_S):
        flow = rate / TICKS_PER_S
        for load in loads:
            offered = load.backlog + flow
            flow = min(offered, load.part.predictions_per_s / TICKS_PER_S)
            load.backlog = offered - flow
            if load.first_s is None and load.backlog > rate:
                load.first_s = tick / TICKS_PER_S
    return loads


def deployment(
    config: StageConfig, tenants: int = 10, parallel: int = RELAYS_PER_SHARD
) -> Deployment:
    """Return a stage with the durations of its functions in bench/durations.json."""
    from ops.cost import Function, Model, Templates

    names = ("submit", "webhook", "persist", "relay")
    templates = Templates(
        {name: Function(declared()[name].memory_mb, platform_logs=False) for name in names}
    )
    model = Model.load(templates)
    times = {name: model.milliseconds(name, "limits") / 1000 for name in names}
    return Deployment(
        config,
        tenants,
        parallel,
        submit_s=times["submit"],
        webhook_s=times["webhook"],
        persist_s=times["persist"],
        relay_record_s=times["relay"],
    )


def load_counts() -> dict[str, Any]:
    """Load bench/io.json."""
    counted: dict[str, Any] = json.loads((DATA / "io.json").read_text())
    return counted


def run(progress: Callable[[str], None]) -> list[Result]:
    """Return the parts of least capacity in the production stage with ten tenants."""
    progress("quotas")
    of = deployment(StageConfig.prod())
    ranked = sorted(parts(load_counts(), of), key=lambda part: part.predictions_per_s)
    method = "`python -m bench.scale`: quotas over what a prediction takes of each; prod stage"
    return [
        Result(
            f"scale.{number}",
            part.predictions_per_s,
            "predictions/s",
            part.predictions_per_s / DEFAULT_PER_S,
            f"{part.name}; {method}; ratio to Replicate's default limit",
        )
        for number, part in enumerate(ranked[:5], start=1)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print the rate that each part allows, and the backlog after ten minutes at each rate."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=main.__doc__)
    parser.add_argument("--stage", default="prod")
    parser.add_argument("--tenants", type=int, default=10, help="of equal size (%(default)s)")
    parser.add_argument(
        "--parallel", type=int, default=RELAYS_PER_SHARD, help="relays per shard (%(default)s)"
    )
    given = parser.parse_args(arguments)
    of = deployment(stage(given.stage), given.tenants, given.parallel)
    found = parts(load_counts(), of)
    print(f"{'part':36}{'predictions/s':>14}" + "".join(f"{f'{s}x: used':>14}" for s in SCALES))
    for part in sorted(found, key=lambda part: part.predictions_per_s):
        shares = [DEFAULT_PER_S * scale / part.predictions_per_s for scale in SCALES]
        shown = "".join(f"{share:>13.1%} " for share in shares)
        print(f"{part.name:36}{part.predictions_per_s:>14,.0f}{shown}")
    for scale in SCALES:
        loads = simulate(found, DEFAULT_PER_S * scale)
        waiting = [load for load in loads if load.backlog > 1]
        print(f"\n{scale}x ({DEFAULT_PER_S * scale:,.0f} predictions/s), after {SIMULATED_S} s:")
        for load in waiting:
            print(f"  {load.part.name}: {load.backlog:,.0f} wait, since second {load.first_s}")
        if not waiting:
            print("  nothing waits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
