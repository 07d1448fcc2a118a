"""A model: its input schema, price and typical duration, and the seed that is drawn for it."""

from __future__ import annotations

import math
import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal, cast

from darkroom.domain.checker import MAX_SCHEMA_DEPTH, is_a, types_of, validate_input
from darkroom.domain.checker import as_dict as _dict
from darkroom.domain.checker import as_list as _list
from darkroom.domain.checker import as_number as _number
from darkroom.domain.places import Place
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

MODEL_NAME = re.compile(
    r"(?=.{3,200}\Z)[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?/[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
)
VERSION = re.compile(r"[0-9a-f]{64}")

_MAX_SCHEMA_NODES = 10_000
_MAX_SEED = 2**31 - 1
_TEXTS = ("!", "!/*")


class InvalidModelError(ValueError):
    """A catalogue entry is invalid. The text names the entry's field."""


@immutable
class Model:
    """One catalogue entry."""

    model: str
    """owner/name"""
    tasks: tuple[str, ...]
    """Its tasks, the main one first: `text-to-image`, `inpainting`, `text` and others."""
    official: bool
    """Official models are run by name; all others by `version`."""
    version: str | None
    """The pinned version, 64 hex digits; None for an official model."""
    input_schema: dict[str, Any]
    """The `Input` object with its enums inline."""
    output: Literal["array", "string"]
    typical_seconds: float
    price: dict[str, Any] | list[dict[str, Any]] | None = None
    """In the form of `domain.price`; None if unknown, as for a model outside the catalogue."""
    most_pixels: dict[str, Any] = field(default_factory=dict)
    """Size limits of one picture, `in` and `out`."""
    counts: str | dict[str, Any] | None = None
    """The input that sets the number of pictures. If it does so only for certain values of other
    inputs: `{"input": name, "where": {name: value}}`."""
    pictures: tuple[str, ...] = ()
    """Inputs that take one picture or a list of pictures, or their URLs, without the mask."""
    mask: str | None = None
    mask_repaints: Literal["white", "black"] | None = None
    """The part of the mask that is repainted."""
    status: dict[str, str] = field(default_factory=dict)
    """`{"state": "deprecated", "as_of": day}` and the `successor`, if known; empty for a model that
    is not deprecated."""
    sources: dict[str, Any] = field(default_factory=dict)
    """Sources of `schema` and `price`: `from`, the place, and the `date` of reading."""
    confidence: dict[str, str] = field(default_factory=dict)
    """Confidence in `schema`, `price` and `seconds`: high, medium or low."""
    description: str = ""
    price_note: str = ""
    known_versions: tuple[str, ...] = ()
    """Versions that share `input_schema`, besides the pinned one."""
    version_aliases: dict[str, str] = field(default_factory=dict)
    """Warning for clients by the hash of a version that is replaced by `version`."""
    deadline_seconds: int | None = None
    makes_files: bool = True
    """Whether its output is files; in the catalogue, for every task but `text`."""
    output_places: tuple[str, ...] = ()
    """Places of files and of text in its output, in the form of `Prediction.output_places`."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Model:
        """Read a catalogue file's content. It is an entry: `catalog.entry` has checked that before
        it got into the asset."""
        tasks = tuple(data["tasks"]) if "tasks" in data else (data["task"],)
        return cls(
            **{
                **{name: value for name, value in data.items() if name != "task"},
                "tasks": tasks,
                "makes_files": "text" not in tasks,
                "output_places": _TEXTS if "text" in tasks else (),
                "pictures": tuple(data.get("pictures", ())),
                "version": data.get("version"),
                "known_versions": tuple(data.get("known_versions", ())),
                "typical_seconds": float(data["typical_seconds"]),
            }
        )


def draw_seed(schema: Mapping[str, Any], value: dict[str, Any], random: Random) -> dict[str, Any]:
    """Return the input with a seed, drawn if the model takes an integer seed and none was given.

    None is drawn if the schema has a default. A negative seed, given or by default, means "draw
    one", whatever the schema's range is. A drawn seed is between 1 and 2**31 - 1 and within that
    range, because some models draw their own for 0.
    """
    seed = _dict(_dict(schema.get("properties")).get("seed"))
    branches = [seed, *map(_dict, _list(seed.get("anyOf")))]
    if not any("integer" in types_of(b) for b in branches):
        return value
    alone = {"properties": {"seed": seed}}
    given = value.get("seed", seed.get("default"))
    if given is None:
        # A null that the schema does not allow is reported, like any wrong value.
        wanted = "seed" not in value or not validate_input(alone, {"seed": None})
    else:
        wanted = is_a(given, "integer") and given < 0
    low, high = _number(seed.get("minimum")), _number(seed.get("maximum"))
    first = 1 if low is None else max(1, math.ceil(low))
    last = _MAX_SEED if high is None else min(_MAX_SEED, math.floor(high))
    if not wanted or first > last:
        return value
    drawn = {"seed": random.randint(first, last)}
    # The schema may restrict it beyond its range, and the client did not ask for a seed.
    return value if validate_input(alone, drawn) else {**value, **drawn}


def fixes_the_result(seed: object) -> bool:
    """Whether a request with this seed asks for the same result each time.

    Not if a model may draw one instead: all models do for a negative seed, some for 0.
    """
    return seed is not None and not (is_a(seed, "number") and cast("float", seed) <= 0)


def input_schema_of(openapi_schema: object) -> dict[str, Any]:
    """Return the `Input` object of a version's OpenAPI schema, references resolved, enums inline.

    Never raises: parts that are missing, cyclic, too deep or too large become `{}`, which checks
    nothing.
    """
    resolved = _resolve(
        {"$ref": "#/components/schemas/Input"},
        _component_schemas(openapi_schema),
        iter(range(_MAX_SCHEMA_NODES)),
        0,
    )
    return cast("dict[str, Any]", resolved)


def output_shape_of(openapi_schema: object) -> Literal["array", "string"]:
    """Return `array` if the version's output is a list; everything else counts as `string`."""
    return "array" if "array" in types_of(_dict(_output(openapi_schema))) else "string"


