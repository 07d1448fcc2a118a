"""The check of an input as Replicate would make it, and of secrets, which it would store."""

from __future__ import annotations

from typing import Any

import pytest
from darkroom.domain.checker import (
    SECRET_NAMES,
    InvalidField,
    is_secret,
    problem_detail,
    unseen,
    validate_body,
    validate_input,
)

from tests.unit.domain.checking import SCHEMA, one, problems


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"image": "https://example.com/a.png"},
        {"image": "http://example.com/a.png?x=1"},
        {"image": "data:application/octet-stream;base64,AAAA"},
        {"image": "data:,"},
        {"image": "HTTPS://example.com/a.png"},
        {"image": "Http://EXAMPLE.com/a.png"},
        {"image": "DATA:image/png;base64,AAAA"},
        {"image": "data:image/png;name=my%20photo.png;base64,AAAA"},
        {"image": 'data:image/png;name="my photo.png";base64,AA\r\nAA\n'},
        {"num_outputs": 1},
        {"num_outputs": 4.0},
        {"guidance": 1.5},
        {"guidance": 2},
        {"go_fast": False},
        {"output_format": "png"},
        {"width": 128},
        {"width": 64.0},
        {"hf_loras": []},
        {"hf_loras": ["a", "b"]},
        {"extra": {"a": 1, "b": None}},
        {"seed": 10**30},
        {"unknown": {"deep": [1, None, "x"]}},
        {"prompt": " a fox "},
    ],
)
def test_valid_input(value: dict[str, Any]) -> None:
    assert problems(SCHEMA, {"prompt": "a fox", **value}) == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"num_outputs": 0}, ("number_gte", "num_outputs", "Must be greater than or equal to 1")),
        ({"num_outputs": 5}, ("number_lte", "num_outputs", "Must be less than or equal to 4")),
        ({"guidance": 1}, ("number_gte", "guidance", "Must be greater than or equal to 1.5")),
        ({"guidance": 10**400}, ("number_lte", "guidance", "Must be less than or equal to 10")),
        (
            {"num_outputs": 1.5},
            ("invalid_type", "num_outputs", "Invalid type. Expected: integer, given: number"),
        ),
        (
            {"num_outputs": "1"},
            ("invalid_type", "num_outputs", "Invalid type. Expected: integer, given: string"),
        ),
        (
            {"num_outputs": True},
            ("invalid_type", "num_outputs", "Invalid type. Expected: integer, given: boolean"),
        ),
        (
            {"guidance": False},
            ("invalid_type", "guidance", "Invalid type. Expected: number, given: boolean"),
        ),
        (
            {"go_fast": 1},
            ("invalid_type", "go_fast", "Invalid type. Expected: boolean, given: integer"),
        ),
        ({"seed": None}, ("invalid_type", "seed", "Invalid type. Expected: integer, given: null")),
        (
            {"hf_loras": "a"},
            ("invalid_type", "hf_loras", "Invalid type. Expected: array, given: string"),
        ),
        (
            {"hf_loras": ["a", {}]},
            ("invalid_type", "hf_loras.1", "Invalid type. Expected: string, given: object"),
        ),
        (
            {"prompt": ["a"]},
            ("invalid_type", "prompt", "Invalid type. Expected: string, given: array"),
        ),
        (
            {"output_format": "gif"},
            (
                "enum",
                "output_format",
                'output_format must be one of the following: "jpg", "png"',
            ),
        ),
        ({"width": 65}, ("enum", "width", "width must be one of the following: 64, 128")),
        ({"extra": {}}, ("required", "extra", "a is required")),
        (
            {"extra": {"a": "1"}},
            ("invalid_type", "extra.a", "Invalid type. Expected: integer, given: string"),
        ),
        ({"prompt": ""}, ("string_gte", "prompt", "prompt must not be empty")),
        ({"prompt": " \n\t\u2003"}, ("string_gte", "prompt", "prompt must not be empty")),
        ({"prompt": "a\0b"}, ("format", "prompt", "Must not contain NUL characters")),
        ({"hf_loras": ["\0"]}, ("format", "hf_loras", "Must not contain NUL characters")),
    ],
)
def test_one_problem(value: dict[str, Any], problem: tuple[str, str, str]) -> None:
    kind, field, description = problem
    found = problems(SCHEMA, {"prompt": "a fox", **value})
    assert found == [(kind, f"input.{field}", description)]


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "fox.png",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "javascript:alert(1)",
        "https://",
        "https:///a.png",
        "https://example.com/a b.png",
        "https://example.com/\n",
        " https://example.com/a.png",
        "data:image/png;base64",
        "data:" + "x" * 1000 + ",AAAA",
    ],
)
def test_a_file_must_be_a_url_or_a_data_uri(uri: str) -> None:
    found = problems(SCHEMA, {"prompt": "a fox", "image": uri})
    assert found == [("format", "input.image", "Does not match format 'uri'")]


