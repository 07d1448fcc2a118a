"""Cost of reads as records accumulate, and a burst of submits at the provider's limit.

Requests are counted, not timed, since the emulator's own time grows with its tables. The only time
reported is the function's own processor time, with AWS's answers replayed.
"""

from __future__ import annotations

import heapq
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import from_item, shard, to_item
from darkroom.domain import link
from darkroom.ports import Answered
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from bench.account import Account, account
from bench.cost import Replay
from bench.io import PATHS, PICTURE
from bench.plots import plot
from bench.report import Result
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (100, 10_000, 100_000)
DUE = 10
"""Number of due records in the measured tick, whatever the total."""
PLOT = Path(__file__).parent
BURST = 1000
LIMIT_PER_S = 10.0
"""Replicate's default: 600 creates a minute."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Cost of one call of a function."""

    requests: int
    items: int
    read_units: float
    write_units: float
    cpu_ms: float


def fill(aws: Account, number: int) -> list[str]:
    """Insert `number` finished records of one tenant, and one more. Returns the ids, oldest first.

    They go straight into moto's table, because creating them through the API would take an hour.
    """
    id_ = PATHS["plain"](aws)
    found = aws.clients["dynamodb"].get_item(TableName="predictions", Key={"id": {"S": id_}})
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].tables["predictions"]
    pattern = found["Item"]
    ids = [link.new_id() for _ in range(number)]
    begun = aws.now() - 1000 * number
    for position, each in enumerate(ids):
        created = {"N": str(begun + 1000 * position)}
        table.put_item({**pattern, "id": {"S": each}, "created_at": created})
    return [*ids, id_]


def make_due(aws: Account, ids: list[str]) -> None:
    """Make these records due for the sweep, to have their files copied."""
    for id_ in ids:
        key = {"id": {"S": id_}}
        found = aws.clients["dynamodb"].get_item(TableName="predictions", Key=key)["Item"]
        values = {**from_item(found), "state": "storing", "files": [], "effects_done": False}
        values |= {"due_at": aws.now() - 1000, "due_shard": shard(id_)}
        aws.clients["dynamodb"].put_item(TableName="predictions", Item=to_item(values))


