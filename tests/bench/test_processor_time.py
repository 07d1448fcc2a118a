"""Worst-case processor time of requests from outside.

Not among the unit tests, because the measurement of coverage would multiply it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.api.multipart import read_form
from darkroom.domain.checker import problem_detail, validate_input
from darkroom.domain.errors import BadRequestError, UnsupportedMediaError
from darkroom.domain.model import input_schema_of

from tests.support.multipart import FORM, form

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def within(seconds: float) -> Iterator[None]:
    before = time.process_time()
    yield
    assert time.process_time() - before < seconds


# Uploads: 200 kB in 0.3 s

NAMED = b'Content-Disposition: form-data; name="content"; filename='
SIZE = 200_000
UPLOADS: dict[str, tuple[str, bytes]] = {
    "semicolons in an open quote": (FORM, form((NAMED + b'"' + b";" * SIZE, b"x"))),
    "escapes in an open quote": (FORM, form((NAMED + b'"' + rb"\;" * (SIZE // 2), b"x"))),
    "spaces before an equals sign": (FORM, form((NAMED + b'""; a' + b" " * SIZE, b"x"))),
    "parameters without an end": (FORM, form((NAMED + b'"";' + b"a=b;" * (SIZE // 4), b"x"))),
    "quotes that never close": (FORM, form((NAMED + b'";a="' * (SIZE // 5), b"x"))),
    "header lines": (FORM, form((b"a: b\r\n" * (SIZE // 6) + NAMED + b'"x"', b"x"))),
    "continued lines": (FORM, form((NAMED + b"\r\n " * (SIZE // 3), b"x"))),
    "twenty heads": (FORM, form(*[(NAMED + b'"' + b";" * (SIZE // 20), b"x")] * 18)),
    "heads within their limit": (FORM, form(*[(NAMED + b'";a="' * 750, b"x")] * 18)),
    "boundaries": (FORM, b"\r\n--boun" * (SIZE // 8)),
    "a content type": ('multipart/form-data; boundary="' + ";" * 10_000, form((NAMED, b"x"))),
}


@pytest.mark.parametrize(("content_type", "body"), UPLOADS.values(), ids=UPLOADS)
def test_a_hostile_upload_takes_little_time(content_type: str, body: bytes) -> None:
    with within(0.3), suppress(BadRequestError, UnsupportedMediaError):
        read_form(content_type, body)


# Schemas from outside: 0.5 s

LONG = "n" * 100_000
LONG_URL = "https://x/" + "a" * 2_000_000
ONES = [1] * 60_000


def branches(number: int, **schema: Any) -> dict[str, Any]:
    return {"anyOf": [{**schema, "title": str(index)} for index in range(number)]}


def tree(depth: int, width: int) -> dict[str, Any]:
    """Return branches within branches, none of which a list matches."""
    inner = tree(depth - 1, width) if depth else {"type": "string"}
    return {"anyOf": [inner] * width}


SCHEMAS: dict[str, tuple[dict[str, Any], Any]] = {
    "many branches, long list": (branches(2000, items={"type": "integer"}), ONES),
    "items of many branches": ({"items": branches(2000, type="string")}, ONES),
    "branches within branches": (tree(3, 20), ONES),
    "items of branches within branches": ({"items": tree(3, 20)}, ONES),
    "items of a long enum": ({"items": {"enum": [f"c{n}" for n in range(9000)]}}, ["x"] * 60_000),
    "an enum of long texts": (branches(500, enum=[LONG, *map(str, range(9))]), "x"),
    "an enum of lists": ({"items": {"enum": [[1] * 4000]}}, [[1] * 3999 + [2]] * 40),
    "a long name above many items": (
        {"properties": {LONG: {"items": {"minimum": 0}}}},
        {LONG: ONES},
    ),
    "a long name in many problems": (
        branches(2000, properties={LONG: {"items": {"type": "string"}}}),
        {LONG: ONES},
    ),
    "many required": ({"items": {"required": [f"r{n}" for n in range(9000)]}}, [{}] * 60_000),
    "many required that are there": (
        {"items": {"required": ["a"] * 9000, "properties": {"a": {}}}},
        [{"a": 1}] * 60_000,
    ),
    "many properties": (
        {"items": {"properties": {f"p{n}": {} for n in range(9000)}}},
        [{}] * 60_000,
    ),
    "many types": ({"items": {"type": ["string"] * 9000 + ["integer"]}}, ONES),
    "many types that are none": ({"items": {"type": ["string"] * 9000 + ["colour"]}}, ONES),
    "a long URL in many branches": (branches(2000, type="string", format="uri"), LONG_URL + " "),
    "patterns": (branches(2000, pattern="^a*[ab]*b$"), "a" * 700),
    "patterns of one repetition": (branches(2000, pattern="a*b"), "a" * 990),
    "patterns of long texts": (branches(2000, pattern="^a+$"), "a" * 900_000 + "b"),
    "patterns of many atoms": ({"items": {"pattern": "(" * 200}}, ["a" * 200] * 9000),
    "lists told apart": (
        branches(2000, uniqueItems=True),
        [*([n] * 300 for n in range(200)), [0] * 300],
    ),
    "items told apart": (branches(2000, uniqueItems=True), [*range(60_000), 1]),
    "multiples": ({"items": {"multipleOf": 1e-300}}, [10**999] * 6000),
    "a multiple in many branches": (
        {"anyOf": [{"allOf": [{"multipleOf": 1e-300}] * 4500 + [{"type": "string"}]}] * 2},
        10**999,
    ),
    "branches of which one fits": (
        {"oneOf": [{"oneOf": [{"oneOf": [{"minimum": n}] * 20}] * 20} for n in range(20)]},
        50,
    ),
    "exclusions within exclusions": (
        {"items": {"not": {"not": {"not": {"anyOf": [{"minimum": 9}] * 300}}}}},
        ONES,
    ),
    "many dependencies": (
        {"items": {"dependentRequired": {"a": [f"r{n}" for n in range(9000)]}}},
        [{"a": 1}] * 60_000,
    ),
    "all of all": ({"allOf": [{"allOf": [{"items": {}}] * 100}] * 50}, ONES),
}


@pytest.mark.parametrize(("schema", "value"), SCHEMAS.values(), ids=SCHEMAS)
def test_a_hostile_schema_takes_little_time(schema: dict[str, Any], value: object) -> None:
    with within(0.5):
        found = validate_input({"type": "object", "properties": {"x": schema}}, {"x": value})
        shown = problem_detail(found)
    assert len(found) <= 20
    assert len(shown) < 100_000


def test_a_schema_of_many_parts_is_put_together_in_little_time() -> None:
    parts = [{f"k{number}": number} for number in range(4900)]
    openapi = {"components": {"schemas": {"Input": {"allOf": parts}}}}
    with within(0.3):
        schema = input_schema_of(openapi)
    assert len(schema) > 4000
