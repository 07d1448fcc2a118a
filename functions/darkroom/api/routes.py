"""The routes of the HTTP API: how a function declares its own, and which one a request is for."""

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
_BASE_PATH = re.compile(r"/[^/]+(/v1(?:/.*)?)", re.DOTALL)

_LEFT_OUT = re.compile(
    r"/v1/(trainings|deployments|hardware|collections|search)(/.*)?"
    r"|/v1/files/[^/]+/download"
    r"|/v1/models/[^/]+/[^/]+/(examples|readme|versions/[^/]+/trainings)"
)


class Routes(dict[str, Route], Generic[M]):
    """A function's routes by key. Each is declared by decorating what serves it:

    `@ROUTES.add("GET /v1/account", scope="read", operation="account.get", answer="Account")`
    """

    def __init__(self, admit: Callable[[M, Call], None] = lambda _made, _call: None) -> None:
        super().__init__()
        self.admit = admit
        """Called before each of them, once the caller is known; raises what refuses the call."""

    def add(self, key: str, **declared: Any) -> Callable[[Serve[M]], Serve[M]]:
        """Declare a route; the arguments are those of `Route`."""

        def decorated(serve: Serve[M]) -> Serve[M]:
            self[key] = Route(key, serve, **declared)
            return serve

        return decorated


if TYPE_CHECKING:
    Serve = Callable[[M, Call], Any]


def gateway_keys(function: Function[Any, Any]) -> tuple[str, ...]:
    """The gateway's route keys of a function: its routes, each in all its spellings.

    A client whose base URL ends in /v1 and that adds /v1 of its own calls /v1/v1/…; one behind a
    stage or a proxy may call /prod/v1/…. Some end a path with a slash, which no route key may: a
    variable that takes all that is left takes nothing as well. HEAD asks for a GET's headers. What
    `$default` brings to its function anyway needs no route key. What is not below /v1, or not for
    clients, is spelt in one way.
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


def find(routes: Mapping[str, Route], method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """The one of these routes that a canonical method and path is for, and what the path names."""
    for route in routes.values():
        each, _, template = route.key.partition(" ")
        if each == method and (named := _match(template, path)) is not None:
            return route.key, named
    return None


def described() -> Iterator[Route]:
    """All routes for clients, of every part that a stage may have."""
    yield from (route for route, _ in _all())


def served() -> Iterator[Route]:
    """The routes of the core, by which a function says why nothing serves a request.

    Which of the optional parts its stage has, no function knows.
    """
    for route, function in _all():
        if function.door is None:
            yield route


def methods_on(path: str) -> list[str]:
    """The methods that are served on a canonical path, sorted; none where nothing is."""
    keys = (route.key.split(" ") for route in served())
    methods = {method for method, template in keys if _match(template, path) is not None}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


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
