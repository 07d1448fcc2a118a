"""Dollars per million predictions, and the billed processor time of the functions.

`python -m bench.cost --write` renews bench/durations.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from darkroom.aws import clients as aws_
from moto.core.models import botocore_stubber

from bench.account import Account, account, new_process
from bench.io import PATHS, PICTURE, outside_name
from bench.report import Result, table
from ops.cost import DATA, Model, synthesise, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DURATIONS = DATA / "durations.json"
SERVICES = ("dynamodb", "s3", "sqs", "events", "secretsmanager")
PICTURE_1MB = PICTURE[:33] + bytes(1_000_000 - len(PICTURE)) + PICTURE[33:]
"""A realistic size, because persist's time depends on the bytes that it hashes and sends."""
REPEATS = 25
SECONDS = 10.0
"""Duration of a model upstream, which other designs pay for."""
ASSUMED_MS = {
    "dynamodb GetItem": 4.0,
    "dynamodb BatchGetItem": 6.0,
    "dynamodb Query": 5.0,
    "dynamodb PutItem": 6.0,
    "dynamodb UpdateItem": 6.0,
    "dynamodb TransactWriteItems": 15.0,
    "sqs SendMessage": 8.0,
    "events PutEvents": 15.0,
    "s3 GetObject": 25.0,
    "s3 HeadObject": 12.0,
    "s3 PutObject": 60.0,
    "s3 CopyObject": 60.0,
    "POST predictions": 250.0,
    "POST callback": 100.0,
    "GET prediction": 100.0,
    "GET output": 120.0,
}
"""Assumed waiting in milliseconds per call, within one region. Nothing here was measured against
AWS or Replicate. 250 ms for a create is most of a submit's time."""


class Replay:
    """Replays recorded answers to boto3's requests, so that a client does all its work and no
    server does any."""

    def __init__(self, aws: Account) -> None:
        self._aws = aws
        self._kept: defaultdict[int, list[tuple[str, AWSResponse]]] = defaultdict(list)
        self._left: list[tuple[str, AWSResponse]] = []

    def record(self) -> None:
        """Record answers by invocation from now on."""
        for client in map(aws_.client, SERVICES):
            service = client.meta.service_model.service_id.hyphenize()
            client.meta.events.register(f"after-call.{service}", self._keep)

    def answer(self) -> None:
        """Replay the recorded answers from now on, in a new process."""
        new_process()
        for client in map(aws_.client, SERVICES):
            # botocore calls all handlers, whichever answers, so moto's would run in vain.
            client.meta.events.unregister("before-send", botocore_stubber)
            client.meta.events.register("before-send", self._send)

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Replay, and return to moto afterwards in another new process."""
        self.answer()
        yield
        new_process()
        for client in map(aws_.client, SERVICES):
            self._aws.meter.attach(client)

    def begin(self, invocation: int) -> None:
        """Replay the answers of this invocation."""
        self._left = list(self._kept[invocation])

    def waits(self, invocation: int) -> Counter[str]:
        """Return all calls that the invocation waited for."""
        inputs, requests = self._aws.inputs, self._aws.outside.requests
        after = inputs[invocation + 1].outside if invocation + 1 < len(inputs) else len(requests)
        outside = requests[inputs[invocation].outside : after]
        return Counter(
            [name for name, _ in self._kept[invocation]]
            + [outside_name(method, path) for method, path, _ in outside]
        )

    def _keep(self, http_response: AWSResponse, model: Any, **_: Any) -> None:
        name = f"{model.service_model.service_name} {model.name}"
        self._kept[len(self._aws.inputs) - 1].append((name, http_response))

    def _send(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        for number, (name, kept) in enumerate(self._left):
            if name.endswith(f" {operation}"):
                del self._left[number]
                raw = _Raw(kept.content)
                headers: Any = kept.headers
                return AWSResponse(request.url, kept.status_code, headers, raw)
        # For example, a row that a process reads once per minute.
        answer: AWSResponse | None = botocore_stubber(event_name, request)
        return answer


class _Raw(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Any:
        """Stream like urllib3's response."""
        yield self.read()


