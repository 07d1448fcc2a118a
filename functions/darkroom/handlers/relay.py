"""The Predictions table's stream: each committed change, to its effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.adapters.items import read_prediction
from darkroom.domain.prediction import Code
from darkroom.runtime import wiring
from darkroom.runtime.batches import run_each
from darkroom.runtime.observability import count, invocation, logger, measure_s

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction


def _one(record: dict[str, Any]) -> None:
    change = record["dynamodb"]
    if "NewImage" not in change:
        # A removal, by the table's TTL: nothing follows from it.
        count("Removed")
        return
    try:
        old = read_prediction(change["OldImage"]) if change.get("OldImage") else None
        new = read_prediction(change["NewImage"])
        wiring.relay()(old, new)
    except Exception:
        logger.exception("relay failed", prediction=change["Keys"]["id"]["S"])
        count("RelayFailed")
        raise
    _count_change(old, new)
    logger.info("relayed", prediction=new.id, state=new.state.value, revision=new.revision)


def _count_change(old: Prediction | None, new: Prediction) -> None:
    """Here and not where it happened: the stream has every change, whoever made it, once.

    Only of changes that have effects: the mapping's filter keeps the others away.
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


@invocation
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once and in order per prediction; failed records are reported, not raised."""
    return run_each(event["Records"], _one, lambda record: record["dynamodb"]["SequenceNumber"])