def test_missing_prompt_reads_as_replicate_writes_it() -> None:
    fields = validate_input(SCHEMA, {})
    assert fields == [InvalidField("required", "input", "prompt is required")]
    assert problem_detail(fields) == "- input: prompt is required\n"


def test_every_problem_gets_a_line() -> None:
    fields = validate_input(SCHEMA, {"num_outputs": 0, "output_format": "bmp"})
    assert problem_detail(fields) == (
        "- input: prompt is required\n"
        "- input.num_outputs: Must be greater than or equal to 1\n"
        '- input.output_format: output_format must be one of the following: "jpg", "png"\n'
    )


@pytest.mark.parametrize(
    ("value", "given"), [([], "array"), ("x", "string"), (None, "null"), (1, "integer")]
)
def test_an_input_is_an_object(value: object, given: str) -> None:
    description = f"Invalid type. Expected: object, given: {given}"
    assert problems(SCHEMA, value) == [("invalid_type", "input", description)]
    assert problems({}, value) == [("invalid_type", "input", description)]


def test_an_empty_prompt_is_fine_where_none_is_required() -> None:
    assert problems({"properties": SCHEMA["properties"]}, {"prompt": ""}) == []


def test_nul_under_an_unknown_name_does_not_repeat_the_name() -> None:
    expected = [("format", "input", "Must not contain NUL characters")]
    assert problems(SCHEMA, {"prompt": "x", "evil\0": 1}) == expected
    assert problems(SCHEMA, {"prompt": "x", "evil": ["\0"]}) == expected


def test_a_hostile_input_gets_a_short_answer() -> None:
    found = problems(SCHEMA, {"prompt": "x", "hf_loras": [0] * 100_000})
    assert len(found) == 20
    branches = {"anyOf": [SCHEMA["properties"]["hf_loras"], {"type": "null"}]}
    assert len(one(branches, [0] * 100_000)) <= 20


def test_any_of() -> None:
    optional = {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]}
    assert one(optional, None) == []
    assert one(optional, "https://example.com") == []
    assert one(optional, 1) == [
        ("number_any_of", "input.x", "Must validate at least one schema (anyOf)"),
        ("invalid_type", "input.x", "Invalid type. Expected: string, given: integer"),
    ]


def test_all_of() -> None:
    schema = {"allOf": [{"type": "string", "enum": ["a", "b"]}], "default": "a"}
    assert one(schema, "b") == []
    assert one(schema, "c") == [("enum", "input.x", 'x must be one of the following: "a", "b"')]


def test_lengths() -> None:
    schema = {"type": "string", "minLength": 2, "maxLength": 3}
    assert one(schema, "é😀") == []
    assert one(schema, "a") == [
        ("string_gte", "input.x", "String length must be greater than or equal to 2")
    ]
    assert one(schema, "abcd") == [
        ("string_lte", "input.x", "String length must be less than or equal to 3")
    ]


def test_several_types_and_nullable() -> None:
    schema = {"type": ["string", "null"]}
    assert one(schema, None) == []
    assert one(schema, 1) == [
        ("invalid_type", "input.x", "Invalid type. Expected: [string,null], given: integer")
    ]
    assert one({"type": "string", "nullable": True}, None) == []
    assert one({"type": "string", "nullable": "yes"}, None) != []


