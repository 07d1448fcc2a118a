"""Once a minute: whatever is due."""

from __future__ import annotations

from typing import Any

from darkroom.domain.errors import UnreadableRecordError
from darkroom.runtime import wiring
from darkroom.runtime.observability import count, invocation, logger, measure_s


@invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One bounded tick; ticks may overlap. `part` of `parts` is this one's share."""
    count("Ticks")
    part, parts = event.get("part", 0), event.get("parts", 1)
    tick = wiring.sweep()(context.get_remaining_time_in_millis, part=part, parts=parts)
    for kind, number in tick.done.items():
        count(f"Swept{kind.title()}", number)
    count("SweepLeft", tick.left)
    count("ListUnreadable", tick.unreadable)
    count(
        "RecordUnreadable", sum(isinstance(e, UnreadableRecordError) for e in tick.failed.values())
    )
    # Where nothing waits there is nothing to tell, in a metric that is paid for by the hour.
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
        # The others are done: now the invocation fails, for the alarm on its errors.
        raise error
    return {"done": dict(tick.done), "left": tick.left}


wiring.at_init(wiring.sweep)
