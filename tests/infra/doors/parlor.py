"""A door that no stage has: an optional function with its declarations, which a test can open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.api.http import Response, respond
from darkroom.api.routes import Routes
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Function, Right
from darkroom.runtime.settings import Controlled

if TYPE_CHECKING:
    from darkroom.api.http import Call
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.tenants.limits import TenantLimits


class ParlorSettings(Controlled):
    public_url: str


def build(s: ParlorSettings, a: Adapters) -> TenantLimits:
    return parts.limits(s, a)


ROUTES: Routes[TenantLimits] = Routes()


@ROUTES.add("GET /v1/parlor", scope="read", operation="parlor.get", answer="Account")
def get_parlor(_made: TenantLimits, call: Call) -> dict[str, Any]:
    """Who is in"""
    return {"type": "organization", "username": call.tenant, "name": call.tenant}


def handle(made: TenantLimits, event: dict[str, Any], _context: Any) -> Response:
    return respond(event, ROUTES, made)


FUNCTION = Function(
    __name__,
    settings=ParlorSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    timeout_s=10,
    rights=(Right("dynamodb:GetItem", "controls"), rights.COUNT_REQUEST),
    door="parlor",
)
handler = FUNCTION.handler()
