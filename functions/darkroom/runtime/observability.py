"""Structured logs and metrics. Ids and reasons go in; bodies, inputs, URLs and secrets never.

`prediction` is the correlation id, in every line that is about one. Metrics have one dimension,
the stage: no tenant, id or model, which would show customers and cost by the combination.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Answer = TypeVar("Answer")
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "darkroom")


class _Lines(logging.StreamHandler[TextIO]):
    """Writes log lines, and keeps back the last: the invocation's metrics go out in it.

    Only a line that says what went well is kept back. Others are of use just where the process
    may end next, and name the request, as Lambda's own lines about such an end do.
    """

    request_id = ""
    _kept: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self.write_kept()
        if record.levelno <= logging.INFO and not record.exc_info:
            self._kept = record
        else:
            record.__dict__["request_id"] = self.request_id
            super().emit(record)

    def write_kept(self) -> None:
        """Write the line that was kept back."""
        record, self._kept = self._kept, None
        if record:
            super().emit(record)

    def write_metrics(self, stated: Mapping[str, Any]) -> None:
        """Write metrics, in the line that was kept back if there is one."""
        without = {"levelname": "INFO", "msg": None}
        record, self._kept = self._kept or logging.makeLogRecord(without), None
        record.__dict__.update(stated)
        super().emit(record)


_lines = _Lines(sys.stdout)
# Each line is paid for by the byte: the log group says which function and stage it is of, and
# CloudWatch when it came.
logger = Logger(service=_SERVICE, location=None, timestamp=None, logger_handler=_lines)
# Lambda's level TRACE is none of logging's: left without a level, ours would be the root logger's.
logging.getLogger(logger.name).setLevel(logger.log_level or logging.DEBUG)
metrics = Metrics(namespace="Darkroom", service=_SERVICE)


def invocation(
    handler: Callable[[dict[str, Any], Any], Answer],
) -> Callable[[dict[str, Any], Any], Answer]:
    """Write the invocation's metrics at its end, in one line with what it logged last.

    Powertools' own decorators add the function's name, ARN and memory to every line, and warn of an
    invocation that counted nothing.
    """
    cold = True

    @functools.wraps(handler)
    def invoke(event: dict[str, Any], context: Any) -> Answer:
        nonlocal cold
        _quiet_libraries()
        _lines.request_id = context.aws_request_id
        logger.structure_logs(service=None, cold_start=cold or None)
        cold = False
        try:
            return handler(event, context)
        finally:
            _write_end()

    return invoke


def _quiet_libraries() -> None:
    """Let libraries speak from warnings on, whatever the stage's level: that is for our own lines.

    Below it botocore, httpx and httpcore log whole requests, with tokens, secrets, prompts and
    URLs. Lambda gives the level to the root logger, of which theirs are children. Set anew each
    time: no order in which a runtime prepares logging must make a difference.
    """
    root = logging.getLogger()
    if root.level < logging.WARNING:
        root.setLevel(logging.WARNING)


def _write_end() -> None:
    if metrics.metric_set:
        _lines.write_metrics(metrics.serialize_metric_set())
        metrics.clear_metrics()
    else:
        _lines.write_kept()


@contextlib.contextmanager
def best_effort(what: str) -> Iterator[None]:
    """Log what is raised inside, and go on: for what the answer can do without."""
    try:
        yield
    except Exception:
        logger.exception(what)


def count(name: str, value: int = 1) -> None:
    """Add to a metric of the current invocation, which is written at its end.

    Nothing is written for 0: a metric is paid for in each hour in which it is written.
    """
    if value:
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def measure_s(name: str, seconds: int) -> None:
    """Note a duration or an age."""
    metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=seconds)
