"""Step Functions tasks that wait for a prediction: told that it runs, and how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.domain import correlation, events
from darkroom.domain.prediction import State

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import PredictionStore, Tasks
    from darkroom.services.predictions.shown import Shown

TASK = "task"
"""In a message of the tasks queue, in an event's place."""
OUTPUT_SHOWN = 100_000
"""Bytes of output in an answer, of which Step Functions takes 256 KiB: the rest is read by id."""


@dataclass(frozen=True, slots=True)
class TellTask:
    """The record alone says what there is to tell: a message may be doubled, late or early."""

    store: PredictionStore
    tasks: Tasks
    shown: Shown

    def __call__(self, id_: str) -> bool:
        """Tell the record's task how things stand; False if nobody waits for it any more.

        At least once: an outage is raised, and the queue tries again.
        """
        record = self.store.get(id_)
        if record is None or record.task_token is None:
            return False
        token = record.task_token
        if not record.state.terminal:
            return self.tasks.beat(token)
        if record.state is State.SUCCEEDED:
            return self.tasks.succeed(token, _compact(self._result(record)))
        code = record.code.value if record.code else record.state.value
        cause = {"id": record.id, "code": code, "error": record.error}
        cause |= correlation.shown(record)
        return self.tasks.fail(token, f"Darkroom.{code}", _compact(cause))

    def _result(self, record: Prediction) -> dict[str, Any]:
        """The event, and the output with URLs that the task's next step may read at once."""
        output = self.shown(record)["output"]
        fits = len(_compact(output).encode()) <= OUTPUT_SHOWN
        detail = events.detail(record, record.state.value)
        return {**detail, "output": output if fits else None}


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
