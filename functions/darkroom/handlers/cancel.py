"""POST /v1/predictions/{id}/cancel."""

from __future__ import annotations

from typing import Any

from darkroom.api.http import Request, Response, answer, respond
from darkroom.runtime import wiring
from darkroom.runtime.observability import count, logger, metrics


def _cancel(request: Request) -> Response:
    authenticate, cancel, shown = wiring.cancel()
    tenant = authenticate(request.header("authorization"), "submit")
    record = cancel(tenant, request.parameters["id"])
    count("CancelRequested")
    logger.info("cancel", prediction=record.id, state=record.state.value)
    return answer(200, shown(record))


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: Any) -> Response:
    """Record the wish to stop a prediction, and tell the provider."""
    return respond(event, _cancel)
