"""Which function serves which route: what the gateway, `$default` and OpenAPI are made from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from darkroom.domain import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODEL = "/v1/models/{owner}/{name}"

ROUTES: Mapping[str, tuple[str, ...]] = {
    "Submit": (
        "POST /v1/predictions",
        f"POST {MODEL}/predictions",
    ),
    "Read": (
        "GET /v1/predictions",
        "GET /v1/predictions/{id}",
        "GET /v1/models",
        f"GET {MODEL}",
        f"GET {MODEL}/versions",
        f"GET {MODEL}/versions/{{id}}",
        "GET /v1/account",
        "GET /v1/usage",
        "GET /v1/webhooks/default/secret",
    ),
    "Cancel": ("POST /v1/predictions/{id}/cancel",),
    "Deliveries": (
        "GET /v1/predictions/{id}/deliveries",
        "POST /v1/predictions/{id}/deliveries/{event}/redeliver",
    ),
    "Files": (
        "POST /v1/files",
        "GET /v1/files",
        "GET /v1/files/{id}",
        "DELETE /v1/files/{id}",
        "POST /v1/uploads",
    ),
}
"""Function's name to its routes. Each is also served below a base path: see `aliases`."""

_BASE = "/{base}"
_BASE_PATH = re.compile(r"/[^/]+(/v1(?:/.*)?)", re.DOTALL)

_LEFT_OUT = re.compile(
    r"/v1/(trainings|deployments|hardware|collections|search)(/.*)?"
    r"|/v1/files/[^/]+/download"
    r"|/v1/models/[^/]+/[^/]+/(examples|readme|versions/[^/]+/trainings)"
)


def aliases(route: str) -> tuple[str, ...]:
    """The route itself, and below one more path segment.

    A client whose base URL ends in /v1 and that adds /v1 of its own calls /v1/v1/…; one behind a
    stage or a proxy may call /prod/v1/….
    """
    method, path = route.split(" ")
    return route, f"{method} {_BASE}{path}"


def canonical(route: str, path: str) -> tuple[str, str]:
    """Route key and path without their base path, if they have one."""
    match = _BASE_PATH.fullmatch(path)
    return route.replace(f" {_BASE}/", " /", 1), match[1] if match else path


def methods_on(path: str) -> list[str]:
    """The methods that are served on a path, sorted; none where nothing is."""
    return sorted({method for method, template in _all() if _matches(template, path)})


def unserved(method: str, path: str) -> errors.DarkroomError:
    """Why nothing serves this request, for the problem answer."""
    allowed = methods_on(path)
    if allowed:
        shown = method if method.isascii() and method.isalpha() and len(method) <= 10 else "It"
        return errors.MethodNotAllowed(f"{shown} is not served on this path.", allowed)
    if _LEFT_OUT.fullmatch(path):
        return errors.NotServed(
            "Darkroom serves Replicate's predictions, models, files and webhook secret; "
            "this part of Replicate's API it leaves out on purpose."
        )
    return errors.NotFound("Not found")


def _all() -> Iterator[tuple[str, str]]:
    for routes in ROUTES.values():
        for route in routes:
            method, path = route.split(" ")
            yield method, path


def _matches(template: str, path: str) -> bool:
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        a == b or (a.startswith("{") and b) for a, b in zip(wanted, given, strict=True)
    )
