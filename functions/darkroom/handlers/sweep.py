"""Runs once a minute and handles everything that is due."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from darkroom.domain.errors import UnreadableRecordError
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Alarm, Function, Right, Schedule
from darkroom.runtime.observability import count, logger, measure_s
from darkroom.runtime.settings import Effects, Providing
from darkroom.services.callbacks.owed import EnqueueOwed
from darkroom.services.predictions.sweep import Sweep

if TYPE_CHECKING:
    from darkroom.runtime.adapters import Adapters


class SweepSettings(Providing, Effects):
    public_url: str


def build(s: SweepSettings, a: Adapters) -> Sweep:
    secrets = a.secrets(token_name=s.replicate_token_secret)
    run_effects = parts.run_effects(s, a)
    changes = parts.changes(s, a, s.controls_table, dedicated=s.dedicated_account)
    return Sweep(
        changes=changes,
        provider=a.provider(s.replicate_url, secrets),
        run_effects=run_effects,
        owed=EnqueueOwed(
            run_effects.deliveries, changes.store, run_effects.deliver, a.clock(), s.timings
        ),
        public_host=urlsplit(s.public_url).netloc.lower(),
        # Enum values of a catalogue model, used only if a create's outcome is unknown.
        choices=lru_cache(lambda model: a.catalogue()().choices(model)),
    )


def handle(made: Sweep, event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run one bounded tick; ticks may overlap. This one's share is `part` of `parts`."""
    count("Ticks")
    part, of_parts = event.get("part", 0), event.get("parts", 1)
    tick = made(context.get_remaining_time_in_millis, part=part, parts=of_parts)
    for kind, number in tick.done.items():
        count(f"Swept{kind.title()}", number)
    count("SweepLeft", tick.left)
    count("ListUnreadable", tick.unreadable)
    count(
        "RecordUnreadable", sum(isinstance(e, UnreadableRecordError) for e in tick.failed.values())
    )
    # Without waiting records nothing is measured, since a metric is billed for each hour of use.
    if tick.oldest_due_s:
        measure_s("OldestDue", tick.oldest_due_s)
    if tick.oldest_storing_s:
        measure_s("StoringAge", tick.oldest_storing_s)
    for id_, kind in tick.taken:
        logger.info("sweep", prediction=id_, kind=kind)
    for id_, error in tick.failed.items():
        logger.error("sweep failed", prediction=id_, exc_info=error)
    logger.info("swept", done=dict(tick.done), left=tick.left, failed=len(tick.failed))
    for error in tick.failed.values():
        # The other records are done, so the invocation fails, for the alarm on its errors.
        raise error
    return {"done": dict(tick.done), "left": tick.left}


FUNCTION = Function(
    __name__,
    settings=SweepSettings,
    build=build,
    handle=handle,
    schedule=Schedule(minutes=1),
    alarms=(
        Alarm(
            "DueLate",
            "OldestDue",
            300,
            "A record has been due for more than 5 minutes: the sweep does not keep up.",
            sums=False,
        ),
        Alarm(
            "StoringLate",
            "StoringAge",
            600,
            "A result is not stored 10 minutes after Replicate had it.",
            sums=False,
        ),
        Alarm(
            "StoringVeryLate",
            "StoringAge",
            2700,
            "A result is not stored after 45 minutes: Replicate deletes it after 60.",
            sums=False,
        ),
        Alarm(
            "UnreadableRecords",
            "RecordUnreadable",
            1,
            "The sweep met a record that this version cannot read.",
        ),
        Alarm(
            "UnreadableList",
            "ListUnreadable",
            1,
            "Items of Replicate's list of predictions cannot be read.",
        ),
        Alarm(
            "SweepStopped",
            "Ticks",
            1,
            "The sweep has not run for 5 minutes: what was lost is not recovered.",
            below=True,
        ),
    ),
    timeout_s=55,
    rights=(
        Right("dynamodb:GetItem BatchGetItem PutItem UpdateItem", "predictions"),
        Right("dynamodb:Query", "predictions/due"),
        rights.SEE_OWNERS,
        rights.CLAIM,
        rights.COUNT_END,
        Right("dynamodb:PutItem UpdateItem", "deliveries"),
        Right("dynamodb:Query", "deliveries/due"),
        *rights.HAND_ON,
        Right(rights.READ_SECRET, "replicate_token"),
    ),
)
handler = FUNCTION.handler()
