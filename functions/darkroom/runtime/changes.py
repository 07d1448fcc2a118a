"""Metrics of the records' lives, from the table's stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.prediction import Code
from darkroom.runtime.observability import count, logger, measure_s

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction


def count_change(old: Prediction | None, new: Prediction) -> None:
    """Count a change in the table's stream.

    It is counted here and not where it happened, because the stream has every change exactly once,
    whoever made it. Only changes with effects are counted, since the mapping's filter drops the
    others.
    """
    grown = len(new.extra_provider_ids) - len(old.extra_provider_ids if old else ())
    if grown > 0:
        count("DoubleCreate", grown)
        extra = list(new.extra_provider_ids)
        logger.warning("double create", prediction=new.id, provider_ids=extra)
    if new.create.parked and (old is None or old.create != new.create):
        count("CreateParked")
    if new.state.terminal and (old is None or not old.state.terminal):
        count(f"Ended{new.state.value.title()}")
        count("CostMicroUsd", new.cost or 0)
        if new.code is Code.PROVIDER_LOST:
            count("ProviderLost")
        if old and old.price and (new.cost or 0) > old.price.most:
            count("CostAboveMost")
            logger.warning("cost above most", prediction=new.id, most=old.price.most, cost=new.cost)
        if old and old.state.value == "storing" and new.state.value == "succeeded":
            since = new.finished_at or new.updated_at
            measure_s("StoringTime", max(0, new.updated_at - since) // 1000)
