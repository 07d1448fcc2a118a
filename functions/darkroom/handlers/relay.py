"""The Predictions table's stream: each committed change, to its effects."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from darkroom.adapters.items import read_prediction
from darkroom.runtime import wiring
from darkroom.runtime.observability import count, logger, metrics


def _one(record: Any) -> None:
    change = record.raw_event["dynamodb"]
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
    count("Relayed")
    grown = len(new.extra_provider_ids) - len(old.extra_provider_ids if old else ())
    if grown > 0:
        count("DoubleCreate", grown)
    logger.info("relayed", prediction=new.id, state=new.state.value, revision=new.revision)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """At least once and in order per prediction; failed records are reported, not raised."""
    processor = BatchProcessor(
        event_type=EventType.DynamoDBStreams, raise_on_entire_batch_failure=False
    )
    return process_partial_response(event, _one, processor, context)
