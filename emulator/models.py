"""The models that the emulator serves: Darkroom's catalogue and a few of its own."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import darkroom.catalog

from emulator.bill import check_price, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CATALOGUE = Path(darkroom.catalog.__file__).parent
HIDDEN = "hidden"
COUNTS = ("num_outputs", "num_images", "number_of_images")
"""Inputs that set the number of pictures, if an entry names none."""
FORMATS = {
    "bytedance/seedream-4.5": "jpg",
    "recraft-ai/recraft-crisp-upscale": "webp",
    "recraft-ai/recraft-v4": "webp",
}
"""Default format of models without a format input, if not png."""
CREATED_AT = "2024-08-01T00:00:00.000000Z"

STREAM_TEXT: dict[str, Any] = {
    "model": "emulator/stream-text",
    "tasks": ["text"],
    "official": False,
    "version": hashlib.sha256(b"emulator/stream-text").hexdigest(),
    "description": "Writes a few words about the prompt, one at a time.",
    "input_schema": {
        "type": "object",
        "title": "Input",
        "required": ["prompt"],
        "properties": {
            "prompt": {"type": "string", "title": "Prompt", "x-order": 0},
            "max_tokens": {
                "type": "integer",
                "title": "Max Tokens",
                "default": 24,
                "minimum": 1,
                "maximum": 512,
                "x-order": 1,
            },
        },
    },
    "output": "text",
    "typical_seconds": 2,
}


@dataclass(frozen=True)
class Model:
    """One model. All its versions share one schema here."""

    owner: str
    name: str
    description: str
    official: bool
    version: str
    """The hash shown as the latest version; invented for an official model that names none."""
    versions: frozenset[str]
    input_schema: dict[str, Any]
    output: str
    """`array` or `string` of pictures, or `text`, which is streamed."""
    typical_seconds: float
    price: dict[str, Any] | list[dict[str, Any]] | None
    """The catalogue's price; None if unknown."""
    tasks: frozenset[str]
    pictures: tuple[str, ...]
    """Inputs that take one picture or a list of pictures, without the mask."""
    mask: str | None
    mask_repaints: str
    """`white` or `black`: the part of the mask that is repainted."""
    counts: dict[str, Any]
    """`input`, the one that sets the number of pictures, and `where`, the condition for it."""
    most_pixels: dict[str, Any]
    """Limits for one picture, `in` and `out`, as numbers or tables by an input's value."""

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def draws_at_zero(self) -> bool:
        """Whether a seed of 0 means "draw one", because the model's code tests the seed for
        truth."""
        return self.owner == "black-forest-labs"

    @property
    def shown_version(self) -> str | None:
        """Return the version that predictions show instead of the real one; None to show the real
        one."""
        return HIDDEN if self.official else None

    def with_defaults(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the input with the model's defaults; properties without a default stay absent."""
        properties = self.input_schema.get("properties", {})
        defaults = {name: p["default"] for name, p in properties.items() if "default" in p}
        return defaults | given

    def known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs that the model reads: without nulls and without unknown names."""
        properties = self.input_schema.get("properties", {})
        return {n: value for n, value in values.items() if n in properties and value is not None}

    def seen(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the input that the model works with."""
        return self.with_defaults(self.known(values))

    def has(self, name: str) -> bool:
        """Whether the model has this input."""
        return name in self.input_schema.get("properties", {})

    def count(self, values: Mapping[str, Any]) -> int:
        """Return the number of pictures for this input. A series has its maximum length."""
        where = self.counts.get("where", {})
        if any(values.get(name) != wanted for name, wanted in where.items()):
            return 1
        asked = values.get(self.counts.get("input", ""))
        return int(asked) if isinstance(asked, int | float) else 1

    def most_pixels_in(self, values: Mapping[str, Any]) -> float:
        """Return the limit for each input picture."""
        return _chosen(self.most_pixels.get("in"), values)

    def most_pixels_out(self, values: Mapping[str, Any]) -> float:
        """Return the limit for each output picture."""
        return _chosen(self.most_pixels.get("out"), values)

    @property
    def default_format(self) -> str:
        """Return the format of its pictures if no input sets it."""
        return "svg" if self.name.endswith("-svg") else FORMATS.get(self.full_name, "png")

    def openapi_schema(self) -> dict[str, Any]:
        """Return the schema as Cog publishes it, with every enum as a separate component."""
        components: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        for name, declared in self.input_schema.get("properties", {}).items():
            shown = {key: value for key, value in declared.items() if key not in ("enum", "type")}
            if "enum" in declared:
                components[name] = {
                    "enum": declared["enum"],
                    "type": declared.get("type", "string"),
                    "title": name,
                    "description": "An enumeration.",
                }
                shown.pop("title", None)
                properties[name] = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], **shown}
            else:
                properties[name] = declared
        components["Input"] = {**self.input_schema, "properties": properties}
        components["Output"] = _output_schema(self.output)
        return {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "paths": {},
            "components": {"schemas": components},
        }

    def version_view(self, version: str | None = None) -> dict[str, Any]:
        """Return the body of the version routes."""
        return {
            "id": version or self.version,
            "created_at": CREATED_AT,
            "cog_version": "0.9.5",
            "openapi_schema": self.openapi_schema(),
        }

    def view(self, run_count: int) -> dict[str, Any]:
        """Return the body of the model routes."""
        return {
            "url": f"https://replicate.com/{self.full_name}",
            "owner": self.owner,
            "name": self.name,
            "description": self.description,
            "visibility": "public",
            "is_official": self.official,
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": run_count,
            "cover_image_url": None,
            "default_example": None,
            "latest_version": self.version_view(),
            "created_at": CREATED_AT,
        }


