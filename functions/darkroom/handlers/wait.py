"""GET …/wait and …/watch: long polls of one prediction. An optional part, the door `wait`.

It has no provider token and creates nothing, so clients simply repeat a lost request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.http import Response, respond
from darkroom.api.routes import Routes, canonical
from darkroom.api.waiting import LONGEST_S, MOST_HOPS, asked, waiting_place
from darkroom.domain.errors import NotFoundError
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Function, Right
from darkroom.runtime.observability import logger
from darkroom.runtime.settings import Thumbnailed, Waiting
from darkroom.services.predictions.read import Read

if TYPE_CHECKING:
    from darkroom.api.http import Call
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.doors.wait import Wait
    from darkroom.services.doors.watch import Watch
    from darkroom.services.predictions.shown import Shown
    from darkroom.services.tenants.authenticate import Authenticate
    from darkroom.services.tenants.limits import TenantLimits

WATCH = "GET /v1/predictions/{id}/watch"


class WaitSettings(Thumbnailed, Waiting):
    link_key_secret: str
    wait_s: int = LONGEST_S
    """The longest wait in one request, in seconds."""


class Waits(NamedTuple):
    authenticate: Authenticate
    limits: TenantLimits
    read: Read
    wait: Wait
    watch: Watch
    shown: Shown
    longest_s: int


def build(s: WaitSettings, a: Adapters) -> Waits:
    waits = parts.wait(s, a)
    secrets = a.secrets(link_name=s.link_key_secret)
    watch = parts.watch(s, a, secrets)
    return Waits(
        authenticate=parts.authenticate(s, a),
        limits=parts.limits(s, a),
        read=Read(waits.store),
        wait=waits,
        watch=watch,
        shown=parts.shown_with_thumbnails(s, a, secrets, often=True, watches=watch),
        longest_s=s.wait_s,
    )


ROUTES: Routes[Waits] = Routes(admit=lambda made, call: made.limits.admit_read(call.tenant))


@ROUTES.add(
    "GET /v1/predictions/{id}/wait",
    scope="read",
    query=("seconds", "revision", "hop"),
    operation="predictions.wait",
    answer="PredictionBody",
    errors=(400, 404),
    redirects=True,
)
def wait(made: Waits, call: Call) -> dict[str, Any]:
    """One prediction, once it has ended or changed, or when the time is over"""
    wanted = asked(call.asked)
    record = made.read.get(call.tenant, call.named("id"))
    logger.append_keys(prediction=record.id)
    record = made.wait(record, wanted.seconds_of(made.longest_s), wanted.revision)
    goes_on = 0 < wanted.hop < MOST_HOPS and not record.state.terminal
    if goes_on and wanted.revision in {None, record.revision}:
        call.status = 303
        call.headers["location"] = waiting_place(record.id, call.asked, wanted.hop + 1)
    return made.shown.alone(record)


@ROUTES.add(
    WATCH,
    scope=None,
    query=("t", "seconds", "revision"),
    operation="predictions.watch",
    answer="WatchedBody",
    errors=(400, 404),
)
def watch(made: Waits, call: Call) -> dict[str, Any]:
    """Result of one prediction by its watch URL; waits like `wait`"""
    id_ = call.named("id")
    if not made.watch.opens(id_, call.asked.get("t", "")):
        raise NotFoundError("Not found")
    wanted = asked(call.asked)
    logger.append_keys(prediction=id_)
    record = made.wait(made.read.opened(id_), wanted.seconds_of(made.longest_s), wanted.revision)
    return made.shown.watched(record)


def handle(made: Waits, event: dict[str, Any], _context: Any) -> Response:
    """Hold the request until there is a change; writes only that a client waits."""
    response = respond(event, ROUTES, made)
    _, path = canonical("GET", str(event.get("rawPath") or event.get("path") or ""))
    if path.endswith("/watch"):
        # The URL is the authorization for any page, so errors may be read too.
        response["headers"]["access-control-allow-origin"] = "*"
    return response


FUNCTION = Function(
    __name__,
    settings=WaitSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    # It sleeps, and is billed for memory by the second.
    memory_mb=256,
    # The gateway times out after 30 seconds.
    timeout_s=29,
    reserve="wait",
    door="wait",
    rights=(
        Right("dynamodb:GetItem", "predictions", "controls"),
        *rights.ASK_FOR_LOOK,
        *rights.SHOW,
        Right(rights.READ_SECRET, "link_key"),
    ),
)
handler = FUNCTION.handler()