@pytest.mark.parametrize(
    ("allowed", "value", "fits"),
    [
        ([1], True, False),
        ([0, 1], False, False),
        ([True], 1, False),
        ([True], True, True),
        ([1], 1.0, True),
        ([None], None, True),
        ([None, {"a": 1}], {"a": 1}, True),
        (["1", "0.25"], 1, False),
    ],
)
def test_enum_tells_types_apart(allowed: list[object], value: object, fits: bool) -> None:
    assert (one({"enum": allowed}, value) == []) is fits


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "colour"},
        {"type": 7},
        {"type": ["string", []]},
        {"type": {}},
        {"enum": "abc"},
        {"enum": []},
        {"minimum": "1", "maximum": None},
        {"minimum": True, "maximum": float("nan")},
        {"minimum": float("inf"), "maximum": 10**400},
        {"items": [1], "properties": 7, "required": "prompt"},
        {"required": [1, None]},
        {"anyOf": {"type": "string"}, "allOf": 1},
        {"anyOf": [7], "allOf": [None]},
        {"format": ["uri"], "pattern": "((", "$ref": "#/nowhere"},
        {"minLength": [], "maxLength": "x"},
        {"minItems": "1", "maxItems": None, "uniqueItems": "yes"},
        {"multipleOf": 0, "exclusiveMinimum": "1", "exclusiveMaximum": []},
        {"multipleOf": -1, "exclusiveMinimum": True, "exclusiveMaximum": True},
        {"dependentRequired": {"a": "b"}, "oneOf": 7, "not": True},
        {"dependentRequired": {"a": [7]}, "oneOf": [], "not": [{}]},
        {"pattern": 7},
    ],
)
@pytest.mark.parametrize("value", [1, "x", None, True, [1], {"a": 1}, 2.5])
def test_what_a_schema_says_unclearly_is_not_checked(schema: dict[str, Any], value: object) -> None:
    assert one(schema, value) == []


def test_a_schema_without_an_end_is_followed_only_so_far() -> None:
    endless: dict[str, Any] = {"type": "array"}
    endless["items"] = endless
    value: object = 1
    for _ in range(60):
        value = [value]
    assert one(endless, value) == []
    assert one(endless, [[1]]) != []


ONES = [1] * 60_000
DISTINCT = [[number] * 200 for number in range(50)]


def branches(number: int, **schema: Any) -> dict[str, Any]:
    return {"anyOf": [{**schema, "title": str(index)} for index in range(number)]}


TOO_LONG: dict[str, tuple[dict[str, Any], Any]] = {
    "list": ({"items": {"type": "string"}}, ["x"] * 60_000),
    "branches": (branches(2000, items={"type": "integer"}), [*ONES, "x"]),
    "names": ({"items": {"required": ["a"] * 9000}}, [{"a": 1}] * 6000),
    "types": ({"items": {"type": ["string"] * 9000 + ["integer"]}}, ONES),
    "choices": ({"items": {"enum": [*range(9000), "x"]}}, ["x"] * 6000),
    "lists told apart": (branches(2000, uniqueItems=True), [*DISTINCT, DISTINCT[0]]),
    "objects told apart": (
        branches(2000, uniqueItems=True),
        [*({"a": {"b": each}} for each in DISTINCT), {"a": {"b": DISTINCT[0]}}],
    ),
    "a pattern": (branches(2000, pattern="^a*b$"), "a" * 90_000),
    "dependencies": ({"items": {"dependentRequired": {"a": ["a"] * 9000}}}, [{"a": 1}] * 6000),
    "exclusions": (branches(2000, **{"not": branches(20, properties={"a": {}})}), 1),
    "lists as choices": ({"items": {"enum": [[n] for n in range(4000)]}}, [[3999]] * 100),
    "URL": (branches(2000, type="string", format="uri"), "https://" + "a" * 200_000 + " "),
}


@pytest.mark.parametrize(("schema", "value"), TOO_LONG.values(), ids=TOO_LONG)
def test_what_takes_too_long_to_check_is_refused(schema: dict[str, Any], value: object) -> None:
    said = "Cannot be checked against the model's schema in 30000 steps; send fewer values"
    assert one(schema, value) == [("too_complex", "input", said)]


def test_a_body_of_our_own_has_no_budget() -> None:
    schema = {"properties": {"x": {"type": "array", "items": {"type": "integer"}}}}
    assert validate_body(schema, {"x": ONES}) == []


def test_a_large_input_of_a_plain_schema_is_checked() -> None:
    assert one({"type": "array", "items": {"type": "integer"}}, [1] * 29_000) == []


def test_what_is_shown_of_a_long_enum_is_cut() -> None:
    ((_, _, text),) = one({"enum": ["a" * 3000, [1], {"b": 1}, *range(3000)]}, "x")
    assert text.startswith('x must be one of the following: "' + "a" * 100 + '…", […], {…}, 0, 1, ')
    assert text.endswith(", …")
    assert len(text) < 2000


