"""Log lines of the functions since a run began: Darkroom's own and Lambda's."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ops.deployment import functions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ops.deployment import Deployment

MOST_LINES = 50_000
"""Maximum of lines per function, since a busy stage writes more than a run needs."""
CLOCKS_APART_MS = 2_000
WEBHOOK_REFUSED = "webhook refused"
"""Message of the webhook function for a webhook without valid proof."""

_DENIED = re.compile(r"AccessDenied|not authorized to perform|UnauthorizedOperation")
_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z*]+)")
_OPERATION = re.compile(r"when calling the (\w+) operation")
_NUMBERS = {
    "duration_ms": r"\tDuration: ([\d.]+) ms",
    "billed_ms": r"\tBilled Duration: ([\d.]+) ms",
    "memory_mb": r"\tMemory Size: (\d+) MB",
    "most_mb": r"\tMax Memory Used: (\d+) MB",
    "init_ms": r"\tInit Duration: ([\d.]+) ms",
}
_METRICS = {
    "duration_ms": "durationMs",
    "billed_ms": "billedDurationMs",
    "memory_mb": "memorySizeMB",
    "most_mb": "maxMemoryUsedMB",
    "init_ms": "initDurationMs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Lambda's report of one invocation."""

    duration_ms: float
    billed_ms: float
    memory_mb: float
    most_mb: float
    init_ms: float | None = None
    """Set for a cold start only."""


def read_report(line: str) -> Report | None:
    """Parse a line `platform.report`, or the older text form REPORT. None for other lines."""
    if line.startswith("REPORT "):
        # The first number is preceded by a tab in either form.
        found = {name: re.search(form, line) for name, form in _NUMBERS.items()}
        return _report({name: float(match[1]) for name, match in found.items() if match})
    said = as_object(line)
    record = said.get("record")
    if said.get("type") != "platform.report" or not isinstance(record, dict):
        return None
    metrics = record.get("metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    told = {name: metrics.get(theirs) for name, theirs in _METRICS.items()}
    return _report({k: float(v) for k, v in told.items() if isinstance(v, int | float)})


def _report(values: dict[str, float]) -> Report | None:
    try:
        return Report(**values)
    except TypeError:
        return None


def as_object(line: str) -> dict[str, Any]:
    """Return a line's JSON object; empty if it is not one."""
    try:
        value = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def denials(lines: Iterable[str]) -> list[str]:
    """Return the actions that AWS denied, each once; `?` for a denial that names none."""
    found = []
    for line in filter(_DENIED.search, lines):
        action = _ACTION.search(line) or _OPERATION.search(line)
        found.append(action[1] if action else "?")
    return list(dict.fromkeys(found))


class Logs:
    """Reads CloudWatch logs from the run's beginning on."""

    def __init__(self, deployment: Deployment, began: float) -> None:
        self._deployment = deployment
        self._client = deployment.client("logs")
        self._since = int(began * 1000) - CLOCKS_APART_MS
        self._groups: dict[str, str] = {}

    @property
    def functions(self) -> list[str]:
        """Names of all functions in the stacks' outputs."""
        return sorted(functions(self._deployment.outputs))

    def lines(self, function: str) -> list[str]:
        """Return every line of the function; empty if it has written nothing yet."""
        return list(islice(self._lines(function), MOST_LINES))

    def about(self, function: str, prediction: str) -> list[dict[str, Any]]:
        """Return the lines that name the prediction."""
        said = map(as_object, self.lines(function))
        return [line for line in said if line.get("prediction") == prediction]

    def reports(self, function: str) -> list[Report]:
        """Return the report of each invocation, the oldest first."""
        return [found for line in self.lines(function) if (found := read_report(line))]

    def _lines(self, function: str) -> Iterator[str]:
        pages = self._client.get_paginator("filter_log_events").paginate(
            logGroupName=self._group(function), startTime=self._since
        )
        try:
            for page in pages:
                for event in page["events"]:
                    yield from event["message"].splitlines()
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    def _group(self, function: str) -> str:
        if function not in self._groups:
            name = self._deployment.outputs[f"Function{function}"]
            found = self._deployment.client("lambda").get_function_configuration(FunctionName=name)
            logging = found.get("LoggingConfig", {})
            self._groups[function] = logging.get("LogGroup") or f"/aws/lambda/{name}"
        return self._groups[function]
