"""GET /v1/predictions/{id}/deliveries, and POST …/deliveries/{event}/redeliver.

A function of its own, so that the one that serves reads may write nothing.
"""

from __future__ import annotations

from typing import Any

from darkroom.api import queries
from darkroom.api.http import Request, Response, answer, page, respond
from darkroom.runtime import wiring
from darkroom.runtime.observability import count, invocation, logger
from darkroom.services.deliveries import shown


def _deliveries(request: Request) -> Response:
    authenticate, deliveries = wiring.deliveries()
    token = request.header("authorization")
    if request.method == "GET":
        tenant = authenticate(token, "read")
        queries.asked(request)
        rows = deliveries.history(tenant, request.parameters["id"])
        return answer(200, page("", [shown(row) for row in rows], None))
    tenant = authenticate(token, "submit")
    row = deliveries.redeliver(tenant, request.parameters["id"], request.parameters["event"])
    count("Redelivered")
    logger.info("redeliver", prediction=row.prediction, event_name=row.event)
    return answer(202, shown(row))


@invocation
def handler(event: dict[str, Any], _context: Any) -> Response:
    """Show what became of callbacks, or send one again."""
    return respond(event, _deliveries)


wiring.at_init(wiring.deliveries)
