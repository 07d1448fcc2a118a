"""Structured logs and metrics. They contain ids and reasons, but never bodies, inputs, URLs or
secrets.

`prediction` is the correlation id, in every line that is about one. Metrics have one dimension, the
stage: tenant, id or model would reveal customers, and each combination is billed.
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

    from darkroom.domain.prediction import Prediction

Answer = TypeVar("Answer")
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "darkroom")
NOTHING_COUNTED = "No application metrics to publish"
"""Beginning of Powertools' warning about an invocation without metrics, which is common."""


_SAID_BY_THE_GROUP = ("function_arn", "function_memory_size", "function_name", "service")
"""Fields that a line's log group already implies."""


class _Formatter(LambdaPowertoolsFormatter):
    """Powertools' lines without the fields that their log group implies, since they are billed by
    the byte.

    Warnings and errors have the request id, like Lambda's own lines about the end of a process.
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


# CloudWatch records the time of a line.
logger = Logger(service=_SERVICE, logger_formatter=_Formatter(location=None, timestamp=None))
# Lambda's level TRACE is unknown to logging; without a level, ours would be the root logger's.
logging.getLogger(logger.name).setLevel(logger.log_level or logging.DEBUG)
metrics = Metrics(namespace="Darkroom", service=_SERVICE)
warnings.filterwarnings("ignore", NOTHING_COUNTED)


def invocation(
    handler: Callable[[dict[str, Any], Any], Answer],
) -> Callable[[dict[str, Any], Any], Answer]:
    """Log within the invocation's context, and write its metrics in a separate line at its end.

    Each line is written at once, so none is lost if the process is ended.
    """

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    @functools.wraps(handler)
    def invoke(event: dict[str, Any], context: Any) -> Answer:
        _quiet_libraries()
        return handler(event, context)

    return invoke


def _quiet_libraries() -> None:
    """Limit libraries to warnings and above, whatever the stage's level, which is for our own
    lines.

    Below it botocore, httpx and httpcore log whole requests, with tokens, secrets, prompts and
    URLs. Lambda sets the level of the root logger, their parent. It is set for each invocation, so
    that the order in which a runtime prepares logging does not matter.
    """
    root = logging.getLogger()
    if root.level < logging.WARNING:
        root.setLevel(logging.WARNING)


@contextlib.contextmanager
def best_effort(what: str) -> Iterator[None]:
    """Log errors inside and continue, for work that the answer does not need."""
    try:
        yield
    except Exception:
        logger.exception(what)


def count(name: str, value: int = 1) -> None:
    """Add to a metric of the current invocation, which is written at its end.

    Nothing is written for 0, because a metric is billed for each hour in which it is written.
    """
    if value:
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def note_accepted(record: Prediction, *, replayed: bool) -> None:
    """Count an accepted create, and have the line of its answer say of what."""
    count("Replayed" if replayed else "Accepted")
    if record.cached_from:
        count("Reused", int(not replayed))
    elif record.provider_id is None:
        count("CreateUnbound")
    # In the line of the answer: a line of its own would cost more than its words.
    logger.append_keys(
        prediction=record.id,
        state=record.state.value,
        model=record.model,
        provider_id=record.provider_id,
    )


def count_refusal(status: int) -> None:
    """Count an answer to a create, where it is a refusal."""
    if status >= 400:
        count(f"Refused{status // 100}xx")
    if status in {402, 429}:
        count(f"Refused{status}")


def measure_s(name: str, seconds: int) -> None:
    """Record a duration or an age."""
    metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=seconds)
