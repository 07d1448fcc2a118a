"""Names that a model ignores, and the names that were probably meant."""

from __future__ import annotations

import time
from typing import Any

import pytest
from darkroom.domain.unknown_names import nearest, problems, unknown_names, warning

NAMES = [
    "prompt",
    "aspect_ratio",
    "input_images",
    "output_format",
    "seed",
    "num_outputs",
    "num_inference_steps",
    "guidance",
]
SCHEMA: dict[str, Any] = {"properties": {name: {} for name in NAMES}}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("image_input", "input_images"),
        ("images", "input_images"),
        ("image", "input_images"),
        ("img", "input_images"),
        ("inputImages", "input_images"),
        ("promt", "prompt"),
        ("Prompt", "prompt"),
        ("steps", "num_inference_steps"),
        ("format", "output_format"),
        ("guidance_scale", "guidance"),
        ("numOutputs", "num_outputs"),
        ("style", None),
        ("width", None),
        ("n", None),
        ("a name", None),
        ("", None),
        ("é", None),
    ],
)
def test_the_nearest_name(name: str, meant: str | None) -> None:
    assert nearest(name, SCHEMA["properties"]) == meant


def test_of_names_that_are_none_there_is_no_nearest() -> None:
    assert nearest("image", {}) is None
    assert nearest("image", {"an image": 1}) is None


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"properties": {}},
        {"properties": 7},
        {**SCHEMA, "additionalProperties": True},
        {**SCHEMA, "additionalProperties": {"type": "string"}},
        {**SCHEMA, "patternProperties": {"^x": {}}},
        {**SCHEMA, "anyOf": [{"additionalProperties": True}]},
    ],
)
def test_a_schema_that_may_take_any_name_knows_them_all(schema: dict[str, Any]) -> None:
    assert unknown_names(schema, {"promt": 1}) == []
    assert warning(schema, {"promt": 1}, "acme/portrait") is None
    assert problems(schema, {"promt": 1}) == []


def test_names_are_declared_in_branches_too() -> None:
    schema = {
        **SCHEMA,
        "additionalProperties": False,
        "allOf": [{"anyOf": [{"properties": {"mask": {}}}, 7]}],
    }
    assert unknown_names(schema, {"prompt": 1, "mask": 1, "masks": 1}) == ["masks"]


def test_branches_without_an_end_are_followed_only_so_far() -> None:
    endless: dict[str, Any] = {"properties": {"a": {}}}
    endless["allOf"] = [endless]
    assert unknown_names(endless, {"a": 1, "b": 1}) == ["b"]


def test_what_a_client_is_told() -> None:
    assert warning(SCHEMA, {"prompt": "a fox", "seed": 1}, "acme/portrait") is None
    assert warning(SCHEMA, {"image": 1, "style": 1}, "acme/portrait") == (
        "acme/portrait has no such input and ignores it: image (did you mean input_images?); style"
    )
    said = warning(SCHEMA, dict.fromkeys(["a\r\nb", 'q"', "c", "d", "e"]), "acme/portrait") or ""
    assert said.endswith(": (unnamed); (unnamed); c; and 2 more")
    assert said.isascii()
    assert said.isprintable()


def test_what_a_strict_stage_says() -> None:
    (found,) = problems(SCHEMA, {"prompt": "a fox", "image": 1})
    assert (found.type, found.field) == ("additional_property_not_allowed", "input")
    assert found.description == (
        "Additional property image is not allowed (did you mean input_images?)"
    )
    assert len(problems(SCHEMA, {f"n{number}": 1 for number in range(100)})) == 20


def test_hostile_names_take_little_time() -> None:
    schema = {"properties": {"a" * 59 + str(number): {} for number in range(5000)}}
    before = time.process_time()
    assert problems(schema, {"b" * 40 + f"a{number:010}": 1 for number in range(5000)})
    assert time.process_time() - before < 2
