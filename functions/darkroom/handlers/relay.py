"""The Predictions table's stream: each committed change, to its effects."""

from __future__ import annotations

from typing import Any

from darkroom.adapters.items import read_prediction
from darkroom.domain.errors import UnreadableRecordError
from darkroom.runtime import wiring
from darkroom.runtime.batches import run_each
from darkroom.runtime.changes import count_change
from darkroom.runtime.observability import count, invocation, logger


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
    except UnreadableRecordError as error:
        # Not tried again, which would hold up what is behind it: once it can be read, the sweep
        # derives what it causes. Until then each claim of the sweep's is one more such change.
        logger.error("unreadable", prediction=error.id, reason=error.reason)
        count("RelayFailed")
        return
    except Exception:
        logger.exception("relay failed", prediction=change["Keys"]["id"]["S"])
        count("RelayFailed")
        raise
    count_change(old, new)
    logger.info("relayed", prediction=new.id, state=new.state.value, revision=new.revision)


@invocation
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once and in order per prediction; failed records are reported, not raised."""
    return run_each(event["Records"], _one, lambda record: record["dynamodb"]["SequenceNumber"])


wiring.at_init(wiring.relay)
