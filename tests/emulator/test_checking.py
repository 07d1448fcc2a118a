"""The emulator's check of an input, compared with the product's: they share no code."""

from __future__ import annotations

from typing import Any

import pytest
from darkroom.domain.checker import validate_input

from emulator.checking import problems

ALIKE: dict[str, tuple[dict[str, Any], object, object]] = {
    "minimum": ({"minimum": 1}, 1, 0),
    "maximum": ({"maximum": 1.5}, 1.5, 2),
    "exclusiveMinimum": ({"exclusiveMinimum": 1}, 1.5, 1),
    "exclusiveMaximum": ({"exclusiveMaximum": 1}, 0.5, 1),
    "exclusiveMinimum of OpenAPI 3.0": ({"minimum": 1, "exclusiveMinimum": True}, 2, 1),
    "exclusiveMaximum of OpenAPI 3.0": ({"maximum": 1, "exclusiveMaximum": True}, 0, 1),
    "no exclusiveMaximum": ({"maximum": 1, "exclusiveMaximum": False}, 1, 2),
    "multipleOf": ({"multipleOf": 0.1}, 0.3, 0.35),
    "minItems": ({"minItems": 1}, [1], []),
    "maxItems": ({"maxItems": 1}, [1], [1, 2]),
    "minLength": ({"minLength": 1}, "a", ""),
    "maxLength": ({"maxLength": 1}, "a", "ab"),
    "pattern": ({"pattern": "^a+$"}, "aa", "b"),
    "enum": ({"enum": ["a", 1]}, "a", "b"),
    "const": ({"const": "a"}, "a", "b"),
    "type": ({"type": "integer"}, 1, "a"),
    # The library lists types in its own order.
    "several types": ({"type": ["null", "integer"]}, None, "a"),
    "nullable": ({"type": "integer", "nullable": True}, None, "a"),
    "nullable enum": ({"enum": ["a"], "nullable": True}, None, "b"),
    "required": ({"required": ["a"]}, {"a": 1}, {}),
    "uri": ({"type": "string", "format": "uri"}, "https://a.test/x", "x.png"),
}
FIRST_ALIKE: dict[str, tuple[dict[str, Any], object, object]] = {
    "not": ({"not": {"type": "string"}}, 1, "a"),
    "oneOf, several": ({"oneOf": [{}, {"type": "string"}]}, 1, "a"),
    "oneOf, none": ({"oneOf": [{"type": "integer"}]}, 1, "a"),
    "anyOf": ({"anyOf": [{"type": "integer"}]}, 1, "a"),
}
"""The product also lists the problems of the nearest branch."""


@pytest.mark.parametrize("word", [*ALIKE, *FIRST_ALIKE])
def test_both_say_the_same(word: str) -> None:
    inner, fits, unfit = {**ALIKE, **FIRST_ALIKE}[word]
    schema = {"properties": {"x": inner}}
    assert problems(schema, {"x": fits}) == []
    assert validate_input(schema, {"x": fits}) == []
    ours = [(f.type, f.field, f.description) for f in validate_input(schema, {"x": unfit})]
    assert ours[: None if word in ALIKE else 1] == problems(schema, {"x": unfit})


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"dependentRequired": {"mask": ["image"]}}, {"mask": 1}),
        ({"properties": {"x": {"uniqueItems": True}}}, {"x": [1, 1]}),
    ],
)
def test_both_refuse_what_they_word_differently(schema: dict[str, Any], value: object) -> None:
    assert len(problems(schema, value)) == len(validate_input(schema, value)) == 1
