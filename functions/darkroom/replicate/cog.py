"""A catalogue model in the form in which the provider publishes it: model, versions, schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.domain.model import Model

COG_VERSION = "0.9.5"
"""Clients parse it: from 0.3.9 on they treat an array as a list, not as a stream of pieces."""

PUBLISHED_AT = "1970-01-01T00:00:00.000000Z"
"""The catalogue does not know the date of publication, and clients require a time."""

HIDDEN = "hidden"
"""Replicate's own value for the version of an official model."""

_OUTPUT_FILE = {"type": "string", "format": "uri"}
_RESERVED = frozenset({"Input", "Output"})


def model_body(model: Model) -> dict[str, Any]:
    """Return the body of `GET /v1/models/{owner}/{name}`."""
    owner, _, name = model.model.partition("/")
    return {
        "url": f"https://replicate.com/{model.model}",
        "owner": owner,
        "name": name,
        "description": model.description,
        "visibility": "public",
        "is_official": model.official,
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 0,
        "cover_image_url": None,
        # If it is not null, clients parse it as a prediction.
        "default_example": None,
        "latest_version": version_body(latest_version(model), openapi_schema(model)),
        "created_at": PUBLISHED_AT,
    }


def version_body(id_: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the body of `GET …/versions/{id}`, without nulls, which break Python's client 1.x."""
    return {
        "id": id_,
        "created_at": PUBLISHED_AT,
        "cog_version": COG_VERSION,
        "openapi_schema": schema,
    }


def latest_version(model: Model) -> str:
    """Return the pinned version, or the known version of an official model."""
    return model.version or next(iter(model.known_versions), HIDDEN)


def version_ids(model: Model) -> list[str]:
    """Return the versions to choose from, the pinned one first.

    Empty for an official model, which tells clients to run it by name.
    """
    if model.official:
        return []
    return list(dict.fromkeys([latest_version(model), *model.known_versions]))


def openapi_schema(model: Model) -> dict[str, Any]:
    """Return the version's schema as Cog publishes it, each enum as a separate component.

    `input_schema_of` and `output_shape_of` parse it again.
    """
    components: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, declared in model.input_schema["properties"].items():
        properties[name] = declared
        if isinstance(declared, dict) and "enum" in declared and name not in _RESERVED:
            moved = {key: declared[key] for key in ("enum", "type") if key in declared}
            components[name] = {**moved, "title": name, "description": "An enumeration."}
            kept = {key: value for key, value in declared.items() if key not in moved}
            properties[name] = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], **kept}
    components["Input"] = {**model.input_schema, "properties": properties}
    many = {"type": "array", "items": _OUTPUT_FILE}
    components["Output"] = {
        **(many if model.output == "array" else _OUTPUT_FILE),
        "title": "Output",
    }
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {},
        "components": {"schemas": components},
    }
