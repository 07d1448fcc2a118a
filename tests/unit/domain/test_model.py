"""Drawing seeds, and reading models and their schemas."""

from __future__ import annotations

import json
from pathlib import Path
from random import SystemRandom
from typing import Any

import pytest
from darkroom import catalog
from darkroom.catalog.entry import read
from darkroom.domain.model import (
    InvalidModelError,
    Model,
    draw_seed,
    fixes_the_result,
    input_schema_of,
    makes_files,
    output_shape_of,
)

from tests.unit.domain.checking import SCHEMA, one, problems

VERSION = "a1" * 32

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

    @pytest.mark.parametrize("default", [1337, 0, 1337.0, "none"])
    def test_the_schemas_own_is_left_alone(self, default: object) -> None:
        schema = {"properties": {"seed": {"type": "integer", "default": default}}}
        assert draw_seed(schema, {"prompt": "x"}, RANDOM) == {"prompt": "x"}
        assert draw_seed(schema, {"seed": -1}, RANDOM)["seed"] > 0
        assert draw_seed(schema, {"seed": 5}, RANDOM) == {"seed": 5}

    @pytest.mark.parametrize("default", [-1, None])
    def test_a_default_that_is_none_asks_for_one(self, default: int | None) -> None:
        schema = {"properties": {"seed": {"type": "integer", "default": default}}}
        assert draw_seed(schema, {}, RANDOM)["seed"] > 0

    @pytest.mark.parametrize("word", [{"multipleOf": 10**10}, {"enum": [-7]}, {"not": {}}])
    def test_is_not_drawn_where_the_schema_would_refuse_it(self, word: dict[str, Any]) -> None:
        schema = {"properties": {"seed": {"type": "integer", **word}}}
        assert draw_seed(schema, {}, RANDOM) == {}

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
        with pytest.raises(InvalidModelError, match=name):
            read({key: value for key, value in ENTRY.items() if key != name})

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
        with pytest.raises(InvalidModelError, match=name):
            read({**ENTRY, name: value})

    @pytest.mark.parametrize("changes", [{"pictures": ["img"]}, {"mask": "img"}])
    def test_pictures_and_mask_are_inputs(self, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidModelError, match="input_schema has no input 'img'"):
            read({**ENTRY, **changes})

    def test_the_older_name_of_the_tasks_stands_alone(self) -> None:
        with pytest.raises(InvalidModelError, match="older name of 'tasks'"):
            read({**ENTRY, "task": "text-to-image"})

    @pytest.mark.parametrize("data", [None, [], "x", 7])
    def test_refuses_what_is_no_object(self, data: object) -> None:
        with pytest.raises(InvalidModelError, match="dictionary"):
            read(data)

    def test_refuses_a_misspelt_field(self) -> None:
        with pytest.raises(InvalidModelError, match="dead_line: Extra"):
            read({**ENTRY, "dead_line": 5})

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
            read({**ENTRY, **changes})


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
