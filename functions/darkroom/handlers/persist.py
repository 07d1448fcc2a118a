"""Messages of the persist queue: copy a prediction's outputs into our bucket."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from darkroom.domain import row_keys
from darkroom.runtime import parts, rights
from darkroom.runtime.batches import run_messages
from darkroom.runtime.function import Function, Right, WorkQueue
from darkroom.runtime.observability import logger, measure_s
from darkroom.runtime.settings import Common, Controlled
from darkroom.services.models.run_times import RunTimes
from darkroom.services.predictions.persist import Persist

if TYPE_CHECKING:
    from darkroom.runtime.adapters import Adapters


class PersistSettings(Controlled, Common):
    outputs_bucket: str
    output_hosts: tuple[str, ...] = ("replicate.delivery", "*.replicate.delivery")
    max_output_bytes: int = 250_000_000
    """Sufficient for the catalogue's largest: a photograph of 13 megapixels, enlarged four times
    each way."""
    copies_at_once: int = 4
    """Files of one prediction that are copied concurrently."""


def build(s: PersistSettings, a: Adapters) -> Persist:
    return Persist(
        parts.changes(s, a, s.controls_table),
        a.fetcher(s.output_hosts, s.max_output_bytes, s.timings.output_budget_s),
        a.outputs(s.outputs_bucket),
        RunTimes(a.controls(s.controls_table), a.clock()),
        at_once=s.copies_at_once,
    )


def _one(made: Persist, message: dict[str, str], context: Any) -> None:
    record = made(message["id"], context.get_remaining_time_in_millis)
    if record is None:
        return
    if record.state.value == "storing" and record.finished_at is not None:
        # A failed copy delays the time at which the sweep would see it, so its age is measured here
        # too.
        measure_s("StoringAge", max(0, record.updated_at - record.finished_at) // 1000)
    logger.info("persist", prediction=record.id, state=record.state.value)


def handle(made: Persist, event: dict[str, Any], context: Any) -> dict[str, Any]:
    """At least once; files already stored are not stored again."""
    return run_messages(event, partial(_one, made, context=context), frozenset({"id"}))


FUNCTION = Function(
    __name__,
    settings=PersistSettings,
    build=build,
    handle=handle,
    queues=(WorkQueue("Persist", batch_size=1),),
    timeout_s=120,
    rights=(
        rights.CHANGE,
        Right("dynamodb:GetItem UpdateItem", "controls", keys=(row_keys.RUN_TIMES,)),
        rights.COUNT_END,
        Right("s3:PutObject GetObject AbortMultipartUpload", "outputs/*"),
        # The files of one prediction.
        Right("s3:ListBucket", "outputs", prefixes=("*/????/??/*/",)),
    ),
)
handler = FUNCTION.handler()
