"""What the functions log, as CloudWatch has it, and the alarms that hang on it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from darkroom.runtime.function import declared

from infra.stacks.observability import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.cloud import EmbeddedCloud

ALARMS = {alarm.name: alarm for function in declared().values() for alarm in function.alarms}


class Logs:
    """What the functions have logged since this was made, as CloudWatch has it."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self._client = cloud.client("logs")
        self._since = int(time.time() * 1000)

    def lines(self, function: str) -> list[dict[str, Any]]:
        """Lines of one function that are JSON objects."""
        found = []
        for group in self._client.describe_log_groups()["logGroups"]:
            if f"/{function}Logs" not in group["logGroupName"]:
                continue
            pages = self._client.get_paginator("filter_log_events").paginate(
                logGroupName=group["logGroupName"], startTime=self._since
            )
            for event in (event for page in pages for event in page["events"]):
                texts = event["message"].splitlines()
                found += [json.loads(text) for text in texts if text.startswith("{")]
        return found

    def values(self, function: str, metric: str) -> list[float]:
        """What the function has written of a metric."""
        written = []
        for line in self.lines(function):
            if "_aws" in line and metric in line:
                (stated,) = line["_aws"]["CloudWatchMetrics"]
                assert (stated["Namespace"], stated["Dimensions"]) == (NAMESPACE, [["service"]])
                assert line["service"] == "darkroom-local"
                written += line[metric]
        return written

    def alarming(self, name: str, *functions: str) -> Callable[[], bool]:
        """Whether what the functions wrote is enough for the alarm."""
        alarm = ALARMS[name]

        def check() -> bool:
            values = [v for f in functions for v in self.values(f, alarm.metric)]
            total = sum(values) if alarm.sums else max(values, default=0)
            return total >= alarm.threshold

        return check
