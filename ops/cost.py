"""`ops cost`: the cost of a million predictions on AWS, from the templates and from measurements.

Calls and bytes are counted in bench/io.json (`python -m bench.io --write`), durations are measured
or assumed in bench/durations.json (`python -m bench.cost --write`), prices are in
bench/prices.json. Each function's memory and log settings, and everything with a monthly price, are
read from the synthesized templates.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "bench"
MILLION = 1_000_000
GB = 1_000_000_000
VCPU_MB = 1769
"""Memory at which a function has one whole vCPU. With less it has a proportional share."""
PLATFORM_LOG_BYTES = 560
"""Size of Lambda's own JSON lines per invocation, `platform.start` and `platform.report`, which are
not written if the function's system log level is WARN."""
ACCESS_LOG_VALUES = {
    "requestId": "JKJaXmPLvHcESHA=",
    "routeKey": "GET /v1/predictions/{id}",
    "status": "200",
    "responseLatency": "123",
    "identity.sourceIp": "203.0.113.113",
    "integrationErrorMessage": "-",
}
"""Typical values of the variables in the access log's format."""
IDLE_METRICS = ("Ticks",)
"""Darkroom's metrics that are written every minute, even in an idle stage."""
POLLS = 5 * 3 * 60 * 24 * 30
"""Requests for polling one queue in a month: Lambda runs five long polls of 20 seconds each."""
UNITS = {
    "alarm": "metrics watched",
    "dashboard": "dashboards",
    "metric": "metrics written",
    "secret": "secrets",
}
"""Items with a monthly price, and how they are counted."""
EXPIRED_KEPT_DAYS = 1 + 7
"""A file outlives its record by one day, and its noncurrent version is kept for another week."""
INDEX_ENTRY_BYTES = 100
"""Storage overhead that DynamoDB bills for each item and for each of its index entries."""


class CostError(Exception):
    """The templates are missing, or the app fails. The text is for the operator."""


@dataclass(frozen=True, slots=True)
class Line:
    """One item of the bill."""

    name: str
    quantity: float
    unit: str
    dollars: float
    """Dollars per million predictions."""


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function's settings in its template."""

    memory_mb: int
    platform_logs: bool


def _access_line(form: str) -> str:
    variable = r"\$context\.([A-Za-z.]*[A-Za-z])"
    return re.sub(variable, lambda found: ACCESS_LOG_VALUES[found[1]], form)


@dataclass(slots=True)
class Templates:
    """Everything in the synthesized templates that affects the cost."""

    functions: dict[str, Function] = field(default_factory=dict)
    """Functions by handler module."""
    access_log_bytes: int = 0
    access_log_infrequent: bool = False
    """Whether the access log's group has the class Infrequent Access, which costs half."""
    monthly: Counter[str] = field(default_factory=Counter)
    """Number of items with a monthly price, by kind: secrets, metrics of alarms, dashboards."""
    queues: int = 0
    """Number of queues that Lambda polls."""
    sweeps: int = 0
    """Number of sweeps that start every minute."""
    has_cdn_key: bool = False
    """Whether there is the CDN key's secret, which no template creates."""

    @classmethod
    def read(cls, assembly: Path) -> Templates:
        """Read a cloud assembly. Raises CostError if there is none."""
        found = cls()
        for path in sorted(assembly.glob("*.template.json")):
            resources = json.loads(path.read_text())["Resources"]
            for resource in resources.values():
                found._take(resource["Type"], resource.get("Properties", {}), resources)
        if not found.functions:
            raise CostError(f"no templates with functions in {assembly}")
        if found.has_cdn_key:
            found.monthly["secret"] += 1
        return found

    def _take(self, kind: str, properties: dict[str, Any], beside: Mapping[str, Any]) -> None:
        match kind:
            case "AWS::Lambda::Function":
                handler = str(properties.get("Handler", ""))
                logging = properties.get("LoggingConfig", {})
                quiet = logging.get("SystemLogLevel") == "WARN"
                size = int(properties.get("MemorySize", 128))
                name = handler.removeprefix("darkroom.handlers.").removesuffix(".handler")
                self.functions[name] = Function(size, not quiet)
                variables = properties.get("Environment", {}).get("Variables", {})
                self.has_cdn_key |= "CDN_KEY_SECRET" in variables
            case "AWS::ApiGatewayV2::Stage":
                log = properties.get("AccessLogSettings", {})
                self.access_log_bytes = len(_access_line(log.get("Format", "")))
                group = log.get("DestinationArn", {}).get("Fn::GetAtt", [""])[0]
                about = beside.get(group, {}).get("Properties", {})
                self.access_log_infrequent = about.get("LogGroupClass") == "INFREQUENT_ACCESS"
            case "AWS::SecretsManager::Secret":
                self.monthly["secret"] += 1
            case "AWS::Lambda::EventSourceMapping" if "StartingPosition" not in properties:
                self.queues += 1
            case "AWS::Events::Rule" if "ScheduleExpression" in properties:
                self.sweeps += len(properties["Targets"])
            case "AWS::CloudWatch::Alarm":
                # An alarm is billed for each metric that it watches.
                watched = [m for m in properties.get("Metrics", []) if "MetricStat" in m]
                self.monthly["alarm"] += max(1, len(watched))
            case "AWS::CloudWatch::Dashboard":
                self.monthly["dashboard"] += 1


