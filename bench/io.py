"""Calls to AWS and Replicate, and capacity units, of one prediction on each path.

`python -m bench.io` prints the table, `--write` renews bench/io.json, which a test compares
exactly, and `--calls PATH` lists every call of one path.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from darkroom.domain.times import rfc3339

from bench.account import PROVIDER_ID, Account, account
from bench.meter import Call, item_bytes
from bench.report import Result, table

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTED = Path(__file__).parent / "io.json"
MODEL = "black-forest-labs/flux-schnell"
PICTURE = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00\x00\x00\x04\x00\x08\x02\x00\x00\x00"
    b"\x12\x34\x56\x78\x00\x00\x00\x00IEND\xaeB`\x82"
)
INPUT = {
    "prompt": "A lighthouse on a cliff above the sea at dawn, seen from a fishing boat, with low "
    "clouds, a few gulls, wet rocks in the foreground and warm light in the lantern room; oil on "
    "canvas, visible brush strokes, muted blues and greys, in the manner of the 1890s",
    "aspect_ratio": "16:9",
    "output_format": "png",
}
LOGS = "Using seed: 1234567890\n" + "".join(
    f"{25 * n:3}%|{'#' * n}| {n}/4 [00:00<00:00, 12.34it/s]\n" for n in range(5)
)
LIMITS = {
    "monthly_cap": 10**12,
    "in_flight": 100_000,
    "rate_interval_us": 1000,
    "rate_burst": 100_000,
}
"""Caps and rates that are checked on every request, and never reached here."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Cost of one prediction on one path, without the calls that a whole process shares."""

    path: str
    calls: tuple[Call, ...]
    invocations: Counter[str]
    http_requests: int
    log_bytes: int
    record_bytes: int
    """Size of the finished record, as DynamoDB bills it."""

    def of(self, service: str, *operations: str) -> int:
        """Return the number of calls."""
        return sum(
            call.first
            and call.service == service
            and (not operations or call.operation in operations)
            for call in self.calls
        )

    @property
    def aws_calls(self) -> int:
        """Number of requests to AWS, of any service."""
        return sum(call.first and call.service != "outside" for call in self.calls)

    @property
    def write_units(self) -> float:
        """DynamoDB write units of all tables and indexes."""
        return sum(call.write_units for call in self.calls)

    @property
    def writes(self) -> Counter[str]:
        """Write units by table, kind of row, and index."""
        found: Counter[str] = Counter()
        for call in self.calls:
            indexed = dict(call.index_units)
            found[call.target] += int(call.write_units - sum(indexed.values()))
            found.update(indexed)
        return +found

    @property
    def read_units(self) -> float:
        """DynamoDB read units of all tables and indexes."""
        return sum(call.read_units for call in self.calls)

    def summary(self) -> dict[str, Any]:
        """Return the path's entry in bench/io.json, in which everything but the bytes is exact."""
        names = Counter(
            f"{call.service} {call.operation}"
            for call in self.calls
            if call.first and call.service != "outside"
        )
        outside = Counter(
            f"{call.target} {call.operation}" for call in self.calls if call.service == "outside"
        )
        return {
            "http_requests": self.http_requests,
            "invocations": dict(sorted(self.invocations.items())),
            "write_units": self.write_units,
            "read_units": self.read_units,
            "writes_by_target": dict(sorted(self.writes.items())),
            "log_bytes": self.log_bytes,
            "record_bytes": self.record_bytes,
            "aws": dict(sorted(names.items())),
            "outside": dict(sorted(outside.items())),
        }


# The events of each path


def submit(aws: Account, headers: dict[str, str] | None = None, **extra: Any) -> str:
    body = {"version": MODEL, "input": INPUT, **extra}
    status, made = aws.request("submit", "POST", "/v1/predictions", body, headers)
    if status != 201:
        raise RuntimeError(f"the submit was answered {status}: {made}")
    return str(made["id"])