# Lists


def test_the_number_of_items() -> None:
    schema = {"type": "array", "minItems": 2, "maxItems": 3}
    assert one(schema, [1, 2]) == one(schema, [1, 2, 3]) == []
    assert one(schema, [1]) == [("array_min_items", "input.x", "Array must have at least 2 items")]
    assert one(schema, [1, 2, 3, 4]) == [
        ("array_max_items", "input.x", "Array must have at most 3 items")
    ]


@pytest.mark.parametrize(
    ("value", "twice"),
    [
        ([], None),
        ([1, 2, "1", None, True, "true"], None),
        ([[1], [True], {"a": 1}, {"a": True}, {"b": 1}, [{"a": 1}]], None),
        ([1, 0, True, False], None),
        ([1, 1.0], (0, 1)),
        ([3, "a", "a", "a"], (1, 2)),
        ([{"a": [1, 2], "b": None}, {"b": None, "a": [1.0, 2]}], (0, 1)),
    ],
)
def test_items_that_must_differ(value: list[object], twice: tuple[int, int] | None) -> None:
    said = twice and ("unique", "input.x", "array items[{},{}] must be unique".format(*twice))
    assert one({"uniqueItems": True}, value) == ([said] if said else [])
    assert one({"uniqueItems": False}, value) == []


# Numbers


@pytest.mark.parametrize(
    "schema",
    [
        {"exclusiveMinimum": 1, "exclusiveMaximum": 2.5},
        {"minimum": 1, "exclusiveMinimum": True, "maximum": 2.5, "exclusiveMaximum": True},
    ],
    ids=["JSON Schema", "OpenAPI 3.0"],
)
def test_bounds_that_are_excluded(schema: dict[str, Any]) -> None:
    assert one(schema, 1.5) == one(schema, "a text") == []
    assert (
        one(schema, 1) == one(schema, 0.5) == [("number_gt", "input.x", "Must be greater than 1")]
    )
    assert one(schema, 2.5) == one(schema, 3) == [("number_lt", "input.x", "Must be less than 2.5")]


def test_bounds_that_are_excluded_by_no_means_are_included() -> None:
    schema = {"minimum": 1, "exclusiveMinimum": False, "maximum": 2, "exclusiveMaximum": False}
    assert one(schema, 1) == one(schema, 2) == []
    assert [kind for kind, _, _ in one(schema, 3)] == ["number_lte"]
    both = {"minimum": 1, "exclusiveMinimum": 1}
    assert [kind for kind, _, _ in one(both, 0)] == ["number_gt", "number_gte"]


@pytest.mark.parametrize(
    ("factor", "value", "fits"),
    [
        (16, 1024, True),
        (16, 1000, False),
        (16, 0, True),
        (16, -32, True),
        (0.1, 0.3, True),
        (0.1, 1.1, True),
        (0.01, 4.35, True),
        (0.1, 0.35, False),
        (0.5, 3, True),
        (1e-7, 3e-7, True),
        (1e-7, 1.5e-7, False),
        (8, 16.0, True),
        (3, 10**400, False),
        (10, 10**400, True),
        (1e-300, 1e308, True),
        (2, float("inf"), True),
        (2, float("nan"), True),
    ],
)
def test_multiples_are_those_of_the_digits_that_are_written(
    factor: float, value: float, fits: bool
) -> None:
    said = ("multiple_of", "input.x", f"Must be a multiple of {factor:.10g}")
    assert one({"multipleOf": factor}, value) == ([] if fits else [said])


# Texts


