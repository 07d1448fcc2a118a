"""GET /v1/predictions and /v1/predictions/{id}, and every path that nothing else serves."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from darkroom.api.http import Request, Response, answer, respond
from darkroom.domain.errors import MethodNotAllowed, NotFound, NotServed
from darkroom.runtime import wiring
from darkroom.runtime.observability import logger, metrics

_SERVED = re.compile(
    r"/v1/(predictions(/[^/]+(/cancel)?)?|models/[^/]+/[^/]+/predictions|files(/[^/]+)?)"
)
_LEFT_OUT = re.compile(r"/v1/(trainings|deployments|hardware|collections|search|models)(/.*)?")
_NOT_YET = re.compile(r"/v1/(account|webhooks/default/secret)")


def _read(request: Request) -> Response:
    authenticate, read, shown, public_url = wiring.read()
    if request.route not in {"GET /v1/predictions", "GET /v1/predictions/{id}"}:
        return _unserved(request)
    tenant = authenticate(request.header("authorization"), "read")
    if request.route == "GET /v1/predictions/{id}":
        return answer(200, shown(read.get(tenant, request.parameters["id"])))
    page = read.page(tenant, request.query.get("cursor"))
    here = f"{public_url}/v1/predictions"
    following = f"{here}?cursor={quote(page.next_cursor)}" if page.next_cursor else None
    results = [shown(record) for record in page.records]
    return answer(200, {"next": following, "previous": None, "results": results})


def _unserved(request: Request) -> Response:
    if _SERVED.fullmatch(request.path):
        raise MethodNotAllowed(f"{request.method[:10]} is not served on this path.")
    if _LEFT_OUT.fullmatch(request.path):
        raise NotServed("Darkroom serves Replicate's predictions and files, not this path.")
    if _NOT_YET.fullmatch(request.path):
        raise NotServed("Darkroom does not serve this path yet.")
    raise NotFound("Not found")


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: Any) -> Response:
    """Show what is recorded; asks no provider."""
    return respond(event, _read)
