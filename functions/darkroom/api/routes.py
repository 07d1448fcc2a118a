"""The routes of the HTTP API: their declaration, and the lookup for a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from darkroom.domain import errors
from darkroom.runtime.function import Route, declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from darkroom.api.http import Call
    from darkroom.runtime.function import Function

M = TypeVar("M")

MODEL = "/v1/models/{owner}/{name}"

_BASE = "/{base}"
_REST = "/{rest+}"
OPENAI = "/openai/v1"
"""Below it is OpenAI's API, whose paths have the same names."""
_BASE_PATH = re.compile(r"/(?!openai/)[^/]+(/v1(?:/.*)?)", re.DOTALL)

_LEFT_OUT = re.compile(
    r"/v1/(trainings|deployments|hardware|collections|search)(/.*)?"
    r"|/v1/files/[^/]+/download"
    r"|/v1/models/[^/]+/[^/]+/(examples|readme|versions/[^/]+/trainings)"
)


class Routes(dict[str, Route], Generic[M]):
    """A function's routes by key. Each is declared by decorating its serving function:

    `@ROUTES.add("GET /v1/account", scope="read", operation="account.get", answer="Account")`
    """

    def __init__(self, admit: Callable[[M, Call], None] = lambda _made, _call: None) -> None:
        super().__init__()
        self.admit = admit
        """Called before each of them, once the caller is known. Raises to reject the call."""

    def add(self, key: str, **declared: Any) -> Callable[[Serve[M]], Serve[M]]:
        """Declare a route; the arguments are those of `Route`."""

        def decorated(serve: Serve[M]) -> Serve[M]:
            self[key] = Route(key, serve, **declared)
            return serve

        return decorated


if TYPE_CHECKING:
    Serve = Callable[[M, Call], Any]


def gateway_keys(function: Function[Any, Any]) -> tuple[str, ...]:
    """Return the gateway's route keys of a function: its routes, each in all its spellings.

    A client whose base URL ends in /v1 and that adds its own /v1 calls /v1/v1/…; one behind a stage
    or a proxy may call /prod/v1/…. Some end a path with a slash, which no route key may, so a
    variable for the rest of a path also matches nothing. HEAD requests a GET's headers. Requests
    that `$default` brings to this function anyway need no route key. Paths that are not below /v1,
    or not for clients, have one spelling.
    """
    keys: list[str] = []
    for route in function.routes.values():
        method, path = route.key.split(" ")
        if not (route.operation and path.startswith("/v1/")):
            keys.append(route.key)
            continue
        rare = not function.default_route
        methods = (method, "HEAD") if method == "GET" and rare else (method,)
        ends = ("", _REST) if rare else ("",)
        keys += [f"{m} {base}{path}{end}" for m in methods for base in ("", _BASE) for end in ends]
    return tuple(keys)


def canonical(method: str, path: str) -> tuple[str, str]:
    """Return method and path in their canonical spelling."""
    match = _BASE_PATH.fullmatch(path)
    path = match[1] if match else path
    if len(path) > 1 and path.endswith("/") and not path.endswith("//"):
        path = path[:-1]
    return "GET" if method == "HEAD" else method, path


def is_open(key: str) -> bool:
    """Whether a route key of the gateway does not determine the route."""
    return key == "$default" or key.endswith(_REST)


def canonical_key(key: str) -> str:
    """Return the route that a route key is a spelling of."""
    method, _, template = key.partition(" ")
    method, path = canonical(method, template)
    return f"{method} {path}"


def find(routes: Mapping[str, Route], method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """Return the route for a canonical method and path, and the path's variables; None without
    one."""
    for route in routes.values():
        each, _, template = route.key.partition(" ")
        if each == method and (named := _match(template, path)) is not None:
            return route.key, named
    return None


def described() -> Iterator[Route]:
    """Yield all routes for clients, including those of optional parts."""
    yield from (route for route, _ in _all())


def served() -> Iterator[Route]:
    """Yield the routes of the core, used to explain why no route matches a request.

    No function knows which of the optional parts its stage has.
    """
    for route, function in _all():
        if function.door is None:
            yield route


def methods_on(path: str) -> list[str]:
    """Return the methods on a canonical path, sorted; empty if there are none."""
    keys = (route.key.split(" ") for route in served())
    methods = {method for method, template in keys if _match(template, path) is not None}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def unserved(method: str, path: str) -> errors.DarkroomError:
    """Return the error for a request without a route."""
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


def _all() -> Iterator[tuple[Route, Function[Any, Any]]]:
    for function in declared().values():
        for route in function.routes.values():
            if route.operation:
                yield route, function


def _match(template: str, path: str) -> dict[str, str] | None:
    wanted, given = template.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    pairs = [(a, b) for a, b in zip(wanted, given, strict=True) if a != b]
    if not all(a.startswith("{") and b for a, b in pairs):
        return None
    return {a.strip("{}"): b for a, b in pairs}
