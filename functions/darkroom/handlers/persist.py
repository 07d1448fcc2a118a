"""Messages of the persist queue: copy a prediction's outputs into our bucket."""

from __future__ import annotations

from typing import Any

from darkroom.runtime import wiring
from darkroom.runtime.batches import run_messages
from darkroom.runtime.observability import invocation, logger, measure_s


def _one(message: dict[str, str]) -> None:
    record = wiring.persist()(message["id"])
    if record is None:
        return
    if record.state.value == "storing" and record.finished_at is not None:
        # A copy that failed puts off what the sweep would see, so it is told here too.
        measure_s("StoringAge", max(0, record.updated_at - record.finished_at) // 1000)
    logger.info("persist", prediction=record.id, state=record.state.value)


@invocation
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once; what is stored already is not stored again."""
    return run_messages(event, _one, frozenset({"id"}))
