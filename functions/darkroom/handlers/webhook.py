"""POST /hooks/replicate/{id}: Replicate's signed webhooks."""

from __future__ import annotations

from typing import Any

from darkroom.api.http import Request, Response, answer, respond
from darkroom.domain import link
from darkroom.domain.errors import WebhookRefusedError
from darkroom.domain.signature import Reason
from darkroom.runtime import wiring
from darkroom.runtime.observability import count, invocation, logger
from darkroom.services.receive import Received

LARGEST_BODY = 8_000_000


def _receive(request: Request) -> Response:
    id_ = request.parameters.get("id", "")
    if link.is_id(id_):
        logger.append_keys(prediction=id_)
    if len(request.body) > LARGEST_BODY:
        count("WebhookRefused")
        raise WebhookRefusedError("size")
    try:
        token = request.query.get("t", "")
        received = wiring.webhook()(id_, token, request.headers, request.body)
    except WebhookRefusedError as refused:
        count("WebhookRefused")
        # Well formed and in time: what a forger sends, and Replicate under a secret we do not know.
        count("SignatureFailed", int(refused.reason == Reason.NO_MATCH))
        logger.warning("webhook refused", reason=refused.reason)
        raise
    if received is Received.MISDIRECTED:
        count("WebhookMisdirected")
    logger.append_keys(received=received.value)
    return answer(200, {})


@invocation
def handler(event: dict[str, Any], _context: Any) -> Response:
    """Acknowledge only what is written down: a 5xx makes Replicate send it again."""
    return respond(event, _receive)


wiring.at_init(wiring.webhook)
