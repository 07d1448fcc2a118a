"""The Predictions table's stream: carries out the effects of each committed change."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import RELAY, read_prediction
from darkroom.domain import row_keys
from darkroom.domain.errors import UnreadableRecordError
from darkroom.runtime import parts, rights
from darkroom.runtime.batches import run_each
from darkroom.runtime.changes import count_change
from darkroom.runtime.function import Alarm, Function, Right, Stream
from darkroom.runtime.observability import count, logger
from darkroom.runtime.settings import Effects
from darkroom.services.predictions.relay import Relay
from darkroom.services.predictions.reuse import CacheResult

if TYPE_CHECKING:
    from darkroom.runtime.adapters import Adapters

WITH_EFFECTS = tuple(
    {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {RELAY: {"BOOL": [said]}}}}
    # Absent if an earlier version wrote the item; such a change passes the filter.
    for said in (True, {"exists": False})
)
"""The changes that invoke it; the domain decides this for each record."""


class RelaySettings(Effects):
    """The settings of every function that carries out effects."""


def build(s: RelaySettings, a: Adapters) -> Relay:
    remember = CacheResult(a.controls(s.controls_table))
    return Relay(parts.run_effects(s, a), parts.changes(s, a, s.controls_table).store, remember)


def _one(made: Relay, record: dict[str, Any]) -> None:
    change = record["dynamodb"]
    if "NewImage" not in change:
        # A removal by the table's TTL has no effects.
        count("Removed")
        return
    try:
        old = read_prediction(change["OldImage"]) if change.get("OldImage") else None
        new = read_prediction(change["NewImage"])
        made(old, new)
    except UnreadableRecordError as error:
        # Not retried, since that would block the changes behind it. Once the record is readable,
        # the sweep derives its effects; until then, each claim of the sweep is one more such
        # change.
        logger.error("unreadable", prediction=error.id, reason=error.reason)
        count("RelayFailed")
        return
    except Exception:
        logger.exception("relay failed", prediction=change["Keys"]["id"]["S"])
        count("RelayFailed")
        raise
    count_change(old, new)
    logger.info("relayed", prediction=new.id, state=new.state.value, revision=new.revision)


def handle(made: Relay, event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once and in order per prediction; failed records are reported, not raised."""
    one = partial(_one, made)
    return run_each(event["Records"], one, lambda record: record["dynamodb"]["SequenceNumber"])


FUNCTION = Function(
    __name__,
    settings=RelaySettings,
    build=build,
    handle=handle,
    stream=Stream(batch_size=25, filters=WITH_EFFECTS),
    alarms=(
        Alarm(
            "ParkedCreates",
            "CreateParked",
            1,
            "Replicate refuses our token or our account: predictions wait.",
        ),
        Alarm(
            "LostPredictions",
            "ProviderLost",
            1,
            "A prediction of which Replicate told nothing more was given up and charged in full.",
        ),
        Alarm(
            "CostsAboveMost",
            "CostAboveMost",
            1,
            "Replicate billed more than was reserved: a tenant's cap can be passed by that much.",
        ),
        Alarm(
            "DoubleCreates",
            "DoubleCreate",
            1,
            "Replicate made a second prediction for one of ours; it is being cancelled.",
        ),
    ),
    memory_mb=256,
    timeout_s=60,
    rights=(
        Right("dynamodb:UpdateItem", "predictions"),
        Right("dynamodb:UpdateItem", "controls", keys=rights.USAGE),
        Right("dynamodb:PutItem", "controls", keys=(row_keys.every(row_keys.RESULT),)),
        Right("dynamodb:PutItem", "deliveries"),
        *rights.HAND_ON,
    ),
)
handler = FUNCTION.handler()