def synthesise(stage: str, outdir: Path) -> Templates:
    """Synthesize the stage's templates, without the functions' dependencies. Raises CostError."""
    context = {"stage": stage, "aws:cdk:bundling-stacks": []}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, "CDK_OUTDIR": str(outdir), "CDK_CONTEXT_JSON": json.dumps(context)},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise CostError(f"the CDK app failed: {done.stderr[-500:]}")
    return Templates.read(outdir)


@dataclass(frozen=True, slots=True)
class Model:
    """The inputs of a bill: templates, counts, durations and prices."""

    templates: Templates
    counted: Mapping[str, Any]
    durations: Mapping[str, Any]
    prices: Mapping[str, Any]

    @classmethod
    def load(cls, templates: Templates) -> Model:
        """Load the counts, durations and prices from the data files."""
        files = ("io", "durations", "prices")
        return cls(templates, *(json.loads((DATA / f"{name}.json").read_text()) for name in files))

    def bill(self, path: str) -> list[Line]:
        """Return the bill of one million predictions on a path of bench/io.json."""
        counted = self.counted[path]
        aws: Mapping[str, int] = counted["aws"]
        invoked: Mapping[str, int] = counted["invocations"]
        gb_s = sum(number * self._gb_seconds(name, path) for name, number in invoked.items())
        sqs = sum(number for call, number in aws.items() if call.startswith("sqs "))
        puts = aws.get("s3 PutObject", 0) + aws.get("s3 CopyObject", 0)
        return [
            self._million("API Gateway", "http_api_requests", counted["http_requests"]),
            self._million("Lambda, requests", "lambda_requests", sum(invoked.values())),
            self._gb_s(gb_s),
            self._million("DynamoDB, writes", "write_units", counted["write_units"]),
            self._million("DynamoDB, reads", "read_units", counted["read_units"]),
            self._million("SQS", "sqs_requests", sqs),
            self._million("EventBridge", "events", aws.get("events PutEvents", 0)),
            self._million("S3, PUT", "s3_puts", puts),
            self._logs(self._log_bytes(path)),
            self._access_log(counted["http_requests"]),
        ]

    def kept(self, path: str, days: int, picture_mb: float) -> list[Line]:
        """Return the storage cost of a million predictions during their retention; not part of the
        bill."""
        record = self.counted[path]["record_bytes"] + 3 * INDEX_ENTRY_BYTES
        stored = self.prices["gb_month"]
        records = record * MILLION / GB * days / 30
        files = picture_mb / 1000 * MILLION * (days + EXPIRED_KEPT_DAYS) / 30
        return [
            Line("DynamoDB, records", records, "GB-months", records * stored["dynamodb"]),
            Line("DynamoDB, recovery", records, "GB-months", records * stored["recovery"]),
            Line("S3, pictures", files, "GB-months", files * stored["s3"]),
        ]

    def monthly(self) -> list[Line]:
        """Return the costs that do not depend on use, in dollars per month."""
        ticks = 60 * 24 * 30 * self.templates.sweeps
        tick = self.counted["tick"]
        price = self.prices["million"]
        gb_s = self._gb_seconds("sweep", "tick") * ticks
        logs = ticks * (tick["log_bytes"] + self._platform_bytes("sweep")) / GB
        kinds = {**self.templates.monthly, "metric": len(IDLE_METRICS)}
        fixed = [
            Line(kind, number, UNITS[kind], number * self.prices["month"][kind])
            for kind, number in sorted(kinds.items())
        ]
        polls = self.templates.queues * POLLS
        return [
            *fixed,
            Line("queues, polls", polls, "requests", polls / MILLION * price["sqs_requests"]),
            Line("sweep, requests", ticks, "ticks", ticks / MILLION * price["lambda_requests"]),
            Line("sweep, GB-s", gb_s, "GB-s", gb_s * self.prices["gb_second_arm"]),
            Line(
                "sweep, reads",
                tick["read_units"] * ticks,
                "RRU",
                tick["read_units"] * ticks / MILLION * price["read_units"],
            ),
            Line("sweep, logs", logs, "GB", logs * self.prices["log_gb"]),
        ]

    def milliseconds(self, function: str, path: str) -> float:
        """Return the billed time of one invocation: processor time at its share of a vCPU, plus
        waiting."""
        size = self.templates.functions[function].memory_mb
        share = min(1.0, size / VCPU_MB)
        timing = self._timing(function, path)
        waits = self.durations["assumed_ms"]
        waiting = sum(number * waits[call] for call, number in timing["waits"].items())
        return float(timing["cpu_ms"] / share + waiting)

    def _timing(self, function: str, path: str) -> Mapping[str, Any]:
        """Return the durations measured on this path, or else on the first path that has the
        function."""
        paths: Mapping[str, Mapping[str, Any]] = self.durations["paths"]
        for measured in (paths.get(path, {}), *paths.values()):
            if function in measured:
                return dict(measured[function])
        raise CostError(f"bench/durations.json lacks {function}: python -m bench.cost --write")

    def _gb_seconds(self, function: str, path: str) -> float:
        size = self.templates.functions[function].memory_mb
        return size / 1024 * self.milliseconds(function, path) / 1000

    def _million(self, name: str, price: str, each: float) -> Line:
        unit = price.replace("_", " ")
        return Line(name, each, unit, each * float(self.prices["million"][price]))

    def _gb_s(self, each: float) -> Line:
        dollars = each * MILLION * float(self.prices["gb_second_arm"])
        return Line("Lambda, time", each, "GB-s", dollars)

    def _logs(self, each: float) -> Line:
        return Line("CloudWatch logs", each, "bytes", each * MILLION / GB * self.prices["log_gb"])

    def _access_log(self, requests: float) -> Line:
        price = "log_gb_infrequent" if self.templates.access_log_infrequent else "log_gb"
        each = requests * self.templates.access_log_bytes
        return Line("API Gateway, log", each, "bytes", each * MILLION / GB * self.prices[price])

    def _platform_bytes(self, function: str) -> int:
        return PLATFORM_LOG_BYTES if self.templates.functions[function].platform_logs else 0

    def _log_bytes(self, path: str) -> float:
        counted = self.counted[path]
        platform = sum(
            number * self._platform_bytes(name) for name, number in counted["invocations"].items()
        )
        return float(counted["log_bytes"] + platform)

    # Costs of alternative designs

    def others(self, seconds: float) -> dict[str, list[Line]]:
        """Return the bills of alternative designs for a model that runs `seconds` upstream.

        Each design accepts a request, keeps one record, stores one picture, is read once, and
        writes one log line per invocation. None of them recovers lost work.
        """
        return {
            "blocking Lambda": self._blocking(seconds),
            "polling Lambda": self._polling(seconds),
            "Step Functions": self._state_machine(),
            "durable functions": self._durable(),
        }

    def _other(
        self,
        *,
        http: float,
        invocations: float,
        gb_s: float,
        writes: float,
        reads: float,
        sqs: float = 0.0,
    ) -> list[Line]:
        line = self.counted["plain"]["log_bytes"] / sum(
            self.counted["plain"]["invocations"].values()
        )
        line += self._platform_bytes("submit")
        return [
            self._million("API Gateway", "http_api_requests", http),
            self._million("Lambda, requests", "lambda_requests", invocations),
            self._gb_s(gb_s),
            self._million("DynamoDB, writes", "write_units", writes),
            self._million("DynamoDB, reads", "read_units", reads),
            self._million("SQS", "sqs_requests", sqs),
            self._million("S3, PUT", "s3_puts", 1),
            self._logs(invocations * line),
            self._access_log(http),
        ]

    def _shared_gb_s(self, *functions: str) -> float:
        return sum(self._gb_seconds(name, "plain") for name in functions)

    def _blocking(self, seconds: float) -> list[Line]:
        size = self.templates.functions["submit"].memory_mb / 1024
        gb_s = self._shared_gb_s("submit", "read", "persist") + size * seconds
        return self._other(http=2, invocations=2, gb_s=gb_s, writes=3, reads=3)

    def _polling(self, seconds: float) -> list[Line]:
        """A message that returns every two seconds until the prediction has ended."""
        polls = max(1.0, seconds / 2)
        gb_s = self._shared_gb_s("submit", "read", "persist")
        gb_s += polls * self._shared_gb_s("dispatch")
        return self._other(
            http=2, invocations=3 + polls, gb_s=gb_s, writes=5, reads=4 + polls, sqs=3 * (polls + 1)
        )

    def _state_machine(self) -> list[Line]:
        """A Standard workflow: create, wait for the webhook's task token, persist, record."""
        gb_s = self._shared_gb_s("submit", "webhook", "persist", "read")
        lines = self._other(http=3, invocations=5, gb_s=gb_s, writes=5, reads=4)
        return [*lines, self._million("Step Functions", "state_transitions", 6)]

    def _durable(self) -> list[Line]:
        """Five durable operations: create, wait for the callback, persist, record, end."""
        gb_s = self._shared_gb_s("submit", "webhook", "persist", "read")
        lines = self._other(http=3, invocations=5, gb_s=gb_s, writes=4, reads=4)
        written = 5 * 1000 * MILLION / GB
        return [
            *lines,
            self._million("Durable operations", "durable_operations", 5),
            Line("Durable data", written, "GB", written * float(self.prices["durable_gb_written"])),
        ]