def said(aws: Account, status: str, **more: Any) -> dict[str, Any]:
    """Return Replicate's prediction as in its webhooks and its API."""
    now = rfc3339(aws.now())
    ended = {"completed_at": now, "logs": LOGS} if status != "processing" else {}
    id_ = aws.outside.provider_id
    outputs = [f"{aws.outside.url}/output/{id_}/out-0.png"]
    done = {"output": outputs, "metrics": {"predict_time": 0.8, "image_count": 1}}
    aws.outside.said = {
        "id": id_,
        "status": status,
        "model": MODEL,
        "version": "hidden",
        "input": INPUT,
        "logs": "",
        "created_at": now,
        "started_at": now,
        **ended,
        **(done if status == "succeeded" else {}),
        **more,
    }
    return aws.outside.said


def finish(aws: Account, id_: str, last: str = "succeeded", **more: Any) -> None:
    """Send both webhooks, and run all their effects."""
    aws.settle()
    aws.webhook(id_, said(aws, "processing"))
    aws.settle()
    aws.webhook(id_, said(aws, last, **more))
    aws.settle()


def show(aws: Account, id_: str) -> None:
    status, shown = aws.request("read", "GET", f"/v1/predictions/{id_}")
    if status != 200:
        raise RuntimeError(f"the read was answered {status}: {shown}")


def _plain(aws: Account) -> str:
    id_ = submit(aws)
    finish(aws, id_)
    show(aws, id_)
    return id_


def _limits(aws: Account) -> str:
    aws.put_limits(**LIMITS)
    if datetime.fromtimestamp(aws.now() / 1000, UTC).day <= 3:
        # In the first two days of a month, a create also reads the month before.
        aws.later(3 * 86_400)
    return _plain(aws)


def _keyed(aws: Account) -> str:
    id_ = submit(aws, {"idempotency-key": uuid4().hex})
    finish(aws, id_)
    show(aws, id_)
    return id_


def _stainless(aws: Account) -> str:
    """The first attempt of a client that sends its retry count, such as Replicate's Python client
    2.x."""
    id_ = submit(aws, {"x-stainless-retry-count": "0"})
    finish(aws, id_)
    show(aws, id_)
    return id_


def _refused(aws: Account) -> str:
    """Replicate answers 429 once; dispatch creates the prediction from its queue."""
    aws.outside.create_statuses = [429]
    id_ = submit(aws)
    # Like SQS's delay: the message arrives after the pause.
    aws.later(3)
    finish(aws, id_)
    show(aws, id_)
    return id_


def _missed(aws: Account) -> str:
    """No webhook arrives; the sweep polls and finds the end."""
    id_ = submit(aws)
    aws.settle()
    aws.later(120)
    said(aws, "succeeded")
    aws.call("sweep", {})
    aws.settle()
    show(aws, id_)
    return id_


def _watched(aws: Account) -> str:
    """A client polls a prediction that runs for a while, which polls the provider once."""
    id_ = submit(aws)
    aws.settle()
    said(aws, "processing", logs="50%")
    aws.later(6)
    show(aws, id_)
    aws.settle()
    finish(aws, id_)
    show(aws, id_)
    return id_


def _callback(aws: Account) -> str:
    """The client names a webhook for the end, which accepts the callback at once."""
    wanted: dict[str, Any] = {
        "webhook": f"{aws.outside.url}/callback",
        "webhook_events_filter": ["completed"],
    }
    id_ = submit(aws, None, **wanted)
    finish(aws, id_)
    return id_


def _failed(aws: Account) -> str:
    id_ = submit(aws)
    finish(aws, id_, "failed", error="CUDA out of memory")
    show(aws, id_)
    return id_


def _cached(aws: Account) -> str:
    """The second of two equal requests that allow a stored result."""
    finish(aws, submit(aws, {"darkroom-cache": "bypass"}))
    aws.forget()
    id_ = submit(aws, {"darkroom-cache": "reuse"})
    aws.settle()
    show(aws, id_)
    return id_


