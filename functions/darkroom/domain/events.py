"""The events that Darkroom puts on its bus, and the one that asks it for a prediction."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from darkroom.domain import correlation
from darkroom.domain.details import STATUS, details
from darkroom.domain.prediction import State
from darkroom.domain.times import rfc3339

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

SOURCE = "darkroom"
REQUESTED = "Prediction Requested"
REJECTED = "Prediction Rejected"
CALLBACK_DISABLED = "Callback Disabled"
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LONGEST_TASK_TOKEN = 2048
"""Step Functions' own limit."""
INPUT_SHOWN = 64_000
"""Bytes of input in an event. A larger one is read by the prediction's id: EventBridge takes
256 kB in all, and a hundred files take about 40 kB of it."""

_TYPES = {
    "started": "Prediction Started",
    State.SUCCEEDED.value: "Prediction Succeeded",
    State.FAILED.value: "Prediction Failed",
    State.CANCELED.value: "Prediction Canceled",
    # As on the wire: `darkroom.code` says that it was the deadline.
    State.ABORTED.value: "Prediction Canceled",
}
OF_PREDICTIONS = tuple(dict.fromkeys((*_TYPES.values(), REJECTED)))
"""The detail-types that tell what became of a prediction, or of the request for one."""


def detail_type(event: str) -> str:
    """The detail-type of `started`, or of a terminal state's name."""
    return _TYPES[event]


def detail(record: Prediction, event: str) -> dict[str, Any]:
    """The event's detail, below 200 kB, with an id that every repetition shares.

    Files, and inputs that are kept apart from the record, are named by their keys: a URL would be
    dead by the time that somebody reads the event.
    """
    return {
        "event_id": f"{record.id}:{event}",
        "id": record.id,
        "tenant": record.tenant,
        "model": record.model,
        "version": record.version,
        "status": STATUS[record.state],
        "error": record.error,
        "created_at": rfc3339(record.created_at),
        "completed_at": record.completed_at if record.state.terminal else None,
        **_input(record),
        **correlation.shown(record),
        "darkroom": details(record),
    }


def callback_disabled(record: Prediction, event: str, status: int | None) -> dict[str, Any]:
    """The detail that tells that nothing more is sent to a prediction's webhook, and by what answer
    to which of its callbacks; without the URL, which may hold a secret."""
    return {
        "event_id": f"{record.id}:{event}:disabled",
        "id": record.id,
        "tenant": record.tenant,
        "host": urlsplit(record.webhook or "").hostname,
        "callback": event,
        "status": status,
        **correlation.shown(record),
    }


def _input(record: Prediction) -> dict[str, Any]:
    shown = {"input": json.loads(record.input), "input_files": record.uploads}
    # As the bus gets it: in ASCII, where a character may take twelve bytes.
    fits = len(json.dumps(shown)) <= INPUT_SHOWN
    return shown if fits else dict.fromkeys(shown)
