"""Requests as the gateway hands them over, and problems in Replicate's form."""

from __future__ import annotations

import json

import pytest
from darkroom.api.http import page, problem, read_request
from darkroom.api.routes import ROUTES, aliases, unserved
from darkroom.domain import errors

from tests import events

SERVED = [route for routes in ROUTES.values() for route in routes]


@pytest.mark.parametrize("route", SERVED)
def test_a_route_is_the_same_below_any_base_path(route: str) -> None:
    method, template = route.split(" ")
    path = template.replace("{", "").replace("}", "")
    for base in ("", "/v1", "/prod"):
        event = events.http(method, base + path)
        assert event["routeKey"] in aliases(route)
        request = read_request(event)
        assert (request.route, request.path) == (route, path)


@pytest.mark.parametrize(
    "path", ["//v1/predictions", "/a/b/v1/x", "/v1", "/", "/hooks/replicate/x"]
)
def test_a_path_without_a_base_is_left_as_it_is(path: str) -> None:
    assert read_request(events.http("PUT", path)).path == path


@pytest.mark.parametrize("route", SERVED)
def test_no_route_is_called_unserved(route: str) -> None:
    method, template = route.split(" ")
    path = template.replace("{", "").replace("}", "")
    refused = unserved("TRACE", path)
    assert isinstance(refused, errors.MethodNotAllowed)
    assert method in refused.allowed


@pytest.mark.parametrize("path", ["/v1/predictions/", "/v1/models//x", "/v1/models/a/b/", "/v1/x"])
def test_an_empty_segment_is_no_name(path: str) -> None:
    assert isinstance(unserved("GET", path), errors.NotFound)


def test_too_many_requests_say_when_to_try_again() -> None:
    """Replicate's clients read the header, people the text, and its own 429 has both."""
    answer = problem(errors.TooManyRequests(7))
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
