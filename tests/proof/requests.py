"""What clients send in the proof, as API Gateway hands it over."""

from __future__ import annotations

import json
from typing import Any

from tests.proof.cloud import TOKEN
from tests.world import PUBLIC_URL, SCHNELL

FILE_ID = "f" * 26
_HOOK = "https://client.example/hook"
REQUESTS: tuple[dict[str, Any], ...] = (
    {
        "version": SCHNELL,
        "input": {"prompt": "a cat", "seed": 1},
        "webhook": _HOOK,
        "webhook_events_filter": ["start", "completed"],
    },
    {
        "version": SCHNELL,
        "input": {"prompt": "a cat", "seed": 1},
        "webhook": _HOOK,
        "webhook_events_filter": ["completed"],
    },
    {"version": SCHNELL, "input": {"prompt": "a dog"}},
    {
        "version": SCHNELL,
        "input": {
            "prompt": "a file, and an image too large for the record",
            "image": f"{PUBLIC_URL}/v1/files/{FILE_ID}",
            "mask": "data:image/png;base64," + "A" * 260_000,
        },
    },
    {"version": "acme/open:" + "a" * 64, "input": {"prompt": "a model of one's own"}},
)
"""Kinds of requests: 0 and 1 have equal inputs, 3 has files, 4 an open model. 0 has an
Idempotency-Key, so that it may be sent again."""
BODIES = tuple(json.dumps(request) for request in REQUESTS)


def record_id(number: int) -> str:
    """The id of the prediction that was submitted as number so many, from 0."""
    return f"{number:026d}"


def http_event(route: str, path: str, body: str | None, id_: str = "") -> dict[str, Any]:
    """What API Gateway hands over, as far as the handlers look at it."""
    return {
        "routeKey": route,
        "rawPath": path,
        "pathParameters": {"id": id_} if id_ else {},
        "headers": {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": path}},
        "body": body,
    }
