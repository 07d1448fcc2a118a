"""What clients send in the proof, as API Gateway hands it over."""

from __future__ import annotations

import json
from typing import Any

from tests.proof.config import OTHER, TENANT, TOKENS
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
    {"version": SCHNELL, "input": {"prompt": "a cat", "seed": 1}},
)
"""Kinds of requests: 0 and 1 have equal inputs, 3 has files, 4 an open model. 0 has an
Idempotency-Key, so that it may be sent again. 5 is 1 of another tenant."""
EVENTS: dict[int, dict[str, Any]] = {
    6: {"model": SCHNELL, "input": {"prompt": "a cat", "seed": 1}, "taskToken": "task-6"},
    7: {"model": SCHNELL, "input": {"prompt": 7}, "taskToken": "task-7"},
    8: {"version": SCHNELL, "input": REQUESTS[3]["input"]},
    9: REQUESTS[4],
}
"""Kinds of requests that come as events. Tasks wait for the end of 6 and 7, which is refused; 8 has
files, 9 an open model."""
BODIES = tuple(json.dumps(request) for request in REQUESTS)


def tenant_of(kind: int) -> str:
    """Whose request it is."""
    return OTHER if kind == 5 else TENANT


def record_id(number: int) -> str:
    """The id of the prediction that was submitted as number so many, from 0."""
    return f"{number:026d}"


def asked(kind: int) -> str:
    """What a rule puts on the intake queue."""
    return json.dumps({"tenant": TENANT, "id": f"event-{kind}", "detail": EVENTS[kind]})


def http_event(
    route: str, path: str, body: str | None, id_: str = "", tenant: str = TENANT
) -> dict[str, Any]:
    """What API Gateway hands over, as far as the handlers look at it."""
    return {
        "routeKey": route,
        "rawPath": path,
        "pathParameters": {"id": id_} if id_ else {},
        "headers": {
            "authorization": f"Bearer {TOKENS[tenant]}",
            "content-type": "application/json",
        },
        "requestContext": {"http": {"method": "POST", "path": path}},
        "body": body,
    }
