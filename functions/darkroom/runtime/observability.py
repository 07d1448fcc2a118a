"""Structured logs and metrics. Ids and reasons go in; bodies, inputs, URLs and secrets never.

`prediction` is the correlation id, in every line that is about one. Metrics have one dimension,
the stage: no tenant, id or model, which would show customers and cost by the combination.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, TypeVar

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "darkroom")
# Each line is paid for by the byte: the log group says which function and stage it is of.
logger = Logger(service=_SERVICE, location=None)
metrics = Metrics(namespace="Darkroom", service=_SERVICE)


def invocation(
    handler: Callable[[dict[str, Any], Any], Answer],
) -> Callable[[dict[str, Any], Any], Answer]:
    """Every line of an invocation names its request, and its metrics are written at its end.

    Powertools' own decorators add the function's name, ARN and memory to every line, and warn of an
    invocation that counted nothing.
    """
    cold = True

    @functools.wraps(handler)
    def invoke(event: dict[str, Any], context: Any) -> Answer:
        nonlocal cold
        about = {"request_id": context.aws_request_id, "cold_start": cold or None}
        cold = False
        logger.structure_logs(service=None, location=None, **about)
        try:
            return handler(event, context)
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()

    return invoke


def count(name: str, value: int = 1) -> None:
    """Add to a metric of the current invocation, which is written at its end."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def measure_s(name: str, seconds: int) -> None:
    """Note a duration or an age."""
    metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=seconds)
