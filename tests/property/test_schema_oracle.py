"""The schema checker compared with jsonschema-rs, which shares no code with it.

Both accept the same inputs, except those in `DIFFERENCES`, each with its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from darkroom.catalog import Catalogue
from darkroom.domain.checker import unseen, validate_input
from hypothesis import assume, event, given
from hypothesis import strategies as st

from emulator.checking import in_json_schema
from tests.support.examples import one_in

if TYPE_CHECKING:
    from darkroom.domain.model import Model

Schema = dict[str, Any]

DIFFERENCES: dict[str, tuple[Schema, dict[str, Any], bool]] = {
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
    "the same of `const`": ({"properties": {"x": {"const": [1]}}}, {"x": [True]}, True),
    "a secret, which only we would keep": (
        {"properties": {"x": {"type": "string", "format": "password"}}},
        {"x": "sk-value"},
        False,
    ),
    "a secret by its name": ({}, {"api_key": "sk-value"}, False),
    "a pattern with a group, or one whose search could take long, is not searched for": (
        {"properties": {"x": {"pattern": "^(a|b)$"}}},
        {"x": "c"},
        True,
    ),
    "`contains` and other words that no schema of a model uses are not checked": (
        {"properties": {"x": {"contains": {"type": "string"}}}},
        {"x": [1]},
        True,
    ),
    "`not` and the second fit of `oneOf` count only where the branch is understood whole": (
        {"properties": {"x": {"not": {"minProperties": 0}}}},
        {"x": 1},
        True,
    ),
}
"""Schema, input, and the checker's decision, where jsonschema-rs decides otherwise."""

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
NUMBERS = st.integers(-20, 20) | st.integers(-200, 200).map(lambda n: n / 10) | st.just(10**30)
BOUNDS = st.integers(-5, 5) | st.sampled_from([0.5, -2.5, 1.0])
FACTORS = st.sampled_from([1, 2, 3, 16, 0.5, 0.25, 2.0, 0.1, 0.3])
PATTERNS = st.sampled_from(
    [
        *(
            "",
            "a",
            "^a",
            "a$",
            "^$",
            "^[a-z]+$",
            r"^\d+x\d*$",
            "^#[0-9a-fA-F]{1,2}$",
            "[^a]",
            "^.$",
        ),
        *(r"\.", r"^\w*-?\w$", "a{2}", "^a?b{1,}$", r"\D", "^[-_]", "[a.-]", "^x??a*?$", "é"),
    ]
)
FEW: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([0, 1, 1.0, True, False, None, "", "a", 2, 0.5]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=3,
)
SOME_NAMES = st.lists(NAMES, max_size=2, unique=True)
REQUIRED = st.lists(NAMES.filter(lambda name: name != "prompt"), max_size=2, unique=True)
PLAIN: st.SearchStrategy[Schema] = st.fixed_dictionaries(
    {}, optional={"type": TYPES, "minimum": BOUNDS, "enum": st.lists(SCALARS, min_size=1)}
)
SCHEMAS: st.SearchStrategy[Schema] = st.deferred(
    lambda: st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(SCALARS, min_size=1, max_size=3),
            "const": SCALARS,
            "minimum": st.integers(-5, 5),
            "maximum": BOUNDS,
            "exclusiveMinimum": BOUNDS,
            "exclusiveMaximum": BOUNDS,
            "multipleOf": FACTORS,
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 5),
            "pattern": PATTERNS,
            "items": SCHEMAS,
            "minItems": st.integers(0, 3),
            "maxItems": st.integers(0, 3),
            "uniqueItems": st.booleans(),
            "properties": st.dictionaries(NAMES, SCHEMAS, max_size=3),
            "required": REQUIRED,
            "dependentRequired": st.dictionaries(NAMES, SOME_NAMES, max_size=2),
            "anyOf": st.lists(SCHEMAS, min_size=1, max_size=2),
            "allOf": st.lists(SCHEMAS, min_size=1, max_size=2),
            "oneOf": st.lists(SCHEMAS, min_size=1, max_size=3),
            "not": SCHEMAS,
        },
    )
)
WORDS: dict[str, tuple[st.SearchStrategy[Schema], st.SearchStrategy[Any]]] = {
    "const": (st.builds(lambda v: {"const": v}, SCALARS), SCALARS),
    "exclusive bounds": (
        st.fixed_dictionaries(
            {"exclusiveMinimum": BOUNDS, "minimum": BOUNDS},
            optional={"exclusiveMaximum": BOUNDS, "maximum": BOUNDS},
        ),
        NUMBERS,
    ),
    "multipleOf": (st.builds(lambda v: {"multipleOf": v}, FACTORS), NUMBERS),
    "pattern": (
        st.builds(lambda v: {"pattern": v}, PATTERNS),
        st.text(st.sampled_from("ab0-_x#. \n\u00e9\u0661"), max_size=6),
    ),
    "items": (
        st.fixed_dictionaries(
            {"uniqueItems": st.booleans()},
            optional={"minItems": st.integers(0, 3), "maxItems": st.integers(0, 3)},
        ),
        st.lists(FEW, max_size=4),
    ),
    "dependentRequired": (
        st.fixed_dictionaries({"dependentRequired": st.dictionaries(NAMES, SOME_NAMES)}),
        st.dictionaries(NAMES, FEW),
    ),
    "one or the other": (
        st.builds(
            lambda word, branches: {word: [{"required": names} for names in branches]},
            st.sampled_from(["anyOf", "oneOf"]),
            st.lists(REQUIRED, min_size=1, max_size=3),
        ),
        st.dictionaries(NAMES, FEW),
    ),
    "oneOf and not": (
        st.fixed_dictionaries(
            {"oneOf": st.lists(PLAIN, min_size=1, max_size=3)}, optional={"not": PLAIN}
        ),
        FEW,
    ),
}
"""Each keyword alone with relevant values, which many keywords together rarely have."""