def total(lines: list[Line]) -> float:
    """Return the dollars of all lines."""
    return sum(line.dollars for line in lines)


def add_parser(commands: Any) -> None:
    """Add the command `cost`, which needs no deployment."""
    parser = commands.add_parser("cost", help="dollars per million predictions, itemised")
    parser.add_argument("--stage", default="prod", help="stage of the templates (default: prod)")
    parser.add_argument("--assembly", type=Path, help="a synthesised cdk.out instead")
    parser.add_argument("--path", default="limits", help="a path of bench/io.json: %(default)s")
    parser.add_argument("--seconds", type=float, default=10, help="a run upstream: %(default)s")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run_offline=command)


def command(given: argparse.Namespace) -> int:
    """Print the bill, the storage cost, the monthly cost, and the bills of other designs."""
    with tempfile.TemporaryDirectory() as outdir:
        made = given.assembly
        templates = Templates.read(made) if made else synthesise(given.stage, Path(outdir))
    model = Model.load(templates)
    if given.path not in model.counted or given.path == "tick":
        raise CostError(f"no such path; there are: {', '.join(sorted(model.counted))}")
    bill = model.bill(given.path)
    if given.json:
        print(json.dumps({line.name: round(line.dollars, 4) for line in bill}))
        return 0
    prices = model.prices
    print(
        f"Per million predictions, path {given.path!r}; prices of {prices['as_of']}, "
        f"{prices['region']}\n"
    )
    _print(bill, "together")
    print("\nKept for 90 days, at 1 MB a picture (not in the sum)\n")
    _print(model.kept(given.path, 90, 1.0))
    print("\nPer month, used or not (not in the sum)\n")
    _print(model.monthly(), "together")
    print(f"\nOther designs, for a model that runs {given.seconds:g} s\n")
    for name, lines in model.others(given.seconds).items():
        print(f"  {name:22}{total(lines):>10.2f} $")
    return 0


def _print(lines: list[Line], together: str = "") -> None:
    for line in lines:
        print(f"  {line.name:22}{line.quantity:>14,.6g} {line.unit:20}{line.dollars:>8.2f} $")
    if together:
        print(f"  {together:57}{total(lines):>8.2f} $")