@pytest.mark.parametrize(
    ("pattern", "fits", "unfit"),
    [
        ("", ["", "a"], []),
        ("^$", [""], ["a", "\n"]),
        ("^#[0-9a-fA-F]{6}$", ["#0aF9b3"], ["#0aF9b", "#0aF9b34", "#0aF9bg", "#0aF9b3\n"]),
        (r"^\d+x\d+$", ["1024x768"], ["x768", "1024 x 768", "\u0661x1"]),
        ("b", ["abc", "b"], ["", "ac"]),
        ("^[^a-z-]?$", ["A", ""], ["a", "-", "AB"]),
        (r"^a\$$", ["a$"], ["a"]),
        ("^.{2,3}$", ["ab", "abc", "é😀"], ["a", "abcd", "a\n"]),
        ("^a{2,}?b{3}$", ["aabbb", "aaabbb"], ["abbb", "aabb"]),
        (r"^[\w.+-]+@\w+$", ["a.b+c@d"], ["é@d", "@d"]),
    ],
)
def test_a_plain_pattern(pattern: str, fits: list[str], unfit: list[str]) -> None:
    schema = {"type": "string", "pattern": pattern}
    said = ("pattern", "input.x", f"Does not match pattern '{pattern}'")
    assert [one(schema, text) for text in fits] == [[]] * len(fits)
    assert [one(schema, text) for text in unfit] == [[said]] * len(unfit)
    assert unseen(schema) == []


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "(a+)+$",
            "(a|aa)+$",
            "a|b",
            r"(.)\1",
            "(?=a)",
            "a++",
            "a**",
            "^^",
            "a$b",
            "[a",
            "a{3,2}",
        ),
        *(r"\s", r"\bword", r"\p{L}", "[[:alpha:]]", "[a&&b]", "[z-a]", r"[\d-z]", "x{1000}"),
        *("a" * 201, "\\", "a{3,2}"),
    ],
)
def test_a_pattern_that_may_have_another_meaning_or_no_end_is_not_searched_for(
    pattern: str,
) -> None:
    assert one({"pattern": pattern}, "zzz") == []
    assert unseen({"pattern": pattern}) == [("input", "pattern")]


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("^a*a*a*a*a*b$", "a" * 100),
        ("a*b", "a" * 2000),
        ("^[ab]{0,500}[ab]{0,500}[ab]{0,500}c$", "a" * 1000),
    ],
)
def test_a_search_that_could_take_long_is_left_to_the_provider(pattern: str, value: str) -> None:
    assert one({"pattern": pattern}, value) == []
    assert [kind for kind, _, _ in one({"pattern": pattern}, "zz")] == ["pattern"]


# Choices and combinations


@pytest.mark.parametrize(
    ("const", "value", "fits"),
    [("a", "a", True), ("a", "b", False), (1, 1.0, True), (1, True, False), (None, 0, False)],
)
def test_const(const: object, value: object, fits: bool) -> None:
    shown = {"a": '"a"', 1: "1", None: "null"}[const]  # type: ignore[index]
    said = ("const", "input.x", f"x does not match: {shown}")
    assert one({"const": const}, value) == ([] if fits else [said])


