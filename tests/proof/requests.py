"""The clients' requests in the proof, as API Gateway passes them on."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.proof.config import END_USER, OTHER, TENANT, TOKENS
from tests.support.world import PUBLIC_URL, SCHNELL

if TYPE_CHECKING:
    from tests.proof.config import Config

FILE_ID = "f" * 26
PINNED = f"{SCHNELL}:c846a69991daf4c0e5d016514849d14ee5b2e6846ce6b9d6f21369e564cfe51e"
SDXL = "stability-ai/sdxl"
UPSCALER = "proof/upscaler"
"""A model of the proof's own catalogue, billed by the megapixel."""
UNPRICED = "acme/open:" + "a" * 64
MISNAMED = f"no-such/model:{PINNED.partition(':')[2]}"
"""A known version under the name of another model, which must be rejected."""
_HOOK = "https://client.example/hook"
PATIENCE = "6h"
EVENTS = (6, 7, 8, 9)
"""Kinds of requests that arrive as events."""
TASKS = {6: "task-6", 7: "task-7"}
"""The Step Functions tasks that wait for the end of two of them."""

_CAT = {
    "prompt": " a cat ",
    "seed": 2**53 + 1,
    "num_outputs": 2,
    "disable_safety_checker": False,
    "image": "data:image/png;base64,iVBORw0KGgo=",
    "nonsense": 1,
}
"""All values that a provider may show in another form: a data URI, white space, an integer that no
float represents, a name unknown to the model."""
_DOG = {"prompt": "a dog", "num_outputs": 2, "disable_safety_checker": True}
"""A boolean distinguishes it from the cat, however the other values are shown."""
_SAID = {"end_user": END_USER}


@cache
def requests(config: Config) -> dict[int, dict[str, Any]]:
    """Return the bodies by kind: 0 and 1 have equal inputs, 3 has files, 4 an open model.

    0 has an Idempotency-Key, so it may be sent again. 5 is 1 of another tenant. 6 to 9 arrive as
    events: tasks wait for the end of 6 and of 7, which is rejected; 8 has files, 9 an open model.
    10 must be rejected. 0, 1 and 6 are for an end user.
    """
    model = _model(config)
    every = ["start", "output", "logs", "completed"]
    filled = {
        "prompt": "a file, and an image too large for the record",
        "num_outputs": 2,
        "image": f"{PUBLIC_URL}/v1/files/{FILE_ID}",
        "mask": "data:image/png;base64," + "A" * 260_000,
    }
    open_model = {"version": UNPRICED, "input": {"prompt": "a model of one's own"}}
    first = every if config.grows else ["start", "completed"]
    second = every if config.grows else ["completed"]
    bodies: dict[int, dict[str, Any]] = {
        0: {"version": model, "input": _CAT, "webhook": _HOOK, "webhook_events_filter": first}
        | _SAID,
        1: {"version": model, "input": _CAT, "webhook": _HOOK, "webhook_events_filter": second}
        | _SAID,
        2: {"version": model, "input": _DOG},
        3: {"version": model, "input": filled},
        4: open_model,
        5: {"version": model, "input": _CAT},
        6: {"model": model, "input": _CAT, "taskToken": TASKS[6]} | _SAID,
        7: {"model": model, "input": {"prompt": 7}, "taskToken": TASKS[7]},
        8: {"version": model, "input": filled},
        9: open_model,
        10: {"version": MISNAMED, "input": _CAT},
    }
    if config.patient:
        for kind in EVENTS:
            bodies[kind] = {**bodies[kind], "cancel_after": PATIENCE}
    return bodies


def _model(config: Config) -> str:
    match config.price:
        case "second":
            return SDXL
        case "megapixel":
            return UPSCALER
        case "none":
            return UNPRICED
    return SCHNELL if config.show_version == "true" else PINNED


@cache
def body(config: Config, kind: int) -> str:
    """Return a request's body as it is sent."""
    return json.dumps(requests(config)[kind])


def tenant_of(config: Config, kind: int) -> str:
    """Return the tenant of a request."""
    return OTHER if kind == 5 or (kind == 1 and config.stays == "row") else TENANT


def record_id(number: int) -> str:
    """Return the id of the nth submitted prediction, from 0."""
    return f"{number:026d}"


def asked(config: Config, kind: int) -> str:
    """Return the message that a rule puts on the intake queue."""
    detail = requests(config)[kind]
    return json.dumps({"tenant": TENANT, "id": f"event-{kind}", "detail": detail})


def http_event(
    route: str, path: str, body: str | None, id_: str = "", tenant: str = TENANT
) -> dict[str, Any]:
    """Return API Gateway's event, with the fields that the handlers read."""
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
