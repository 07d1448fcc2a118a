"""Structured logs and metrics. Ids and reasons go in; bodies, inputs, URLs and secrets never.

`prediction` is the correlation id, in every line that is about one. Metrics have one dimension,
the stage: no tenant, id or model, which would show customers and cost by the combination.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Answer = TypeVar("Answer")
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "darkroom")
NOTHING_COUNTED = "No application metrics to publish"
"""How Powertools' warning of an invocation that counted nothing begins: many count nothing."""


_SAID_BY_THE_GROUP = ("function_arn", "function_memory_size", "function_name", "service")
"""What the log group of a line says already."""


class _Formatter(LambdaPowertoolsFormatter):
    """Powertools' lines, without what their log group says of each: they are paid for by the byte.

    Warnings and errors name the request, as Lambda's own lines about the end of a process do.
    """

    def serialize(self, log: Any) -> str:
        request_id = log.pop("function_request_id", None)
        for name in _SAID_BY_THE_GROUP:
            log.pop(name, None)
        if not log.get("cold_start"):
            log.pop("cold_start", None)
        if log["level"] not in {"DEBUG", "INFO"}:
            log["request_id"] = request_id
        return super().serialize(log)


# CloudWatch says when a line came.
logger = Logger(service=_SERVICE, logger_formatter=_Formatter(location=None, timestamp=None))
# Lambda's level TRACE is none of logging's: left without a level, ours would be the root logger's.
logging.getLogger(logger.name).setLevel(logger.log_level or logging.DEBUG)
metrics = Metrics(namespace="Darkroom", service=_SERVICE)
warnings.filterwarnings("ignore", NOTHING_COUNTED)


def invocation(
    handler: Callable[[dict[str, Any], Any], Answer],
) -> Callable[[dict[str, Any], Any], Answer]:
    """Log within the invocation's context, and write its metrics in a line of their own at its end.

    Each line is written at once: none is lost where the process is ended.
    """

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    @functools.wraps(handler)
    def invoke(event: dict[str, Any], context: Any) -> Answer:
        _quiet_libraries()
        return handler(event, context)

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
