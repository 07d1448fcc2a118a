"""A schema of every kind of field, and the problems of inputs."""

from __future__ import annotations

from typing import Any

from darkroom.domain.checker import (
    validate_input,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Input",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string", "x-order": 0},
        "image": {"type": "string", "format": "uri"},
        "num_outputs": {"type": "integer", "minimum": 1, "maximum": 4},
        "guidance": {"type": "number", "minimum": 1.5, "maximum": 10},
        "go_fast": {"type": "boolean"},
        "output_format": {"type": "string", "enum": ["jpg", "png"]},
        "width": {"type": "integer", "enum": [64, 128]},
        "hf_loras": {"type": "array", "items": {"type": "string"}},
        "extra": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
        "seed": {"type": "integer"},
    },
}


def problems(schema: dict[str, Any], value: object) -> list[tuple[str, str, str]]:
    return [(f.type, f.field, f.description) for f in validate_input(schema, value)]


def one(schema: dict[str, Any], value: object) -> list[tuple[str, str, str]]:
    """Return the problems of one property called `x`."""
    return problems({"type": "object", "properties": {"x": schema}}, {"x": value})
