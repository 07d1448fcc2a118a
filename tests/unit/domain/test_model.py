"""Checking an input as Replicate would, drawing seeds, and reading models and their schemas."""

from __future__ import annotations

import json
from pathlib import Path
from random import SystemRandom
from typing import Any

import pytest
from darkroom import catalog
from darkroom.domain.model import (
    InvalidField,
    InvalidModelError,
    Model,
    draw_seed,
    fixes_the_result,
    input_schema_of,
    makes_files,
    output_shape_of,
    problem_detail,
    validate_body,
    validate_input,
)

VERSION = "a1" * 32

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
    """The problems of one property called `x`."""
    return problems({"type": "object", "properties": {"x": schema}}, {"x": value})


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


def branches(number: int, **schema: Any) -> dict[str, Any]:
    return {"anyOf": [{**schema, "title": str(index)} for index in range(number)]}


TOO_LONG: dict[str, tuple[dict[str, Any], Any]] = {
    "list": ({"items": {"type": "string"}}, ["x"] * 60_000),
    "branches": (branches(2000, items={"type": "integer"}), [*ONES, "x"]),
    "names": ({"items": {"required": ["a"] * 9000}}, [{"a": 1}] * 6000),
    "types": ({"items": {"type": ["string"] * 9000 + ["integer"]}}, ONES),
    "choices": ({"items": {"enum": [*range(9000), "x"]}}, ["x"] * 6000),
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


SEEDED = {"properties": {"prompt": {"type": "string"}, "seed": {"type": "integer"}}}
RANDOM = SystemRandom()


class TestSeed:
    def test_is_drawn_where_none_was_given(self) -> None:
        given = {"prompt": "a fox"}
        drawn = draw_seed(SEEDED, given, RANDOM)
        assert drawn.keys() == {"prompt", "seed"}
        assert 0 <= drawn["seed"] < 2**31
        assert given == {"prompt": "a fox"}
        assert len({draw_seed(SEEDED, given, RANDOM)["seed"] for _ in range(20)}) > 10

    @pytest.mark.parametrize("seed", [0, 7, 7.0, "7", True, -1.5])
    def test_given_is_kept(self, seed: object) -> None:
        assert draw_seed(SEEDED, {"seed": seed}, RANDOM) == {"seed": seed}

    @pytest.mark.parametrize("seed", [-1, -1.0, -(2**70)])
    @pytest.mark.parametrize("least", [{}, {"minimum": -1}, {"minimum": 0}])
    def test_f7_a_negative_one_says_draw_one(self, seed: float, least: dict[str, int]) -> None:
        schema = {"properties": {"seed": {"type": "integer", **least}}}
        assert 0 < draw_seed(schema, {"seed": seed}, RANDOM)["seed"] < 2**31

    def test_f7_a_negative_one_is_the_models_affair_where_none_can_be_drawn(self) -> None:
        schema = {"properties": {"seed": {"type": "integer", "minimum": -1, "maximum": 0}}}
        assert draw_seed(schema, {"seed": -1}, RANDOM) == {"seed": -1}

    @pytest.mark.parametrize(
        "schema",
        [
            {},
            {"properties": {}},
            {"properties": {"prompt": {"type": "string"}}},
            {"properties": {"seed": {"type": "string"}}},
            {"properties": {"seed": {"type": "integer", "minimum": 5, "maximum": 4}}},
            {"properties": {"seed": {"type": "integer", "maximum": -1}}},
            {"properties": {"seed": {"type": "integer", "minimum": 2**40}}},
            {"properties": {"seed": 3}},
            {"properties": []},
        ],
    )
    def test_is_not_drawn_where_the_model_takes_none(self, schema: dict[str, Any]) -> None:
        assert draw_seed(schema, {"prompt": "x"}, RANDOM) == {"prompt": "x"}

    @pytest.mark.parametrize(
        "seed",
        [
            {"type": "integer", "minimum": 3, "maximum": 5},
            {"type": "integer", "minimum": 2.5, "maximum": 5.5},
            {"type": ["integer", "null"], "minimum": 3, "maximum": 5},
            {"anyOf": [{"type": "integer"}, {"type": "null"}], "minimum": 3, "maximum": 5},
        ],
    )
    def test_stays_in_the_models_range(self, seed: dict[str, Any]) -> None:
        schema = {"properties": {"seed": seed}}
        drawn = {draw_seed(schema, {}, RANDOM)["seed"] for _ in range(100)}
        assert drawn == {3, 4, 5}

    def test_f7_is_never_zero_or_negative(self) -> None:
        schema = {"properties": {"seed": {"type": "integer", "minimum": -5, "maximum": 2}}}
        assert {draw_seed(schema, {}, RANDOM)["seed"] for _ in range(100)} == {1, 2}

    @pytest.mark.parametrize(
        "seed",
        [
            {"type": ["integer", "null"]},
            {"type": "integer", "nullable": True},
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        ],
    )
    def test_null_counts_as_none_given(self, seed: dict[str, Any]) -> None:
        schema = {"properties": {"seed": seed}}
        assert isinstance(draw_seed(schema, {"seed": None}, RANDOM)["seed"], int)

    def test_null_is_a_wrong_value_where_the_schema_does_not_know_it(self) -> None:
        assert draw_seed(SEEDED, {"seed": None}, RANDOM) == {"seed": None}
        assert one({"type": "integer"}, None)


@pytest.mark.parametrize(
    ("seed", "fixes"),
    [
        *((7, True), (1, True), (2**40, True), ("a", True), (True, True)),
        *((None, False), (0, False), (0.0, False), (-0.0, False), (-1, False)),
    ],
)
def test_f7_a_seed_that_may_mean_random_fixes_nothing(seed: object, fixes: bool) -> None:
    assert fixes_the_result(seed) is fixes


def openapi(**schemas: object) -> dict[str, Any]:
    return {"openapi": "3.0.2", "components": {"schemas": schemas}}


class TestOpenAPI:
    def test_enums_come_inline(self) -> None:
        schema = input_schema_of(
            openapi(
                scheduler={
                    "type": "string",
                    "title": "scheduler",
                    "enum": ["DDIM", "K_EULER"],
                    "description": "An enumeration.",
                },
                Input={
                    "type": "object",
                    "required": ["prompt"],
                    "properties": {
                        "prompt": {"type": "string", "x-order": 0},
                        "scheduler": {
                            "allOf": [{"$ref": "#/components/schemas/scheduler"}],
                            "description": "The sampler",
                            "default": "K_EULER",
                            "x-order": 1,
                        },
                        "others": {
                            "type": "array",
                            "items": {"$ref": "#/components/schemas/scheduler"},
                        },
                        "maybe": {
                            "anyOf": [
                                {"$ref": "#/components/schemas/scheduler"},
                                {"type": "null"},
                            ]
                        },
                    },
                },
            )
        )
        enum = {"type": "string", "title": "scheduler", "enum": ["DDIM", "K_EULER"]}
        assert schema["required"] == ["prompt"]
        properties = schema["properties"]
        assert properties["prompt"] == {"type": "string", "x-order": 0}
        assert properties["scheduler"] == {
            **enum,
            "description": "The sampler",
            "default": "K_EULER",
            "x-order": 1,
        }
        assert properties["others"]["items"] == {**enum, "description": "An enumeration."}
        assert properties["maybe"]["anyOf"][0]["enum"] == ["DDIM", "K_EULER"]
        assert problems(schema, {"prompt": "x", "scheduler": "PNDM"}) == [
            (
                "enum",
                "input.scheduler",
                'scheduler must be one of the following: "DDIM", "K_EULER"',
            )
        ]

    @pytest.mark.parametrize(
        "schema",
        [
            None,
            7,
            [],
            {},
            {"components": []},
            {"components": {"schemas": None}},
            openapi(),
            openapi(Input=None),
            openapi(Input={"$ref": "#/components/schemas/Input"}),
            openapi(Input={"allOf": [{"$ref": "#/components/schemas/Input"}] * 10}),
            openapi(Input={"$ref": "https://example.com/schema.json"}),
            openapi(Input={"$ref": ["x"], "allOf": {"type": "string"}}),
        ],
    )
    def test_a_useless_schema_checks_nothing(self, schema: object) -> None:
        assert input_schema_of(schema) == {}

    @pytest.mark.parametrize(
        ("output", "shape"),
        [
            ({"type": "array", "items": {"type": "string", "format": "uri"}}, "array"),
            ({"type": "string", "format": "uri"}, "string"),
            ({"$ref": "#/components/schemas/List"}, "array"),
            ({"type": "object"}, "string"),
            ({}, "string"),
            (None, "string"),
        ],
    )
    def test_output_shape(self, output: object, shape: str) -> None:
        assert output_shape_of(openapi(Output=output, List={"type": "array"})) == shape
        assert output_shape_of(None) == "string"


ENTRY: dict[str, Any] = {
    "model": "acme/portrait",
    "tasks": ["text-to-image"],
    "official": False,
    "version": VERSION,
    "input_schema": SCHEMA,
    "output": "string",
    "typical_seconds": 4,
    "price": {"unit": "image", "usd": 0.01},
}


class TestModel:
    def test_reads_an_entry(self) -> None:
        model = Model.from_dict(
            {
                **ENTRY,
                "known_versions": ["0" * 64],
                "version_aliases": {"f" * 64: "old"},
                "deadline_seconds": 600,
                "description": "Portraits",
                "price_note": "Agreed",
            }
        )
        assert (model.model, model.version, model.official) == ("acme/portrait", VERSION, False)
        assert model.typical_seconds == 4.0
        assert model.known_versions == ("0" * 64,)
        assert model.version_aliases == {"f" * 64: "old"}
        assert (model.deadline_seconds, model.output) == (600, "string")

    def test_what_may_be_left_out(self) -> None:
        model = Model.from_dict(ENTRY)
        assert (model.known_versions, model.version_aliases) == ((), {})
        assert (model.deadline_seconds, model.description) == (None, "")
        official = Model.from_dict({**ENTRY, "official": True, "version": None})
        assert official.version is None

    @pytest.mark.parametrize("name", sorted(ENTRY.keys() - {"version"}))
    def test_what_may_not(self, name: str) -> None:
        with pytest.raises(InvalidModelError, match=f"field '{name}' is missing"):
            Model.from_dict({key: value for key, value in ENTRY.items() if key != name})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("model", "portrait"),
            ("model", "Acme/Portrait"),
            ("model", "../portrait"),
            ("model", "acme/portrait\n"),
            ("model", None),
            ("tasks", []),
            ("tasks", [""]),
            ("tasks", ["text-to-image", 1]),
            ("task", ""),
            ("official", "yes"),
            ("version", "latest"),
            ("version", VERSION.upper()),
            ("version", 7),
            ("input_schema", []),
            ("input_schema", {"type": "object"}),
            ("output", "file"),
            ("output", ["array"]),
            ("typical_seconds", 0),
            ("typical_seconds", "4"),
            ("typical_seconds", True),
            ("price", 0.01),
            ("price", {"unit": "image"}),
            ("price", {"unit": "picture", "usd": 0.01}),
            ("price", {"unit": ["image"], "usd": 0.01}),
            ("price", {"unit": "image", "usd": -0.01}),
            ("price", {"unit": "image", "usd": "0.01"}),
            ("price", {"unit": "image", "usd": 0.01, "currency": "EUR"}),
            ("description", None),
            ("most_pixels", []),
            ("counts", 1),
            ("pictures", "image"),
            ("pictures", [1]),
            ("mask", None),
            ("mask_repaints", "grey"),
            ("status", "deprecated"),
            ("status", {"state": "deprecated"}),
            ("status", {"state": "retired", "as_of": "2026-11-30"}),
            ("status", {"state": "deprecated", "as_of": "today"}),
            ("status", {"state": "deprecated", "as_of": "2026-11-30", "successor": "x"}),
            ("sources", []),
            ("sources", {"output": {"from": "x", "date": "2026-11-30"}}),
            ("sources", {"price": {"from": "x"}}),
            ("sources", {"price": {"from": 1, "date": "2026-11-30"}}),
            ("sources", {"price": {"from": "x", "date": "2026"}}),
            ("confidence", {"price": "sure"}),
            ("confidence", {"taste": "high"}),
            ("price_note", 1),
            ("known_versions", "0" * 64),
            ("known_versions", ["latest"]),
            ("version_aliases", ["f" * 64]),
            ("version_aliases", {"latest": "note"}),
            ("version_aliases", {"f" * 64: None}),
            ("deadline_seconds", 0),
            ("deadline_seconds", True),
            ("deadline_seconds", 1.5),
        ],
    )
    def test_refuses_and_names_the_field(self, name: str, value: object) -> None:
        with pytest.raises(InvalidModelError, match=f"field '{name}' must be"):
            Model.from_dict({**ENTRY, name: value})

    @pytest.mark.parametrize("changes", [{"pictures": ["img"]}, {"mask": "img"}])
    def test_pictures_and_mask_are_inputs(self, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidModelError, match="input_schema has no input 'img'"):
            Model.from_dict({**ENTRY, **changes})

    def test_the_older_name_of_the_tasks_stands_alone(self) -> None:
        with pytest.raises(InvalidModelError, match="older name of 'tasks'"):
            Model.from_dict({**ENTRY, "task": "text-to-image"})

    @pytest.mark.parametrize("data", [None, [], "x", 7])
    def test_refuses_what_is_no_object(self, data: object) -> None:
        with pytest.raises(InvalidModelError, match="JSON object"):
            Model.from_dict(data)

    def test_refuses_a_misspelt_field(self) -> None:
        with pytest.raises(InvalidModelError, match="unknown field 'dead_line'"):
            Model.from_dict({**ENTRY, "dead_line": 5})

    @pytest.mark.parametrize(
        "changes",
        [
            {"official": True},
            {"version": None},
            {"official": True, "version": None, "version_aliases": {"f" * 64: "old"}},
        ],
    )
    def test_a_version_belongs_to_a_model_that_is_run_by_version(
        self, changes: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidModelError, match="pinned version"):
            Model.from_dict({**ENTRY, **changes})


