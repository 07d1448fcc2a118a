"""A model: its input schema, price and typical duration, and the seed that is drawn for it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from darkroom.domain import price
from darkroom.domain.checker import MAX_SCHEMA_DEPTH, is_a, types_of, validate_input
from darkroom.domain.checker import as_dict as _dict
from darkroom.domain.checker import as_list as _list
from darkroom.domain.checker import as_number as _number
from darkroom.domain.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from random import Random

MODEL_NAME = re.compile(
    r"(?=.{3,200}\Z)[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?/[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
)
VERSION = re.compile(r"[0-9a-f]{64}")
DAY = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]")
LEVELS = ("high", "medium", "low")

_MAX_SCHEMA_NODES = 10_000
_MAX_SEED = 2**31 - 1
_TEXTS = ("!", "!/*")


class InvalidModelError(ValueError):
    """A catalogue entry is invalid. The text names the entry's field."""


@dataclass(frozen=True, slots=True)
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
    def from_dict(cls, data: object) -> Model:
        """Parse a catalogue file's content. Raises InvalidModelError."""
        if not isinstance(data, dict):
            raise InvalidModelError("a catalogue entry is a JSON object")
        unknown = data.keys() - _FIELDS.keys()
        if unknown:
            raise InvalidModelError(f"unknown field {min(unknown)!r}")
        for name, (fits, expected) in _FIELDS.items():
            if name not in data and name in _REQUIRED:
                raise InvalidModelError(f"field {name!r} is missing")
            if name in data and not fits(data[name]):
                raise InvalidModelError(f"field {name!r} must be {expected}")
        try:
            price.check(data)
        except price.InvalidPriceError as error:
            raise InvalidModelError(str(error)) from None
        tasks = _tasks(data)
        named = [*data.get("pictures", ()), *([data["mask"]] if "mask" in data else [])]
        missing = [name for name in named if name not in data["input_schema"]["properties"]]
        if missing:
            raise InvalidModelError(f"input_schema has no input {missing[0]!r}")
        version = data.get("version")
        if data["official"] is (version is not None):
            raise InvalidModelError("an official model has no pinned version, any other has one")
        if version is None and data.get("version_aliases"):
            raise InvalidModelError("version aliases need a pinned version")
        return cls(
            **{
                **{name: value for name, value in data.items() if name != "task"},
                "tasks": tasks,
                "makes_files": "text" not in tasks,
                "output_places": _TEXTS if "text" in tasks else (),
                "pictures": tuple(data.get("pictures", ())),
                "version": version,
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


def _is_versions(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) and VERSION.fullmatch(value) for value in values)


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _tasks(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return `tasks`, or the single `task` of older entries."""
    if "task" in data and "tasks" in data:
        raise InvalidModelError("field 'task' is the older name of 'tasks': keep one of them")
    if "task" not in data and "tasks" not in data:
        raise InvalidModelError("field 'tasks' is missing")
    return tuple(data["tasks"]) if "tasks" in data else (data["task"],)


def _is_status(value: object) -> bool:
    status = _dict(value)
    return (
        {"state", "as_of"} <= status.keys() <= {"state", "as_of", "successor"}
        and status["state"] == "deprecated"
        and _matches(DAY, status["as_of"])
        and _matches(MODEL_NAME, status.get("successor", "owner/name"))
    )


def _is_source(value: object) -> bool:
    source = _dict(value)
    return (
        source.keys() == {"from", "date"}
        and isinstance(source["from"], str)
        and _matches(DAY, source["date"])
    )


def _are_among(values: object, names: set[str], fits: Callable[[Any], bool]) -> bool:
    known = _dict(values)
    return isinstance(values, dict) and known.keys() <= names and all(map(fits, known.values()))


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


_REQUIRED = frozenset({"model", "official", "input_schema", "output", "typical_seconds", "price"})
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (lambda v: isinstance(v, str) and bool(MODEL_NAME.fullmatch(v)), "owner/name"),
    "task": (lambda v: isinstance(v, str) and bool(v), "a text"),
    "tasks": (
        lambda v: isinstance(v, list) and bool(v) and all(v) and _are_texts(v),
        "a list of texts",
    ),
    "official": (lambda v: isinstance(v, bool), "true or false"),
    "version": (lambda v: v is None or _is_versions([v]), "64 hex digits or null"),
    "input_schema": (lambda v: isinstance(_dict(v).get("properties"), dict), "an object schema"),
    "output": (lambda v: v in ("array", "string"), "array or string"),
    "typical_seconds": (lambda v: (_number(v) or 0) > 0, "a number above 0"),
    "price": (
        lambda v: isinstance(v, dict | list),
        "an object of unit and usd, or a list of those",
    ),
    "most_pixels": (lambda v: isinstance(v, dict), "an object of in and out"),
    "counts": (lambda v: isinstance(v, str | dict), "an input's name, or an object"),
    "pictures": (lambda v: isinstance(v, list) and _are_texts(v), "a list of inputs"),
    "mask": (lambda v: isinstance(v, str), "an input's name"),
    "mask_repaints": (lambda v: v in ("white", "black"), "white or black"),
    "status": (_is_status, "an object of state, deprecated, of as_of, a day, and of successor"),
    "sources": (
        lambda v: _are_among(v, {"schema", "price"}, _is_source),
        "an object of schema and price, each of from and date",
    ),
    "confidence": (
        lambda v: _are_among(v, {"schema", "price", "seconds"}, LEVELS.__contains__),
        "an object of schema, price and seconds, each high, medium or low",
    ),
    "description": (lambda v: isinstance(v, str), "a text"),
    "price_note": (lambda v: isinstance(v, str), "a text"),
    "known_versions": (lambda v: isinstance(v, list) and _is_versions(v), "a list of versions"),
    "version_aliases": (
        lambda v: isinstance(v, dict) and _is_versions(v) and _are_texts(v.values()),
        "an object of warnings by version",
    ),
    "deadline_seconds": (
        lambda v: v is None or (isinstance(v, int) and not isinstance(v, bool) and v > 0),
        "a whole number above 0 or null",
    ),
}
