"""Input validation with arbitrary schemas and values."""

from __future__ import annotations

from random import SystemRandom
from typing import Any

from darkroom.catalog import Catalogue
from darkroom.catalog.entry import read
from darkroom.domain.checker import problem_detail, unseen, validate_input
from darkroom.domain.model import (
    InvalidModelError,
    Model,
    draw_seed,
    input_schema_of,
    output_shape_of,
)
from darkroom.domain.unknown_names import problems as refusals
from darkroom.domain.unknown_names import unknown_names, warning
from hypothesis import event, given
from hypothesis import strategies as st

CATALOGUE = Catalogue.load()
RANDOM = SystemRandom()

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["https://example.com/x.png", "data:,", 10**400, "string", "seed"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=15,
)
keywords = st.sampled_from(
    [
        *["type", "enum", "minimum", "maximum", "minLength", "maxLength", "format", "nullable"],
        *["items", "properties", "required", "anyOf", "allOf", "$ref", "default", "oneOf", "not"],
        *["const", "pattern", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "minItems"],
        *["maxItems", "uniqueItems", "dependentRequired", "additionalProperties", "contains"],
    ]
)
types = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
names = st.sampled_from(["prompt", "seed", "x"])
sound_schemas: st.SearchStrategy[dict[str, Any]] = st.deferred(
    lambda: st.fixed_dictionaries(
        {},
        optional={
            "type": types,
            "enum": st.lists(values, min_size=1, max_size=3),
            "minimum": st.integers(-5, 5),
            "maximum": st.floats(-5, 5),
            "items": sound_schemas,
            "properties": st.dictionaries(names, sound_schemas, max_size=3),
            "required": st.lists(names, max_size=2),
            "anyOf": st.lists(sound_schemas, max_size=2),
            "allOf": st.lists(sound_schemas, max_size=2),
            "oneOf": st.lists(sound_schemas, max_size=2),
            "not": sound_schemas,
            "const": values,
            "pattern": st.text("ab(|)[]^$*+?{},1\\\\d-", max_size=9) | st.text(max_size=5),
            "multipleOf": st.integers() | st.floats(),
            "exclusiveMinimum": st.booleans() | st.floats(),
            "uniqueItems": st.just(True),
            "maxItems": st.integers(0, 2),
            "dependentRequired": st.dictionaries(names, st.lists(names)),
        },
    )
)
schemas = st.one_of(sound_schemas, st.dictionaries(keywords, values, max_size=5))
inputs = st.one_of(values, st.dictionaries(names, values, max_size=3))


@given(schema=schemas, value=inputs)
def test_any_schema_and_any_input_are_answered(schema: dict[str, Any], value: object) -> None:
    fields = validate_input(schema, value)
    event("refused" if fields else "accepted")
    assert len(fields) <= 20
    assert problem_detail(fields).count("\n") >= len(fields)
    assert all(f.field == "input" or f.field.startswith("input.") for f in fields)
    assert len(unseen(schema)) <= 100
    if isinstance(value, dict):
        told = warning(schema, value, "acme/portrait") or ""
        assert told.isascii()
        assert '"' not in told
        assert bool(told) == bool(unknown_names(schema, value)) == bool(refusals(schema, value))
        drawn = draw_seed(schema, value, RANDOM)
        assert {k: v for k, v in drawn.items() if k != "seed"} == {
            k: v for k, v in value.items() if k != "seed"
        }


references = st.sampled_from(["Input", "Output", "a", "b", "nowhere"]).map(
    lambda name: {"$ref": f"#/components/schemas/{name}"}
)
components = st.dictionaries(
    st.sampled_from(["Input", "Output", "a", "b"]),
    st.one_of(
        schemas,
        references,
        st.builds(lambda refs: {"allOf": refs}, st.lists(references, max_size=4)),
        st.builds(lambda refs: {"properties": {"x": {"anyOf": refs}}}, st.lists(references)),
        st.builds(
            lambda refs: {"properties": dict(zip("abcdef", refs, strict=False))},
            st.lists(references, max_size=6),
        ),
    ),
)


@given(components)
def test_any_openapi_schema_is_answered(given_components: dict[str, Any]) -> None:
    openapi = {"components": {"schemas": given_components}}
    schema = input_schema_of(openapi)
    assert "$ref" not in schema
    assert "allOf" not in schema
    validate_input(schema, {"x": 1, "a": {"b": []}})
    unseen(schema)
    assert output_shape_of(openapi) in {"array", "string"}


@given(values)
def test_anything_else_is_no_openapi_schema(value: object) -> None:
    assert input_schema_of(value) == {}
    assert output_shape_of(value) == "string"


@given(st.dictionaries(st.sampled_from([*Model.__dataclass_fields__, "x"]), values))
def test_no_entry_raises_anything_but_the_refusal(data: dict[str, Any]) -> None:
    try:
        read(data)
    except InvalidModelError:
        event("refused")


PICTURE = st.sampled_from(["https://example.com/x.png", "data:image/png;base64,AAAA", "x.png"])


@given(
    name=st.sampled_from(CATALOGUE.names()),
    needed=st.fixed_dictionaries({"prompt": st.text(), "image": PICTURE, "mask": PICTURE}),
    more=st.dictionaries(st.sampled_from(["seed", "num_outputs", "other"]), values, max_size=1),
)
def test_an_accepted_input_stays_accepted_with_its_seed(
    name: str, needed: dict[str, Any], more: dict[str, Any]
) -> None:
    found = CATALOGUE.resolve(name)
    assert found is not None
    schema = found.model.input_schema
    value = {**needed, **more}
    if validate_input(schema, value) == []:
        event("accepted")
        drawn = draw_seed(schema, value, RANDOM)
        assert validate_input(schema, drawn) == []
        if "seed" in schema["properties"]:
            # None, or a negative one, requests a random seed; without one the default counts.
            given_ = more.get("seed", schema["properties"]["seed"].get("default"))
            if given_ is None or given_ < 0:
                assert drawn["seed"] > 0
            else:
                assert drawn.get("seed") == more.get("seed")


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_reference_is_answered(reference: str) -> None:
    assert CATALOGUE.resolve(reference) is None