def test_one_of() -> None:
    schema = {"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 5}]}
    assert one(schema, 3) == one(schema, 5.5) == []
    several = ("number_one_of", "input.x", "Must validate one and only one schema (oneOf)")
    assert one(schema, 7) == [several]
    assert one(schema, "a") == [
        several,
        ("invalid_type", "input.x", "Invalid type. Expected: integer, given: string"),
    ]


@pytest.mark.parametrize(
    "beyond", [{"contains": {"const": 1}}, {"format": "date"}, {"type": "int"}]
)
def test_a_branch_that_is_not_understood_is_no_second_one(beyond: dict[str, Any]) -> None:
    """The value may match nothing at all, which only the provider can tell."""
    assert one({"oneOf": [{}, beyond]}, 3) == []
    assert one({"oneOf": [{}, beyond, {}]}, 3) != []
    assert one({"not": beyond}, 3) == []
    assert one({"not": {"anyOf": [{"items": {"properties": {"a": beyond}}}]}}, 3) == []


def test_not() -> None:
    schema = {"not": {"type": "string", "maxLength": 2}}
    assert one(schema, "abc") == one(schema, 1) == []
    assert one(schema, "ab") == [("number_not", "input.x", "Must not validate the schema (not)")]


def test_what_depends_on_another() -> None:
    schema = {"dependentRequired": {"mask": ["image", "prompt"]}}
    assert problems(schema, {}) == problems(schema, {"mask": 1, "image": 2, "prompt": 3}) == []
    assert problems(schema, {"mask": 1, "prompt": 3}) == [
        ("missing_dependency", "input.mask", "Has a dependency on image")
    ]


@pytest.mark.parametrize(("word", "kind"), [("anyOf", "any"), ("oneOf", "one")])
def test_one_or_the_other_is_said_in_one_line(word: str, kind: str) -> None:
    schema = {word: [{"required": ["image"]}, {"required": ["image_url", "mode"]}]}
    assert problems(schema, {"image": 1}) == problems(schema, {"image_url": 1, "mode": 2}) == []
    first, second = problems(schema, {"mode": 2})
    assert first[0] == f"number_{kind}_of"
    assert second == ("required", "input", "image or image_url and mode is required")
    assert (problems(schema, {"image": 1, "image_url": 1, "mode": 2}) == []) is (kind == "any")


def test_many_alternatives_are_not_all_listed() -> None:
    many = {"anyOf": [{"required": [f"r{n}"]} for n in range(9)]}
    assert problems(many, {})[1] == ("required", "input", "r0 is required")
    long = {"anyOf": [{"required": [f"r{n}" for n in range(9)]}]}
    assert problems(long, {})[-1] == ("required", "input", "r8 is required")


# Secrets

SECRET = ("Must be left out: it is a secret, and inputs are stored, shown and sent to webhooks",)


@pytest.mark.parametrize("name", sorted(SECRET_NAMES))
def test_a_secrets_name_is_refused_whatever_the_schema_says(name: str) -> None:
    for given in (name, name.upper(), name.replace("_", "-")):
        found = problems({"properties": {given: {"type": "string"}}}, {given: "sk-value"})
        assert found == [("secret", f"input.{given}", *SECRET)]
        assert is_secret(given, {})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "password"},
        {"type": "string", "x-cog-secret": True},
        {"type": "string", "format": "password", "writeOnly": True, "nullable": True},
        {"allOf": [{"format": "password"}], "title": "X"},
    ],
)
def test_what_the_schema_calls_a_secret_is_refused(schema: dict[str, Any]) -> None:
    assert one(schema, "sk-value") == [("secret", "input.x", *SECRET)]
    assert is_secret("x", schema)


def test_an_optional_secret_is_refused_and_told() -> None:
    schema = {"anyOf": [{"type": "string", "format": "password"}, {"type": "null"}]}
    assert one(schema, None) == []
    assert ("secret", "input.x", *SECRET) in one(schema, "sk-value")
    assert is_secret("x", schema)


def test_a_secret_is_told_once_and_its_value_never() -> None:
    schema = {"properties": {"api_key": {"format": "password", "maxLength": 3, "enum": ["a"]}}}
    value = {"api_key": "sk-value", "API_KEY": ["sk-other"], "a": 1}
    fields = validate_input(schema, value)
    assert [f.field for f in fields if f.type == "secret"] == ["input.api_key", "input.API_KEY"]
    assert "sk-" not in problem_detail(fields)


@pytest.mark.parametrize("nothing", ["", None])
def test_an_empty_secret_is_none(nothing: str | None) -> None:
    schema = {"properties": {"api_key": {"format": "password", "nullable": True}}}
    assert problems(schema, {"api_key": nothing, "hf_token": nothing}) == []


@pytest.mark.parametrize("name", ["token", "seed", "api_keys", "key", "x" * 5000])
def test_other_names_are_no_secrets(name: str) -> None:
    assert problems({}, {name: "a text"}) == []
    assert not is_secret(name, {"type": "string"})


# Unchecked


def test_what_a_check_passes_over_is_told_with_its_place() -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "prompt": {"type": "string", "title": "Prompt", "x-order": 0, "default": "a"},
            "tags": {"type": "array", "items": {"type": "string", "format": "email"}},
            "size": {"anyOf": [{"contentEncoding": "base64"}, {"type": "null"}]},
            "width": {"minimum": "1", "not": {"if": {}}},
            "seed": {"minimum": 0, "exclusiveMinimum": True, "nullable": True},
        },
    }
    assert unseen(schema) == [
        ("input", "additionalProperties"),
        ("input.tags[]", "format"),
        ("input.size", "contentEncoding"),
        ("input.width", "minimum"),
        ("input.width", "if"),
    ]


def test_of_a_schema_without_an_end_a_hundred_words_are_told() -> None:
    endless: dict[str, Any] = {"contains": {}}
    endless["properties"] = {"a": endless, "b": endless}
    assert len(unseen(endless)) == 100
    deep: dict[str, Any] = {}
    for _ in range(20):
        deep = {"items": deep}
    assert [word for _, word in unseen(deep)] == ["depth"]
