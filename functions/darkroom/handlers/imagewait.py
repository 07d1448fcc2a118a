"""GET /openai/v1/images/…/wait: where a client of OpenAI's Images API gets its pictures. Of the
door `openai`.

It holds no token of the provider's and creates nothing: what it loses, a client asks for again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.http import Response, respond
from darkroom.api.openai.answers import LARGEST, QUERY, AnswerForm, pieces, place, under_way
from darkroom.api.openai.errors import ended, identified, refusal, still_running
from darkroom.api.routes import OPENAI, Routes
from darkroom.api.waiting import LONGEST_S, MOST_HOPS, asked
from darkroom.domain.prediction import State
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Function, Right
from darkroom.runtime.observability import logger
from darkroom.runtime.settings import Waiting
from darkroom.services.doors.file_answers import FileAnswers, size
from darkroom.services.predictions.read import Read

if TYPE_CHECKING:
    from darkroom.api.http import Call
    from darkroom.api.openai.answers import Kind
    from darkroom.domain.prediction import Prediction
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.doors.wait import Wait
    from darkroom.services.predictions.shown import Shown
    from darkroom.services.tenants.authenticate import Authenticate
    from darkroom.services.tenants.limits import TenantLimits


class ImagewaitSettings(Waiting):
    wait_s: int = LONGEST_S
    """The longest wait in one request."""


class ImageWaits(NamedTuple):
    authenticate: Authenticate
    limits: TenantLimits
    read: Read
    wait: Wait
    shown: Shown
    answers: FileAnswers
    longest_s: int


def build(s: ImagewaitSettings, a: Adapters) -> ImageWaits:
    waits, shown = parts.wait(s, a), parts.shown(s, a, often=True)
    return ImageWaits(
        authenticate=parts.authenticate(s, a),
        limits=parts.limits(s, a),
        read=Read(waits.store),
        wait=waits,
        shown=shown,
        answers=FileAnswers(a.outputs(s.outputs_bucket, lazy=True), shown.signer),
        longest_s=s.wait_s,
    )


ROUTES: Routes[ImageWaits] = Routes(admit=lambda made, call: made.limits.admit_read(call.tenant))
_WAITS: dict[str, Any] = {
    "scope": "read",
    "query": QUERY,
    "answer": "ImagesAnswer",
    "errors": (400, 404, 409, 422, 504),
    "redirects": True,
}


@ROUTES.add(
    f"GET {OPENAI}/images/generations/{{id}}/wait",
    operation="openai.images.generations.wait",
    **_WAITS,
)
def wait_for_generation(made: ImageWaits, call: Call) -> dict[str, Any] | str:
    """The pictures of a text, once they are there, or where to go on waiting for them"""
    return _wait(made, call, "generations")


@ROUTES.add(
    f"GET {OPENAI}/images/edits/{{id}}/wait", operation="openai.images.edits.wait", **_WAITS
)
def wait_for_edit(made: ImageWaits, call: Call) -> dict[str, Any] | str:
    """The edited pictures, once they are there, or where to go on waiting for them"""
    return _wait(made, call, "edits")


def _wait(made: ImageWaits, call: Call, kind: Kind) -> dict[str, Any] | str:
    wanted, form = asked(call.asked), AnswerForm.of(call.asked)
    record = made.read.get(call.tenant, call.named("id"))
    logger.append_keys(prediction=record.id)
    record = made.wait(record, wanted.seconds_of(made.longest_s), None)
    if record.state is State.SUCCEEDED:
        return _answer(made, call, record, form, kind)
    if record.state.terminal:
        raise ended(record)
    if wanted.hop >= MOST_HOPS:
        raise still_running(record)
    call.status = 303 if wanted.hop else 202
    call.headers["location"] = place(kind, record.id, form, wanted.hop and wanted.hop + 1)
    return under_way(record)


def _answer(
    made: ImageWaits, call: Call, record: Prediction, form: AnswerForm, kind: Kind
) -> dict[str, Any] | str:
    """The pictures; those that Lambda could not hand on, at the bucket."""
    answer = pieces(record, made.shown.output_urls(record), form, kind)
    if size(answer) <= LARGEST:
        call.headers["content-type"] = form.content_type
        return made.answers.text(answer)
    # Two clients may want it in different forms.
    name = hashlib.sha256(f"{kind} {sorted(form.query.items())}".encode()).hexdigest()[:16]
    call.status = 303
    call.headers["location"] = made.answers.kept(
        record, f"openai-{name}", form.content_type, answer
    )
    return under_way(record)


def handle(made: ImageWaits, event: dict[str, Any], context: Any) -> Response:
    """Hold the request until the pictures are there; writes nothing but what is too large."""
    return identified(respond(event, ROUTES, made, refusal), event, context)


FUNCTION = Function(
    __name__,
    settings=ImagewaitSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    # It sleeps: what it is paid for is memory by the second.
    memory_mb=256,
    # The gateway gives up after 30 seconds.
    timeout_s=29,
    reserve="wait",
    door="openai",
    rights=(
        Right("dynamodb:GetItem", "predictions", "controls"),
        *rights.ASK_FOR_LOOK,
        rights.SIGN_AT_CDN,
        # Pictures go into an answer, and an answer that is too large beside its pictures.
        Right("s3:GetObject PutObject AbortMultipartUpload", "outputs/*"),
    ),
)
handler = FUNCTION.handler()
