"""The schema checker beside jsonschema-rs, which shares no code with it.

Both take the same inputs, but for what `DIFFERENCES` lists, each with its reason.
"""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from darkroom.catalog import Catalogue
from darkroom.domain.model import Model, validate_input
from hypothesis import event, given
from hypothesis import strategies as st

Schema = dict[str, Any]

DIFFERENCES: dict[str, tuple[Schema, dict[str, Any], bool]] = {
    "OpenAPI 3.0's `nullable`, which JSON Schema does not know": (
        {"properties": {"x": {"type": "string", "nullable": True}}},
        {"x": None},
        True,
    ),
    "a format: `uri` is what a model can fetch, an http or data URL": (
        {"properties": {"x": {"type": "string", "format": "uri"}}},
        {"x": "mailto:a@example.com"},
        False,
    ),
    "a required prompt of blanks could only fail": (
        {"properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
        {"prompt": "  "},
        False,
    ),
    "NUL, which no store takes": ({}, {"x": "\0"}, False),
    "below a list or an object an enum's true equals 1, as in Python": (
        {"properties": {"x": {"enum": [[1]]}}},
        {"x": [True]},
        True,
    ),
    "`oneOf`, `pattern` and other words that no schema of a model uses are not checked": (
        {"properties": {"x": {"pattern": "^a$"}}},
        {"x": "b"},
        True,
    ),
}
"""Schema, input, and whether the checker takes it, where jsonschema-rs says otherwise."""

NAMES = st.sampled_from(["prompt", "seed", "x"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-20, 20)
    | st.floats(-20, 20, allow_nan=False)
    | st.sampled_from([1.0, 0.5, "", "a", "prompt"])
    | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
SCHEMAS: st.SearchStrategy[Schema] = st.deferred(
    lambda: st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(SCALARS, min_size=1, max_size=3),
            "minimum": st.integers(-5, 5),
            "maximum": st.floats(-5, 5, allow_nan=False),
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 5),
            "items": SCHEMAS,
            "properties": st.dictionaries(NAMES, SCHEMAS, max_size=3),
            "required": st.lists(NAMES.filter(lambda n: n != "prompt"), max_size=2, unique=True),
            "anyOf": st.lists(SCHEMAS, min_size=1, max_size=2),
            "allOf": st.lists(SCHEMAS, min_size=1, max_size=2),
        },
    )
)


def accepts(schema: Schema, value: dict[str, Any]) -> bool:
    return jsonschema_rs.Draft202012Validator(
        {**schema, "type": "object"}, validate_formats=False
    ).is_valid(value)


@given(schema=SCHEMAS, value=st.dictionaries(NAMES, VALUES, max_size=3))
def test_any_schema_takes_the_same_inputs(schema: Schema, value: dict[str, Any]) -> None:
    ours = not validate_input(schema, value)
    event("accepted" if ours else "refused")
    assert ours == accepts(schema, value)


CATALOGUE = Catalogue.load()
MODELS = [found.model for name in CATALOGUE.names() if (found := CATALOGUE.resolve(name))]


def near(declared: Schema) -> st.SearchStrategy[Any]:
    """Values that a field may take, and others just beside them."""
    known = [*declared.get("enum", ()), declared.get("default", "a")]
    for bound in (declared.get("minimum"), declared.get("maximum")):
        known += [] if bound is None else [bound, bound - 1, bound + 1, bound + 0.5, float(bound)]
    return st.sampled_from(known) | SCALARS.filter(lambda value: not isinstance(value, str))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.model))
@given(data=st.data())
def test_every_model_takes_the_same_inputs(model: Model, data: st.DataObject) -> None:
    schema = model.input_schema
    fields = {
        name: near(declared)
        for name, declared in schema["properties"].items()
        if declared.get("format") != "uri"
    }
    fields["prompt"] = st.sampled_from(["a corgi", 1, None])
    given_ = data.draw(st.fixed_dictionaries({}, optional=fields))
    files = [n for n in schema.get("required", ()) if n in schema["properties"] and n not in fields]
    value = {**given_, **dict.fromkeys(files, "https://example.com/a.png")}
    ours = not validate_input(schema, value)
    event("accepted" if ours else "refused")
    assert ours == accepts(schema, value)


@pytest.mark.parametrize("reason", DIFFERENCES)
def test_where_they_differ_it_is_on_purpose(reason: str) -> None:
    schema, value, ours = DIFFERENCES[reason]
    assert (not validate_input(schema, value)) is ours
    assert accepts(schema, value) is not ours
