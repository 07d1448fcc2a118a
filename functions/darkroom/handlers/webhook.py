"""POST /hooks/replicate/{id}: Replicate's signed webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.api.http import Response, respond
from darkroom.api.routes import Routes
from darkroom.domain import link
from darkroom.domain.errors import WebhookRefusedError
from darkroom.domain.signature import Reason
from darkroom.replicate.hooks import HOOK_PATH
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Alarm, Function, Right
from darkroom.runtime.observability import count, logger
from darkroom.runtime.settings import Common, Controlled
from darkroom.services.predictions.handle_webhook import HandleWebhook, WebhookOutcome

if TYPE_CHECKING:
    from darkroom.api.http import Call
    from darkroom.runtime.adapters import Adapters

LARGEST_BODY = 8_000_000


class WebhookSettings(Controlled, Common):
    replicate_webhook_secret: str
    link_key_secret: str
    dedicated_account: bool = False


def build(s: WebhookSettings, a: Adapters) -> HandleWebhook:
    secrets = a.secrets(webhook_name=s.replicate_webhook_secret, link_name=s.link_key_secret)
    changes = parts.changes(s, a, s.controls_table, dedicated=s.dedicated_account)
    return HandleWebhook(changes, secrets)


ROUTES: Routes[HandleWebhook] = Routes()


@ROUTES.add(f"POST {HOOK_PATH}{{id}}", scope=None)
def receive(made: HandleWebhook, call: Call) -> dict[str, Any]:
    """Handle the provider's report of a prediction."""
    request = call.request
    id_ = request.parameters.get("id", "")
    if link.is_id(id_):
        logger.append_keys(prediction=id_)
    if len(request.body) > LARGEST_BODY:
        count("WebhookRefused")
        raise WebhookRefusedError("size")
    try:
        received = made(id_, request.query.get("t", ""), request.headers, request.body)
    except WebhookRefusedError as refused:
        count("WebhookRefused")
        # Well formed and in time: either a forgery, or signed with a secret that we do not know.
        count("SignatureFailed", int(refused.reason == Reason.NO_MATCH))
        logger.warning("webhook refused", reason=refused.reason)
        raise
    if received is WebhookOutcome.MISDIRECTED:
        count("WebhookMisdirected")
    logger.append_keys(received=received.value)
    return {}


def handle(made: HandleWebhook, event: dict[str, Any], _context: Any) -> Response:
    """Acknowledge only recorded webhooks; a 5xx makes Replicate retry."""
    return respond(event, ROUTES, made)


FUNCTION = Function(
    __name__,
    settings=WebhookSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    timeout_s=10,
    reserve="webhook",
    alarms=(
        Alarm(
            "SignatureFailures",
            "SignatureFailed",
            5,
            "Webhooks come with signatures by a secret that is not known here.",
        ),
    ),
    rights=(
        rights.CHANGE,
        rights.SEE_OWNERS,
        rights.CLAIM,
        rights.COUNT_END,
        Right(rights.READ_SECRET, "replicate_webhook", "link_key"),
    ),
)
handler = FUNCTION.handler()
