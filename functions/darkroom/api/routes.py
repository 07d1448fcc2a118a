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
"""Function's name to its routes. Each has other spellings: see `aliases`."""

DEFAULT = "Read"
"""Serves what no route of the gateway's does, and with it the rarer spellings of its own routes."""

_BASE = "/{base}"
_REST = "/{rest+}"
_BASE_PATH = re.compile(r"/[^/]+(/v1(?:/.*)?)", re.DOTALL)

_LEFT_OUT = re.compile(
    r"/v1/(trainings|deployments|hardware|collections|search)(/.*)?"
    r"|/v1/files/[^/]+/download"
    r"|/v1/models/[^/]+/[^/]+/(examples|readme|versions/[^/]+/trainings)"
)


def aliases(function: str) -> tuple[str, ...]:
    """The gateway's route keys of a function: its routes, each in all its spellings.

    A client whose base URL ends in /v1 and that adds /v1 of its own calls /v1/v1/…; one behind a
    stage or a proxy may call /prod/v1/…. Some end a path with a slash, which no route key may: a
    variable that takes all that is left takes nothing as well. HEAD asks for a GET's headers. What
    `$default` brings to its function anyway needs no route key.
    """
    rare = function != DEFAULT
    keys: list[str] = []
    for route in ROUTES[function]:
        method, path = route.split(" ")
        methods = (method, "HEAD") if method == "GET" and rare else (method,)
        ends = ("", _REST) if rare else ("",)
        keys += [f"{m} {base}{path}{end}" for m in methods for base in ("", _BASE) for end in ends]
    return tuple(keys)


def canonical(method: str, path: str) -> tuple[str, str]:
    """Method and path without what only their spelling adds."""
    match = _BASE_PATH.fullmatch(path)
    path = match[1] if match else path
    if len(path) > 1 and path.endswith("/") and not path.endswith("//"):
        path = path[:-1]
    return "GET" if method == "HEAD" else method, path


def is_open(key: str) -> bool:
    """Whether a route key of the gateway's does not say which route a request is for."""
    return key == "$default" or key.endswith(_REST)


def canonical_key(key: str) -> str:
    """The route that a route key is a spelling of."""
    method, _, template = key.partition(" ")
    method, path = canonical(method, template)
    return f"{method} {path}"


def find(method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """The route of a canonical method and path, and what the path names in it."""
    for each, template in _all():
        if each == method and (named := _match(template, path)) is not None:
            return f"{method} {template}", named
    return None


def methods_on(path: str) -> list[str]:
    """The methods that are served on a canonical path, sorted; none where nothing is."""
    served = {method for method, template in _all() if _match(template, path) is not None}
    return sorted(served | {"HEAD"} if "GET" in served else served)


def unserved(method: str, path: str) -> errors.DarkroomError:
    """Why nothing serves this request, for the problem answer."""
    allowed = methods_on(path)
    if allowed:
        shown = method if method.isascii() and method.isalpha() and len(method) <= 10 else "It"
        return errors.MethodNotAllowedError(f"{shown} is not served on this path.", allowed)
    if _LEFT_OUT.fullmatch(path):
        return errors.NotServedError(
            "Darkroom serves Replicate's predictions, models, files and webhook secret; "
            "this part of Replicate's API it leaves out on purpose."
        )
    if methods_on(f"/v1{path}"):
        return errors.NotFoundError(
            "Not found. The API is under /v1: the base URL of JavaScript's client and of Python's "
            "2.x ends in /v1."
        )
    return errors.NotFoundError("Not found")


def _all() -> Iterator[tuple[str, str]]:
    for routes in ROUTES.values():
        for route in routes:
            method, path = route.split(" ")
            yield method, path


def _match(template: str, path: str) -> dict[str, str] | None:
    wanted, given = template.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    pairs = [(a, b) for a, b in zip(wanted, given, strict=True) if a != b]
    if not all(a.startswith("{") and b for a, b in pairs):
        return None
    return {a.strip("{}"): b for a, b in pairs}
