"""GET: predictions, models, account, usage, webhook secret; and paths that nothing serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.api import queries
from darkroom.api.http import Request, Response, answer, page, respond
from darkroom.api.routes import ROUTES, unserved
from darkroom.runtime import wiring
from darkroom.runtime.observability import best_effort, invocation, logger

if TYPE_CHECKING:
    from darkroom.runtime.wiring import Reads


def _read(request: Request) -> Response:
    if request.route not in ROUTES["Read"]:
        raise unserved(request.method, request.path)
    # Whoever has the secret can forge callbacks: the right to read predictions is not enough.
    scope = "submit" if request.route.endswith("/secret") else "read"
    reads = wiring.read()
    reads.limits.admit_read(tenant := reads.authenticate(request.header("authorization"), scope))
    return answer(200, _shown(reads, tenant, request))


def _shown(reads: Reads, tenant: str, request: Request) -> dict[str, Any]:
    here, given = reads.public_url, request.parameters
    cursor, limit = request.query.get("cursor"), request.query.get("limit")
    model, asked = f"{given.get('owner')}/{given.get('name')}", queries.asked(request)
    match request.route:
        case "GET /v1/predictions":
            listed = reads.read.page(tenant, cursor, limit, reads.shown, queries.wanted(asked))
            for left_out in listed.unreadable:
                logger.error("unreadable", prediction=left_out.id, reason=left_out.reason)
            return page(f"{here}/v1/predictions", listed.results, *listed.cursors, asked)
        case "GET /v1/predictions/{id}":
            record = reads.read.get(tenant, given["id"])
            logger.append_keys(prediction=record.id)
            with best_effort("a look was not asked for"):
                reads.ask_for_look(record)
            return reads.shown(record)
        case "GET /v1/models":
            found = reads.models.page(cursor, descending=queries.descending(asked))
            return page(f"{here}/v1/models", *found, asked)
        case "GET /v1/models/{owner}/{name}":
            return reads.models.get(model)
        case "GET /v1/models/{owner}/{name}/versions":
            return page(here, reads.models.versions(model), None)
        case "GET /v1/models/{owner}/{name}/versions/{id}":
            return reads.models.version(model, given["id"])
        case "GET /v1/account":
            return {"type": "organization", "username": tenant, "name": tenant}
        case "GET /v1/usage":
            return reads.usage(tenant, asked.get("from"), asked.get("to"), queries.tag(asked))
    return {"key": reads.callback_secret(tenant)}


@invocation
def handler(event: dict[str, Any], _context: Any) -> Response:
    """Show what is recorded; asks no provider."""
    return respond(event, _read)


wiring.at_init(wiring.read)
