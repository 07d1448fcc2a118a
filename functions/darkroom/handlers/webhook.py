"""POST /hooks/replicate/{id}: Replicate's signed webhooks."""

from __future__ import annotations

from typing import Any

from darkroom.api.http import Request, Response, answer, respond
from darkroom.domain.errors import WebhookRefused
from darkroom.runtime import wiring
from darkroom.runtime.observability import count, logger, metrics
from darkroom.services.receive import Received

LARGEST_BODY = 8_000_000


def _receive(request: Request) -> Response:
    id_ = request.parameters.get("id", "")
    if len(request.body) > LARGEST_BODY:
        raise WebhookRefused("size")
    try:
        token = request.query.get("t", "")
        received = wiring.webhook()(id_, token, request.headers, request.body)
    except WebhookRefused as refused:
        count("WebhookRefused")
        logger.warning("webhook refused", reason=refused.reason)
        raise
    misdirected = received is Received.MISDIRECTED
    count("WebhookMisdirected" if misdirected else "WebhookReceived")
    logger.info("webhook", prediction=id_, received=received.value)
    return answer(200, {})


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: Any) -> Response:
    """Acknowledge only what is written down: a 5xx makes Replicate send it again."""
    return respond(event, _receive)