def _output_schema(output: str) -> dict[str, Any]:
    if output == "text":
        return {
            "type": "array",
            "items": {"type": "string"},
            "title": "Output",
            "x-cog-array-type": "iterator",
            "x-cog-array-display": "concatenate",
        }
    file: dict[str, Any] = {"type": "string", "format": "uri"}
    return {**file, "title": "Output"} if output == "string" else _list_of(file)


def _chosen(amount: Any, values: Mapping[str, Any]) -> float:
    """Return a number, or the one that an input selects in a table; no limit if neither is
    known."""
    if isinstance(amount, dict) and "by" in amount:
        key = named(values.get(amount["by"]))
        return _chosen(amount["pixels"].get(key, amount["pixels"].get("*")), values)
    return float(amount) if isinstance(amount, int | float) else math.inf


def _pictures(properties: dict[str, Any], mask: str | None) -> tuple[str, ...]:
    """Return the inputs that take files, alone or in lists, for entries that do not name them."""
    return tuple(
        name
        for name, declared in properties.items()
        if "uri" in (declared.get("format"), declared.get("items", {}).get("format"))
        and name != mask
    )


def _list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "title": "Output"}


def read_model(entry: dict[str, Any]) -> Model:
    """Build a model from an entry in the form of Darkroom's catalogue. Raises ValueError."""
    check_price(entry)
    owner, _, name = entry["model"].partition("/")
    known = entry.get("known_versions", [])
    made_up = hashlib.sha256(entry["model"].encode()).hexdigest()
    version = entry.get("version") or next(iter(known), made_up)
    properties = entry["input_schema"].get("properties", {})
    mask = entry.get("mask", "mask" if "mask" in properties else None)
    counts = entry.get("counts") or next((each for each in COUNTS if each in properties), None)
    return Model(
        owner=owner,
        name=name,
        description=entry.get("description", ""),
        official=bool(entry["official"]),
        version=version,
        versions=frozenset({version, *known}),
        input_schema=entry["input_schema"],
        output=entry["output"],
        typical_seconds=float(entry["typical_seconds"]),
        price=entry.get("price"),
        tasks=frozenset(entry.get("tasks") or [entry.get("task", "text-to-image")]),
        pictures=tuple(entry.get("pictures") or _pictures(properties, mask)),
        mask=mask,
        mask_repaints=entry.get("mask_repaints", "white"),
        counts=counts if isinstance(counts, dict) else {"input": counts},
        most_pixels=entry.get("most_pixels", {}),
    )


class Models:
    """Finds a model by any of the three forms of a version reference."""

    def __init__(self, extra: Iterable[dict[str, Any]] = ()) -> None:
        files = sorted(CATALOGUE.glob("*--*.json"))
        entries = [json.loads(file.read_text("utf-8")) for file in files]
        self.all = [read_model(entry) for entry in (*entries, STREAM_TEXT, *extra)]
        self._by_name = {model.full_name: model for model in self.all}
        self._by_version = {version: model for model in self.all for version in model.versions}

    def named(self, owner: str, name: str) -> Model | None:
        """Return the model with this name, or None."""
        return self._by_name.get(f"{owner}/{name}")

    def resolve(self, reference: str) -> tuple[Model, str] | None:
        """Return model and version hash for `owner/name` (official models only), `owner/name:hash`,
        or `hash`.

        Darkroom's aliases are unknown here, as they are upstream.
        """
        name, colon, version = reference.partition(":")
        if not colon and "/" in name:
            model = self._by_name.get(name)
            return (model, model.version) if model and model.official else None
        version = version if colon else name
        model = self._by_version.get(version)
        if model is None or (colon and model.full_name != name):
            return None
        return model, version
