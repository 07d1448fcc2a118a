"""POST /v1/predictions and POST /v1/models/{owner}/{name}/predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.http import Response, respond, warning
from darkroom.api.requests import ReadCreate, goes_to_wait, is_dry_run
from darkroom.api.routes import MODEL, Routes
from darkroom.api.waiting import waiting_place
from darkroom.domain.money import usd
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Function
from darkroom.runtime.observability import note_accepted, note_refused
from darkroom.runtime.settings import Submitting, Thumbnailed

if TYPE_CHECKING:
    from darkroom.api.http import Call
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.predictions.shown import Shown
    from darkroom.services.predictions.submit import Submit
    from darkroom.services.tenants.authenticate import Authenticate


class SubmitSettings(Thumbnailed, Submitting):
    watch_key_secret: str = ""
    """The secret that signs watch URLs, which is the link key; empty if the stage has no door
    `wait`."""


class Submits(NamedTuple):
    authenticate: Authenticate
    read_create: ReadCreate
    submit: Submit
    shown: Shown
    waits: bool
    """Whether a client that wants to wait can be redirected."""


def build(s: SubmitSettings, a: Adapters) -> Submits:
    submit = parts.submit(s, a)
    waits = bool(s.watch_key_secret)
    secrets = submit.create.secrets
    watch = parts.watch(s, a, secrets) if waits else None
    return Submits(
        authenticate=parts.authenticate(s, a),
        read_create=ReadCreate(local_callbacks=s.local_callbacks),
        submit=submit,
        shown=parts.shown_with_thumbnails(s, a, secrets, watches=watch),
        waits=waits,
    )


ROUTES: Routes[Submits] = Routes()


def _create(made: Submits, call: Call) -> dict[str, Any]:
    key = call.key
    wanted = made.read_create(call.request, key.tenant, key.dedupe_window_s)
    if is_dry_run(call.request):
        most, told = made.submit.most(wanted)
        call.status = 200
        _warn(call, told)
        return {"darkroom": {"most": usd(most)}}
    redirects = made.waits and goes_to_wait(call.request)
    accepted = made.submit(wanted)
    record = accepted.record
    note_accepted(accepted)
    call.headers["location"] = f"{made.submit.public_url}/v1/predictions/{record.id}"
    _warn(call, accepted.warning)
    if accepted.replayed:
        call.headers["idempotent-replayed"] = "true"
    if redirects and not record.state.terminal:
        call.status = 303
        call.headers["location"] = waiting_place(record.id)
    return made.shown.created(record, accepted.expected)


def _warn(call: Call, text: str | None) -> None:
    if text:
        call.headers["warning"] = warning(text)


_CREATES: dict[str, Any] = {
    "scope": "submit",
    "status": 201,
    "answer": "CreatedPrediction",
    "errors": (400, 402, 413, 415, 422, 503),
    "creates": True,
    "redirects": True,
}


@ROUTES.add(
    "POST /v1/predictions", operation="predictions.create", body="NewPredictionBody", **_CREATES
)
def create(made: Submits, call: Call) -> dict[str, Any]:
    """Create a prediction; never waits for its result"""
    return _create(made, call)


@ROUTES.add(
    f"POST {MODEL}/predictions",
    operation="models.predictions.create",
    body="NewModelPredictionBody",
    **_CREATES,
)
def create_of_model(made: Submits, call: Call) -> dict[str, Any]:
    """Create a prediction of a model; never waits for its result"""
    return _create(made, call)


def handle(made: Submits, event: dict[str, Any], _context: Any) -> Response:
    """Accept a prediction; never waits for its result."""
    response = respond(event, ROUTES, made)
    note_refused(response["statusCode"])
    return response


FUNCTION = Function(
    __name__,
    settings=SubmitSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    # The body that needs most takes less than 256 MB (tests/bench/test_memory.py). Half as much
    # again, because the processor share of a cold start depends on memory.
    memory_mb=384,
    timeout_s=15,
    rights=(
        *rights.SUBMIT,
        rights.KEEP_SCHEMA,
        rights.REPEAT,
        # Without a CDN, the right to copy outputs is the right to show them.
        rights.SIGN_AT_CDN,
    ),
)
handler = FUNCTION.handler()
