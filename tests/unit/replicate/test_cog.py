"""A model's schema as Cog publishes it, and reading ours back completely."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from darkroom.domain.model import input_schema_of, output_shape_of
from darkroom.replicate.cog import openapi_schema

from tests.support.world import SCHNELL, load_catalogue

MODELS = load_catalogue().names()


def components(model_name: str = SCHNELL, **properties: Any) -> dict[str, Any]:
    model = load_catalogue().model(model_name)
    if properties:
        model = replace(model, input_schema={"type": "object", "properties": properties})
    found: dict[str, Any] = openapi_schema(model)["components"]["schemas"]
    return found


@pytest.mark.parametrize("name", MODELS)
def test_what_is_published_is_read_back_as_it_was(name: str) -> None:
    model = load_catalogue().model(name)
    schema = openapi_schema(model)
    assert input_schema_of(schema) == model.input_schema
    assert output_shape_of(schema) == model.output


def test_an_enum_is_a_component_of_its_own() -> None:
    found = components()
    assert found["megapixels"] == {
        "enum": ["1", "0.25"],
        "type": "string",
        "title": "megapixels",
        "description": "An enumeration.",
    }
    shown = found["Input"]["properties"]["megapixels"]
    assert shown["allOf"] == [{"$ref": "#/components/schemas/megapixels"}]
    assert shown["default"] == "1"
    assert "enum" not in shown


def test_an_enum_of_numbers_keeps_its_type() -> None:
    assert components("stability-ai/stable-diffusion-inpainting")["width"]["type"] == "integer"


@pytest.mark.parametrize("name", ["Input", "Output"])
def test_an_enum_takes_no_components_place(name: str) -> None:
    found = components(**{name: {"enum": [1]}})
    assert found["Input"]["properties"] == {name: {"enum": [1]}}
    assert set(found) == {"Input", "Output"}


def test_a_property_that_is_no_object_passes() -> None:
    """A stage's own schema may contain `true`, which accepts any value."""
    assert components(anything=True, kind={"enum": ["a"]})["Input"]["properties"] == {
        "anything": True,
        "kind": {"allOf": [{"$ref": "#/components/schemas/kind"}]},
    }


def test_outputs_are_files() -> None:
    file = {"type": "string", "format": "uri"}
    assert components()["Output"] == {"type": "array", "items": file, "title": "Output"}
    assert components("nightmareai/real-esrgan")["Output"] == {**file, "title": "Output"}
