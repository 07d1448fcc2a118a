"""Requests as the gateway passes them on, and problems in Replicate's form."""

from __future__ import annotations

import json
from itertools import product

import pytest
from darkroom.api.http import UNKNOWN, page, problem, read_request, respond
from darkroom.api.routes import Routes, gateway_keys, served, unserved
from darkroom.domain import errors
from darkroom.runtime.function import declared

from tests.support import events

SERVED = [route.key for route in served()]


@pytest.mark.parametrize(
    ("function", "route"),
    [
        (name, route.key)
        for name, function in declared().items()
        for route in function.routes.values()
        if route.operation and route.key.split(" ")[1].startswith("/v1/")
    ],
)
def test_field_f31_a_route_is_the_same_in_all_its_spellings(function: str, route: str) -> None:
    """Requests without a route of their own reach the function with `$default`."""
    method, template = route.split(" ")
    path = template.replace("{", "").replace("}", "")
    methods = (method, "HEAD") if method == "GET" else (method,)
    for spelt, base, end in product(methods, ("", "/v1", "/prod"), ("", "/")):
        event = events.http(spelt, base + path + end)
        ours = declared()[function]
        assert event["routeKey"] in (*gateway_keys(ours), *(["$default"] * ours.default_route))
        request = read_request(event, ours.routes)
        assert (request.route, request.method, request.path) == (route, method, path)
        named = {name.strip("{}") for name in template.split("/") if name.startswith("{")}
        assert request.parameters == {**request.parameters, **{name: name for name in named}}


@pytest.mark.parametrize(
    "path", ["/v1/predictions/a/b/c", "/v1/predictions/a/b/c/", "/v1/uploads/x"]
)
def test_what_lies_below_a_route_is_not_that_route(path: str) -> None:
    """The gateway still passes it to the route's function."""
    event = events.http("POST", path)
    assert event["routeKey"].endswith("/{rest+}")
    routes = declared()["submit"].routes
    assert read_request(event, routes).route == UNKNOWN
    answer = respond(event, Routes(), None)
    assert answer["statusCode"] == 404


def test_a_function_has_no_two_equal_route_keys() -> None:
    keys = [key for function in declared().values() for key in gateway_keys(function)]
    assert len(keys) == len(set(keys))
    # HTTP APIs allow at most 300, and other parts of the deployment need some.
    assert len(keys) < 150


@pytest.mark.parametrize(
    "path", ["//v1/predictions", "/a/b/v1/x", "/v1", "/", "/hooks/replicate/x"]
)
def test_a_path_without_a_base_is_left_as_it_is(path: str) -> None:
    assert read_request(events.http("PUT", path), {}).path == path


@pytest.mark.parametrize("route", SERVED)
def test_no_route_is_called_unserved(route: str) -> None:
    method, template = route.split(" ")
    path = template.replace("{", "").replace("}", "")
    refused = unserved("TRACE", path)
    assert isinstance(refused, errors.MethodNotAllowedError)
    assert method in refused.allowed


@pytest.mark.parametrize("path", ["/v1/predictions//", "/v1/models//x", "/v1/models/a//", "/v1/x"])
def test_an_empty_segment_is_no_name(path: str) -> None:
    assert isinstance(unserved("GET", path), errors.NotFoundError)


def test_too_many_requests_say_when_to_try_again() -> None:
    """Replicate's clients read the header, people the text; Replicate's own 429 has both."""
    answer = problem(errors.TooManyRequestsError(7))
    assert answer["statusCode"] == 429
    assert answer["headers"]["retry-after"] == "7"
    assert json.loads(answer["body"]) == {
        "title": "Too many requests",
        "detail": "Request was throttled. Your rate limit resets in ~7s.",
        "status": 429,
        "retry_after": 7,
    }


def test_the_next_page_keeps_a_cursor_whole() -> None:
    found = page("https://x/v1/models", [{}], "a/b&c=d")
    assert found == {
        "next": "https://x/v1/models?cursor=a%2Fb%26c%3Dd",
        "previous": None,
        "results": [{}],
    }


def test_the_pages_beside_are_asked_for_alike() -> None:
    found = page("https://x/l", [], "n", "p", {"after": "2026-01-01T00:00:00+01:00", "limit": "2"})
    asked = "after=2026-01-01T00%3A00%3A00%2B01%3A00&limit=2"
    assert found["next"] == f"https://x/l?cursor=n&{asked}"
    assert found["previous"] == f"https://x/l?cursor=p&{asked}"