PATHS: dict[str, Callable[[Account], str]] = {
    "plain": _plain,
    "limits": _limits,
    "keyed": _keyed,
    "stainless": _stainless,
    "refused": _refused,
    "missed_webhook": _missed,
    "watched": _watched,
    "callback": _callback,
    "failed": _failed,
    "cached": _cached,
}


SHARED = ("controls RUNTIMES", "controls TENANT")
"""Rows that a process reads or writes once in half a minute or a minute for all predictions."""


def count(path: str) -> Counted:
    """Run one prediction on the path in a warm process, and count its own calls.

    Calls that a process makes once in minutes (secrets, run times, the tenant's limits) are left
    out, and reads of a sweep's tick that do not depend on the due records.
    """
    with account() as aws:
        aws.outside.picture = PICTURE
        PATHS[path](aws)
        aws.forget()
        id_ = PATHS[path](aws)
        stored = aws.clients["dynamodb"].get_item(TableName="predictions", Key={"id": {"S": id_}})
        own = [call for call in aws.meter.calls if not _shared(call)]
        return Counted(
            path,
            (*own, *(Call("", "outside", outside_name(*r[:2]), "") for r in aws.outside.requests)),
            Counter(name for name in aws.invocations if name != "sweep"),
            sum(name in {"submit", "webhook", "read", "cancel"} for name in aws.invocations),
            aws.log_bytes,
            item_bytes(stored["Item"]),
        )


def count_tick() -> dict[str, Any]:
    """Return the calls to AWS of one tick of the sweep when nothing is due."""
    with account() as aws:
        aws.call("sweep", {})
        aws.forget()
        aws.call("sweep", {})
        units = sum(call.read_units for call in aws.meter.calls)
        return {"calls": len(aws.meter.calls), "read_units": units, "log_bytes": aws.log_bytes}


def _shared(call: Call) -> bool:
    tick = call.source == "sweep" and call.operation == "Query"
    return tick or call.target in SHARED or call.service == "secretsmanager"


def outside_name(method: str, path: str) -> str:
    """Return a short name for a request to Replicate or to a client."""
    kind = "output" if path.startswith("/output") else path.rpartition("/")[2].partition("?")[0]
    return f"{method} {'prediction' if kind == PROVIDER_ID else kind}"


# Reports


def everything() -> dict[str, Any]:
    """Return all paths and the empty tick, as in bench/io.json."""
    return {**{path: count(path).summary() for path in PATHS}, "tick": count_tick()}


def run(progress: Callable[[str], None]) -> list[Result]:
    """Return calls and capacity units of every path."""
    results = []
    for path in PATHS:
        progress(path)
        counted = count(path)
        method = f"`python -m bench.io --calls {path}` names each one"
        for name, value, unit in (
            ("aws_calls", counted.aws_calls, "calls"),
            ("replicate_calls", counted.of("outside"), "calls"),
            ("write_units", counted.write_units, "WRU"),
            ("read_units", counted.read_units, "RRU"),
            ("invocations", counted.invocations.total(), "invocations"),
            ("log_bytes", counted.log_bytes, "bytes"),
            ("record_bytes", counted.record_bytes, "bytes"),
        ):
            results.append(Result(f"io.{path}.{name}", value, unit, None, method))
    return results


def main(arguments: list[str] | None = None) -> int:
    """Print the table of all paths, or the calls of one, or renew the file."""
    parser = argparse.ArgumentParser(prog="python -m bench.io", description=main.__doc__)
    parser.add_argument("--write", action="store_true", help=f"renew {COUNTED.name}")
    parser.add_argument("--calls", choices=PATHS, metavar="PATH", help=" ".join(PATHS))
    given = parser.parse_args(arguments)
    if given.write:
        COUNTED.write_text(json.dumps(everything(), indent=1) + "\n")
        return 0
    if given.calls:
        for call in count(given.calls).calls:
            units = f"{call.write_units:3g} WRU {call.read_units:4g} RRU"
            units = units if call.service == "dynamodb" else " " * len(units)
            operation = call.operation if call.first else "  and"
            print(f"{call.source:16} {units}  {call.service} {operation} {call.target}")
        return 0
    print(table(run(lambda _: None)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