def read_all(number: int, repeats: int = 0) -> dict[str, Reading]:
    """Measure list, last page of the list, get and one tick of the sweep, with `number` records."""
    with account() as aws:
        aws.outside.picture = PICTURE
        ids = fill(aws, number)
        last = _last_page(aws, ids)
        actions: dict[str, Callable[[], Any]] = {
            "list": lambda: aws.request("read", "GET", "/v1/predictions"),
            "last_page": lambda: aws.request(
                "read", "GET", "/v1/predictions", query={"cursor": last}
            ),
            "get": lambda: aws.request("read", "GET", f"/v1/predictions/{ids[0]}"),
            "tick": lambda: aws.call("sweep", {}),
        }
        make_due(aws, ids[:: max(1, number // DUE)][:DUE])
        aws.call("sweep", {})
        make_due(aws, ids[:: max(1, number // DUE)][:DUE])
        return {name: _measure(aws, action, repeats) for name, action in actions.items()}


def _last_page(aws: Account, ids: list[str]) -> str:
    """Return the cursor of the page with the oldest hundred records."""
    from darkroom.services.predictions.read import PAGE, _cursor

    after = ids[min(PAGE, len(ids) - 1)]
    key = {"id": {"S": after}}
    found = aws.clients["dynamodb"].get_item(TableName="predictions", Key=key)["Item"]
    return _cursor((int(found["created_at"]["N"]), after), "acme")


def _measure(aws: Account, action: Callable[[], Any], repeats: int) -> Reading:
    aws.forget()
    aws.meter.stream.clear()
    for messages in aws.meter.messages.values():
        messages.clear()
    replay = Replay(aws)
    if repeats:
        replay.record()
    action()
    calls = list(aws.meter.calls)
    times = [0.0]
    if repeats:
        made = aws.inputs[0]
        with replay.answering():
            times = []
            for _ in range(repeats + 1):
                replay.begin(0)
                began = time.thread_time()
                aws.call(made.function, made.event)
                times.append(1000 * (time.thread_time() - began))
    return Reading(
        sum(call.first for call in calls),
        sum(call.items for call in calls),
        sum(call.read_units for call in calls),
        sum(call.write_units for call in calls),
        statistics.median(times[1:] or times),
    )


# A burst


@dataclass
class Throttled:
    """The provider's rate limit: a token bucket that answers 429 with a time to retry."""

    world: World
    tokens: float = LIMIT_PER_S
    at: float = 0.0
    refused: int = 0
    created: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = self.world.clock()
        self._create = self.world.provider.create
        self.world.provider.create = self.create  # type: ignore[method-assign]

    def create(self, **request: Any) -> Any:
        """Answer like Replicate at its limit."""
        now = (self.world.clock() - self.began) / 1000
        self.tokens = min(LIMIT_PER_S, self.tokens + (now - self.at) * LIMIT_PER_S)
        self.at = now
        if self.tokens < 1:
            self.refused += 1
            wait = max(1.0, (1 - self.tokens) / LIMIT_PER_S)
            return Answered(429, {"detail": "throttled", "retry_after": wait}, wait)
        self.tokens -= 1
        self.created.append(now)
        return self._create(**request)


def burst(submits: int = BURST, at_once: int = 50) -> dict[str, float]:
    """Run a number of submits within a second, then only dispatch: services over fakes, on a clock
    of their own. `at_once` is the number of messages of the queue that run at the same time."""
    world = World()
    door = Throttled(world)
    waiting: list[tuple[int, int, dict[str, str]]] = []
    number = 0

    def enqueue() -> None:
        nonlocal number
        world.run_stream()
        for message, delay in world.dispatch_queue.messages:
            number += 1
            heapq.heappush(waiting, (world.clock() + 1000 * delay, number, message))
        world.dispatch_queue.messages.clear()

    for _ in range(submits):
        world.accept()
        world.clock.advance(1 / submits)
    enqueue()
    while waiting:
        at = waiting[0][0]
        if at > world.clock():
            world.clock.advance((at - world.clock()) / 1000)
        for _ in range(min(at_once, len(waiting))):
            if waiting[0][0] > world.clock():
                break
            world.dispatch.create_upstream(heapq.heappop(waiting)[2]["id"])
        world.clock.advance(0.3)
        enqueue()
    unbound = sum(item.get("provider_id") is None for item in world.store.items.values())
    return {
        "created": len(door.created),
        "unbound": unbound,
        "refused": door.refused,
        "last_s": max(door.created),
        "ideal_s": (submits - LIMIT_PER_S) / LIMIT_PER_S,
    }


def run(progress: Callable[[str], None]) -> list[Result]:
    """Return the counts at each size and the burst; write a plot of the counts."""
    readings = {}
    for number in SIZES:
        progress(f"{number:,} records")
        readings[number] = read_all(number, repeats=7)
    results = []
    for action in ("list", "last_page", "get", "tick"):
        for number in SIZES:
            reading, first = readings[number][action], readings[SIZES[0]][action]
            method = (
                f"{reading.requests} requests, {reading.items} items, {reading.read_units:g} RRU, "
                f"{reading.write_units:g} WRU, counted; {reading.cpu_ms:.1f} ms of processor with "
                f"replayed answers; ratio to {SIZES[0]} records"
            )
            units = reading.read_units + reading.write_units
            ratio = units / (first.read_units + first.write_units)
            results.append(Result(f"growth.{action}.{number}", units, "units", ratio, method))
        curves: dict[str, list[tuple[float, float]]] = {
            "capacity units": [
                (n, readings[n][action].read_units + readings[n][action].write_units) for n in SIZES
            ],
            "items read or written": [(n, readings[n][action].items) for n in SIZES],
            "processor ms": [(n, readings[n][action].cpu_ms) for n in SIZES],
        }
        plot(
            PLOT / f"growth-{action}.png",
            f"{action}, by records in the table",
            curves,
            x="records",
            y="units, items, ms",
        )
    progress(f"burst of {BURST}")
    found = burst()
    method = (
        f"{BURST} submits within a second at {LIMIT_PER_S:g} creates/s: {found['created']:g} "
        f"created, {found['unbound']:g} not; {found['refused']:g} refusals; services over fakes "
        "on a simulated clock; ratio to what the limit allows"
    )
    last = found["last_s"]
    results.append(Result("burst.last_create_s", last, "s", last / found["ideal_s"], method))
    results.append(
        Result("burst.refusals", found["refused"] / BURST, "per prediction", None, method)
    )
    return results