def accepts(schema: Schema, value: dict[str, Any]) -> bool:
    return jsonschema_rs.Draft202012Validator(
        {**in_json_schema(schema), "type": "object"}, validate_formats=False
    ).is_valid(value)


@given(schema=SCHEMAS, value=st.dictionaries(NAMES, VALUES, max_size=3))
def test_any_schema_takes_the_same_inputs(schema: Schema, value: dict[str, Any]) -> None:
    # Deeper than the check goes, which it reports.
    assume(not unseen(schema))
    ours = not validate_input(schema, value)
    event("accepted" if ours else "refused")
    assert ours == accepts(schema, value)


@pytest.mark.parametrize("word", WORDS)
@given(data=st.data())
def test_each_word_takes_the_same_values(word: str, data: st.DataObject) -> None:
    schemas, values = WORDS[word]
    schema, value = {"properties": {"x": data.draw(schemas)}}, {"x": data.draw(values)}
    ours = not validate_input(schema, value)
    event("accepted" if ours else "refused")
    assert ours == accepts(schema, value)


EXCLUSIVE = st.fixed_dictionaries(
    {"minimum": BOUNDS, "maximum": BOUNDS},
    optional={"exclusiveMinimum": st.booleans(), "exclusiveMaximum": st.booleans()},
)


@given(schema=EXCLUSIVE, value=NUMBERS)
def test_openapis_exclusive_bounds_take_the_same_numbers(schema: Schema, value: float) -> None:
    """They are those of JSON Schema's fourth draft."""
    ours = not validate_input({"properties": {"x": schema}}, {"x": value})
    assert ours == jsonschema_rs.Draft4Validator(schema).is_valid(value)


@given(st.integers(-(10**6), 10**6), st.integers(0, 6), st.integers(1, 10**4), st.integers(0, 6))
def test_multiples_of_fractions_are_the_same(value: int, a: int, factor: int, b: int) -> None:
    schema = {"properties": {"x": {"multipleOf": factor / 10**b}}}
    given_ = {"x": value / 10**a}
    ours = not validate_input(schema, given_)
    event("accepted" if ours else "refused")
    assert ours == accepts(schema, given_)


CATALOGUE = Catalogue.load()
MODELS = [found.model for name in CATALOGUE.names() if (found := CATALOGUE.resolve(name))]


def near(declared: Schema) -> st.SearchStrategy[Any]:
    """Return values that a field may have, and others close to them."""
    known = [*declared.get("enum", ()), declared.get("default", "a")]
    for bound in (declared.get("minimum"), declared.get("maximum")):
        known += [] if bound is None else [bound, bound - 1, bound + 1, bound + 0.5, float(bound)]
    return st.sampled_from(known) | SCALARS.filter(lambda value: not isinstance(value, str))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.model))
@one_in(5)
@given(data=st.data())
def test_every_model_takes_the_same_inputs(model: Model, data: st.DataObject) -> None:
    schema = model.input_schema
    fields = {
        name: near(declared)
        for name, declared in schema["properties"].items()
        if declared.get("format") not in {"uri", "password"}
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