@pytest.mark.parametrize(
    ("output", "files"),
    [
        ({"type": "string", "format": "uri"}, True),
        ({"type": "array", "items": {"type": "string", "format": "uri"}}, True),
        ({"type": "object", "properties": {"image": {"format": "uri"}}}, True),
        ({"anyOf": [{"type": "string"}, {"format": "uri"}]}, True),
        ({"type": "string"}, False),
        ({"type": "array", "items": {"type": "string"}}, False),
        (None, False),
    ],
)
def test_whether_a_versions_output_is_files(output: Any, files: bool) -> None:
    assert makes_files({"components": {"schemas": {"Output": output}}}) is files


def test_an_output_that_is_nested_without_end_is_no_file() -> None:
    deep: dict[str, Any] = {"format": "uri"}
    for _ in range(200):
        deep = {"items": deep}
    assert not makes_files({"components": {"schemas": {"Output": deep}}})


@pytest.mark.parametrize(("task", "files"), [("text", False), ("text-to-image", True)])
def test_a_catalogue_model_makes_files_unless_its_task_is_text(task: str, files: bool) -> None:
    packaged = Path(catalog.__file__).parent / "black-forest-labs--flux-schnell.json"
    entry = json.loads(packaged.read_text())
    assert Model.from_dict({**entry, "tasks": [task]}).makes_files is files
    del entry["tasks"]
    older = Model.from_dict({**entry, "task": task})
    assert (older.tasks, older.makes_files) == ((task,), files)
