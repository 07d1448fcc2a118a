"""POST /v1/predictions/{id}/cancel."""

from __future__ import annotations

from typing import Any

from darkroom.api.http import Request, Response, answer, respond
from darkroom.runtime import wiring
from darkroom.runtime.observability import count, invocation, logger


def _cancel(request: Request) -> Response:
    authenticate, cancel, shown = wiring.cancel()
    tenant = authenticate(request.header("authorization"), "submit")
    record = cancel(tenant, request.parameters["id"])
    count("CancelRequested")
    logger.append_keys(prediction=record.id)
    logger.info("cancel", state=record.state.value)
    return answer(200, shown(record))


@invocation
def handler(event: dict[str, Any], _context: Any) -> Response:
    """Record the wish to stop a prediction, and tell the provider."""
    return respond(event, _cancel)


wiring.at_init(wiring.cancel)