def functions(path: str, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return each function's processor time on the path, and the calls that it waits for: means
    over its invocations there, each the median of many repeats."""
    found: defaultdict[str, list[tuple[float, Counter[str]]]] = defaultdict(list)
    with account() as aws:
        aws.outside.picture = PICTURE_1MB
        _prepare(aws, path)
        replay = Replay(aws)
        replay.record()
        _go(aws, path)
        # Copies, because the invocations below append to the originals.
        invocations = list(aws.inputs)
        waits = [replay.waits(number) for number in range(len(invocations))]
        replay.answer()
        for number, made in enumerate(invocations):
            progress(f"{path}: {made.function}, {number + 1} of {len(invocations)}")
            times = []
            for _ in range(REPEATS + 1):
                replay.begin(number)
                began = time.thread_time()
                aws.call(made.function, made.event)
                times.append(1000 * (time.thread_time() - began))
            found[made.function].append((statistics.median(times[1:]), waits[number]))
    return {
        name: {
            "cpu_ms": round(statistics.mean(cpu for cpu, _ in each), 2),
            "waits": {
                call: round(number / len(each), 3)
                for call, number in sorted(sum((w for _, w in each), Counter()).items())
            },
        }
        for name, each in sorted(found.items())
    }


def _prepare(aws: Account, path: str) -> None:
    if path == "tick":
        aws.call("sweep", {})
    else:
        PATHS[path](aws)
    aws.forget()


def _go(aws: Account, path: str) -> None:
    if path == "tick":
        aws.call("sweep", {})
    else:
        PATHS[path](aws)


def measure(progress: Callable[[str], None]) -> dict[str, Any]:
    """Return the content of bench/durations.json."""
    return {
        "method": "cpu_ms: processor time of the invoking thread, median of "
        f"{REPEATS} warm invocations whose AWS answers are replayed, so that no server's work is "
        "in it; taken as that of one Lambda vCPU. waits: calls per invocation. assumed_ms: "
        "milliseconds per call, assumed.",
        "assumed_ms": ASSUMED_MS,
        "paths": {
            path: functions(path, progress)
            for path in ("plain", "limits", "refused", "missed_webhook", "callback", "tick")
        },
    }


def run(progress: Callable[[str], None]) -> list[Result]:
    """Return the bill with caps and limits, the bill without, and the bills of other designs."""
    progress("synthesising the templates")
    with tempfile.TemporaryDirectory() as outdir:
        model = Model.load(synthesise("prod", Path(outdir)))
    full, lean = total(model.bill("limits")), total(model.bill("plain"))
    method = (
        "`python -m ops cost`: $ per million predictions (1 image, start and completed webhooks, "
        "one read, no callback) from the template, bench/io.json, bench/durations.json and "
        f"bench/prices.json ({model.prices['as_of']})"
    )
    results = [
        Result("cost.full", full, "$/M", None, f"{method}; caps and rate limits on"),
        Result("cost.lean", lean, "$/M", None, f"{method}; both off"),
        Result("cost.cached", total(model.bill("cached")), "$/M", None, f"{method}; a cache hit"),
        Result("cost.monthly", total(model.monthly()), "$/month", None, "paid when idle"),
    ]
    for name, lines in model.others(SECONDS).items():
        dollars = total(lines)
        slug = name.lower().replace(" ", "_")
        how = f"computed in the same way, for a model that runs {SECONDS:g} s; ratio to cost.lean"
        results.append(Result(f"cost.other.{slug}", dollars, "$/M", dollars / lean, how))
    return results


def main(arguments: list[str] | None = None) -> int:
    """Print the bills, or measure anew."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=main.__doc__)
    parser.add_argument("--write", action="store_true", help=f"renew {DURATIONS.name}")
    if parser.parse_args(arguments).write:
        measured = measure(lambda line: print(line, file=sys.stderr))
        DURATIONS.write_text(json.dumps(measured, indent=1) + "\n")
        return 0
    print(table(run(lambda _: None)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
