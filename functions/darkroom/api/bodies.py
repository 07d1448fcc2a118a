"""The bodies that clients and events send, as JSON Schemas for validation and OpenAPI."""

from __future__ import annotations

from typing import Any

from darkroom.domain.correlation import (
    LONGEST_END_USER,
    LONGEST_TAG,
    METADATA_KEPT,
    MOST_TAGS,
)
from darkroom.domain.events import LONGEST_TASK_TOKEN
from darkroom.domain.inputs import UPLOAD_TYPE

LONGEST_REFERENCE = 300
LONGEST_URL = 2048
LONGEST_KEY = 255


def _text(most: int, description: str = "") -> dict[str, Any]:
    schema: dict[str, Any] = {"type": ["string", "null"], "maxLength": most}
    return {**schema, "description": description} if description else schema


def _body(description: str, required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


_INPUT = {"type": "object"}
_NO_NUL = r"^[^\u0000]*$"
_EVENTS = {
    "type": ["array", "null"],
    "items": {"type": "string", "enum": ["start", "output", "logs", "completed"]},
    "description": "All four where it is left out, or empty",
}
_SAID = {
    "metadata": {
        "type": ["object", "null"],
        "propertyNames": {"minLength": 1, "pattern": _NO_NUL},
        "additionalProperties": {"type": "string", "pattern": _NO_NUL},
        "description": f"The client's own texts, at most {METADATA_KEPT} bytes as JSON: shown "
        "with the prediction, never to the provider",
    },
    "tags": {
        "type": ["array", "null"],
        "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_TAG},
        "maxItems": MOST_TAGS,
        "description": "Filters of the list and of the usage",
    },
    "end_user": {
        **_text(LONGEST_END_USER, "Whom it is made for, by any name: a list and limits are by it"),
        "minLength": 1,
    },
}
"""A client's own fields of a prediction."""

CREATE = _body(
    "The body of a create. `stream` is accepted and ignored.",
    ["input"],
    {
        "version": _text(
            LONGEST_REFERENCE,
            "owner/name, owner/name:version, a version, or an alias of the deployment",
        ),
        "input": _INPUT,
        "webhook": _text(LONGEST_URL),
        "webhook_events_filter": _EVENTS,
        **_SAID,
        "webhook_completed": _text(
            LONGEST_URL, "Without a `webhook`: a webhook with the filter `completed`"
        ),
        "stream": {},
    },
)
REQUESTED = _body(
    "The detail of a `Prediction Requested` event. It cannot name the tenant.",
    ["input"],
    {
        "model": _text(LONGEST_REFERENCE, "owner/name, owner/name:version, or an alias"),
        "version": _text(LONGEST_REFERENCE, "In place of a model"),
        "input": _INPUT,
        "webhook": _text(LONGEST_URL),
        "webhook_events_filter": _EVENTS,
        **_SAID,
        "cancel_after": _text(30, "30s, 5m or 2h30m"),
        "id": _text(
            LONGEST_KEY,
            "The same request sent twice has the same, and what follows names it as `request_id`; "
            "by default the event's own id",
        ),
        "taskToken": {
            **_text(LONGEST_TASK_TOKEN, "The Step Functions task that waits for the end"),
            "minLength": 1,
        },
    },
)
UPLOAD = _body(
    "Description of a file that the client will post to the bucket itself.",
    [],
    {
        "filename": _text(300),
        "content_type": {
            "type": "string",
            "maxLength": 100,
            "pattern": f"^({UPLOAD_TYPE})$",
            "default": "application/octet-stream",
        },
    },
)
