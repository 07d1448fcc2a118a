"""Messages of the persist queue: copy a prediction's outputs into our bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.runtime import wiring
from darkroom.runtime.batches import run_messages
from darkroom.runtime.observability import count, invocation, logger, measure_s

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction


def _one(message: dict[str, str]) -> None:
    record = wiring.persist()(message["id"])
    if record is not None:
        count("Stored", int(record.state.value == "succeeded"))
        _measure(record)
        logger.info("persist", prediction=record.id, state=record.state.value)


def _measure(record: Prediction) -> None:
    if record.finished_at is None:
        return
    since_s = max(0, record.updated_at - record.finished_at) // 1000
    if record.state.value == "storing":
        # A copy that failed puts off what the sweep would see, so it is told here too.
        measure_s("StoringAge", since_s)
    elif record.state.value == "succeeded":
        measure_s("StoringTime", since_s)


@invocation
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once; what is stored already is not stored again."""
    return run_messages(event, _one, frozenset({"id"}))
