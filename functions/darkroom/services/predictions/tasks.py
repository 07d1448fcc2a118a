"""Step Functions tasks that wait for a prediction: heartbeats, and the result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from darkroom.domain import correlation, events
from darkroom.domain.prediction import State
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import PredictionStore, Tasks
    from darkroom.services.predictions.shown import Shown

TASK = "task"
"""Value of `event` in a deliver message that is about a Step Functions task and not a callback."""
OUTPUT_SHOWN = 100_000
"""Bytes of output in an answer; a larger output is read by id. Step Functions accepts 256 KiB."""


@immutable
class TellTask:
    """Notifies a task. Only the record decides what to send, so a message may be duplicate, late or
    early."""

    store: PredictionStore
    tasks: Tasks
    shown: Shown

    def __call__(self, id_: str) -> bool:
        """Send the record's state to its task. Returns False if the task does not wait any more.

        At least once: an outage raises, and the queue retries.
        """
        record = self.store.get(id_)
        if record is None or record.task_token is None:
            return False
        token = record.task_token
        if not record.state.terminal:
            return self.tasks.heartbeat(token)
        if record.state is State.SUCCEEDED:
            return self.tasks.succeed(token, _compact(self._result(record)))
        code = record.code.value if record.code else record.state.value
        cause = {"id": record.id, "code": code, "error": record.error}
        cause |= correlation.shown(record)
        return self.tasks.fail(token, f"Darkroom.{code}", _compact(cause))

    def _result(self, record: Prediction) -> dict[str, Any]:
        """Return the event, and the output with URLs that the task's next step may read at once."""
        output = self.shown(record)["output"]
        fits = len(_compact(output).encode()) <= OUTPUT_SHOWN
        detail = events.detail(record, record.state.value)
        return {**detail, "output": output if fits else None}


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
