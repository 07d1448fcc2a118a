"""GET /v1/predictions/{id}/deliveries, and POST …/deliveries/{event}/redeliver.

A separate function, so that the one that serves reads has no right to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.http import Response, page, respond
from darkroom.api.routes import Routes
from darkroom.domain import row_keys
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Function, Right
from darkroom.runtime.observability import count, logger
from darkroom.runtime.settings import Common, Controlled
from darkroom.services.callbacks.deliveries import Deliveries, shown
from darkroom.services.predictions.read import Read

if TYPE_CHECKING:
    from darkroom.api.http import Call
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.tenants.authenticate import Authenticate


class DeliveriesSettings(Controlled, Common):
    deliveries_table: str
    deliver_queue: str


class Redelivers(NamedTuple):
    authenticate: Authenticate
    deliveries: Deliveries


def build(s: DeliveriesSettings, a: Adapters) -> Redelivers:
    controls = a.controls(s.controls_table)
    deliveries = Deliveries(
        read=Read(parts.changes(s, a).store),
        limits=parts.limits(s, a),
        deliveries=a.deliveries(s.deliveries_table),
        rates=controls,
        receivers=controls,
        queue=a.queue(s.deliver_queue),
        clock=a.clock(),
        timings=s.timings,
    )
    return Redelivers(parts.authenticate(s, a), deliveries)


ROUTES: Routes[Redelivers] = Routes()


@ROUTES.add(
    "GET /v1/predictions/{id}/deliveries",
    scope="read",
    query=(),
    operation="predictions.deliveries.list",
    answer="PageBody[DeliveryBody]",
    errors=(400, 404),
)
def list_deliveries(made: Redelivers, call: Call) -> dict[str, Any]:
    """History of a prediction's callbacks"""
    rows = made.deliveries.history(call.tenant, call.named("id"))
    return page("", [shown(row) for row in rows], None)


@ROUTES.add(
    "POST /v1/predictions/{id}/deliveries/{event}/redeliver",
    scope="submit",
    status=202,
    operation="predictions.deliveries.redeliver",
    answer="DeliveryBody",
    errors=(400, 404, 422, 503),
)
def redeliver(made: Redelivers, call: Call) -> dict[str, Any]:
    """Send a callback again"""
    row = made.deliveries.redeliver(call.tenant, call.named("id"), call.named("event"))
    count("Redelivered")
    logger.info("redeliver", prediction=row.prediction, event_name=row.event)
    return shown(row)


def handle(made: Redelivers, event: dict[str, Any], _context: Any) -> Response:
    """Show the history of callbacks, or repeat one."""
    return respond(event, ROUTES, made)


FUNCTION = Function(
    __name__,
    settings=DeliveriesSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    timeout_s=10,
    rights=(
        Right("dynamodb:GetItem", "predictions", "controls"),
        Right("dynamodb:GetItem PutItem Query", "deliveries"),
        Right("dynamodb:PutItem", "controls", keys=(row_keys.every(row_keys.RECEIVERS),)),
        rights.COUNT_REQUEST,
        Right("sqs:SendMessage", "deliver_queue"),
    ),
)
handler = FUNCTION.handler()
