"""Structured logs and metrics. Ids and reasons go in; bodies, inputs, URLs and secrets never."""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="darkroom")
metrics = Metrics(namespace="Darkroom", service="darkroom")


def count(name: str, value: int = 1) -> None:
    """Add to a metric of the current invocation; `metrics.log_metrics` writes it at the end."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
