"""POST /v1/predictions/{id}/cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.http import Response, respond
from darkroom.api.routes import Routes
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Function, Right
from darkroom.runtime.observability import count, logger
from darkroom.runtime.settings import Providing, ShowingHttp
from darkroom.services.predictions.cancel import Cancel
from darkroom.services.predictions.read import Read

if TYPE_CHECKING:
    from darkroom.api.http import Call
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.predictions.shown import Shown
    from darkroom.services.tenants.authenticate import Authenticate


class CancelSettings(Providing, ShowingHttp):
    """The settings of every function that shows predictions and calls the provider."""


class Cancels(NamedTuple):
    authenticate: Authenticate
    cancel: Cancel
    shown: Shown


def build(s: CancelSettings, a: Adapters) -> Cancels:
    changes = parts.changes(s, a, s.controls_table, dedicated=s.dedicated_account)
    provider = a.provider(s.replicate_url, a.secrets(token_name=s.replicate_token_secret))
    return Cancels(
        authenticate=parts.authenticate(s, a),
        cancel=Cancel(changes, provider, Read(changes.store), parts.limits(s, a)),
        shown=parts.shown(s, a),
    )


ROUTES: Routes[Cancels] = Routes()


@ROUTES.add(
    "POST /v1/predictions/{id}/cancel",
    scope="submit",
    operation="predictions.cancel",
    answer="PredictionBody",
    errors=(404, 503),
)
def cancel_prediction(made: Cancels, call: Call) -> dict[str, Any]:
    """Cancel a prediction; one that has ended stays as it is"""
    record = made.cancel(call.tenant, call.named("id"))
    count("CancelRequested")
    logger.append_keys(prediction=record.id)
    logger.info("cancel", state=record.state.value)
    return made.shown(record)


def handle(made: Cancels, event: dict[str, Any], _context: Any) -> Response:
    """Record a cancel, and notify the provider."""
    return respond(event, ROUTES, made)


FUNCTION = Function(
    __name__,
    settings=CancelSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    timeout_s=15,
    rights=(
        rights.CHANGE,
        Right("dynamodb:GetItem", "controls"),
        rights.COUNT_END,
        rights.COUNT_REQUEST,
        *rights.SHOW,
        Right(rights.READ_SECRET, "replicate_token"),
    ),
)
handler = FUNCTION.handler()
