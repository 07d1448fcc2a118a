"""The events that Darkroom puts on its bus, and the event that requests a prediction."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from darkroom.domain import correlation
from darkroom.domain.details import STATUS, details
from darkroom.domain.lifecycle import Event
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
"""Maximum bytes of input in an event; a larger input is read by the prediction's id. EventBridge
allows 256 kB in all, of which a hundred files take about 40 kB."""

OF_PREDICTIONS = tuple(dict.fromkeys([*(event.detail_type for event in Event), REJECTED]))
"""Detail-types that report the result of a prediction, or of a request for one."""


def detail(record: Prediction, event: str) -> dict[str, Any]:
    """Return the event's detail, below 200 kB, with an id that every repetition shares.

    Files, and inputs stored separately from the record, are named by their keys, because a URL
    might expire before the event is read.
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
    """Return the detail of the event that a prediction's webhook is disabled, with the callback and
    the answer that caused it. The URL is left out, since it may contain a secret."""
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
    shown = {"input": record.input, "input_files": record.uploads}
    # The size on the bus, which is in ASCII, where a character may take twelve bytes.
    fits = len(json.dumps(shown)) <= INPUT_SHOWN
    return shown if fits else dict.fromkeys(shown)