def makes_files(openapi_schema: object) -> bool:
    """Whether the version's output is declared as URIs, alone, in a list, or in an object."""
    return _has_uri(_output(openapi_schema))


def _output(openapi_schema: object) -> object:
    schemas = _component_schemas(openapi_schema)
    steps = iter(range(_MAX_SCHEMA_NODES))
    return _resolve({"$ref": "#/components/schemas/Output"}, schemas, steps, 0)


def _has_uri(schema: object) -> bool:
    """Whether a resolved schema, whose depth is bounded, has a URI anywhere."""
    known = _dict(schema)
    if known.get("format") == "uri":
        return True
    inner = [known.get("items"), known.get("additionalProperties")]
    inner += _dict(known.get("properties")).values()
    inner += [each for name in ("anyOf", "allOf", "oneOf") for each in _list(known.get(name))]
    return any(_has_uri(each) for each in inner if each is not None)


def output_places_of(openapi_schema: object) -> tuple[str, ...]:
    """Return the places of files and of text in the version's output, like
    `Prediction.output_places`."""
    patterns = Place([_output(openapi_schema)]).patterns()
    return () if patterns in {("",), ("/*",)} else patterns


def choices(schema: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Return the strings of each enum in an input schema, by the input's name."""
    found = {}
    for name, declared in _dict(schema.get("properties")).items():
        texts = {text for text in _list(_dict(declared).get("enum")) if isinstance(text, str)}
        if texts:
            found[name] = frozenset(texts)
    return found


def _component_schemas(openapi_schema: object) -> dict[str, Any]:
    return _dict(_dict(_dict(openapi_schema).get("components")).get("schemas"))


_REFERENCE = "#/components/schemas/"


def _resolve(node: object, schemas: dict[str, Any], budget: Iterator[int], depth: int) -> object:
    if depth > MAX_SCHEMA_DEPTH or next(budget, None) is None:
        return {}
    if isinstance(node, list):
        return [_resolve(item, schemas, budget, depth + 1) for item in node]
    if not isinstance(node, dict):
        return node
    merged = {key: value for key, value in node.items() if key not in {"$ref", "allOf"}}
    inherited = [item for item in _list(node.get("allOf")) if isinstance(item, dict)]
    if isinstance(node.get("$ref"), str):
        inherited.append(_dict(schemas.get(node["$ref"].removeprefix(_REFERENCE))))
    resolved = {key: _resolve(value, schemas, budget, depth + 1) for key, value in merged.items()}
    for item in inherited:
        # The reference's own keywords (default, description, x-order) take precedence over its
        # target.
        for key, value in _dict(_resolve(item, schemas, budget, depth + 1)).items():
            resolved.setdefault(key, value)
    return resolved
