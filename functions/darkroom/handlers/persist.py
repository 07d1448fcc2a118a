"""Messages of the persist queue: copy a prediction's outputs into our bucket."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from darkroom.runtime import wiring
from darkroom.runtime.batches import run_messages
from darkroom.runtime.observability import invocation, logger, measure_s

if TYPE_CHECKING:
    from collections.abc import Callable


def _one(message: dict[str, str], remaining_ms: Callable[[], int]) -> None:
    record = wiring.persist()(message["id"], remaining_ms)
    if record is None:
        return
    if record.state.value == "storing" and record.finished_at is not None:
        # A copy that failed puts off what the sweep would see, so it is told here too.
        measure_s("StoringAge", max(0, record.updated_at - record.finished_at) // 1000)
    logger.info("persist", prediction=record.id, state=record.state.value)


@invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """At least once; what is stored already is not stored again."""
    one = partial(_one, remaining_ms=context.get_remaining_time_in_millis)
    return run_messages(event, one, frozenset({"id"}))


wiring.at_init(wiring.persist)
