"""Builds a catalogue entry from Replicate's description of a model, and lists later changes.

Replicate's description is untrusted text: it is validated, and nothing in it is executed.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.catalog.entry import read
from darkroom.domain import price, strict_json
from darkroom.domain.checker import as_dict, as_list, as_number, is_secret, unseen, validate_input
from darkroom.domain.model import (
    VERSION,
    Model,
    input_schema_of,
    makes_files,
    output_shape_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MASKS = ("mask", "mask_image")
MAY_COUNT = ("max_images", "n", "n_images", "image_count", "batch_size", "num_samples", "samples")
"""Inputs that may set the number of pictures, which the entry's price then must mention."""
OWN_WORDS = frozenset({"title", "description", "x-order", "example", "examples"})
"""Keywords of an input that do not restrict values. An entry has its own."""
OWN_LIMITS = frozenset(
    {"minItems", "maxItems", "uniqueItems", "multipleOf", "dependentRequired", "anyOf", "oneOf"}
)
"""Limits that Replicate states only in prose, so an entry may have them and its schema does not."""
UNKNOWN_S = 10.0
LONGEST_DESCRIPTION = 300


class EntryRefusedError(Exception):
    """No entry can be created. The text is for the operator."""


@dataclass(frozen=True)
class Described:
    """A model as Replicate describes it."""

    name: str
    official: bool
    version: str | None
    """The version to run. For an official model, the version whose schema this is, if known."""
    input_schema: dict[str, Any]
    output: str
    makes_files: bool
    description: str
    seconds: float | None
    """Duration of its example."""


def described(name: str, body: Mapping[str, Any], pinned: Mapping[str, Any] | None) -> Described:
    """Read the body of GET /v1/models/{name}, and the body of the requested version, if any."""
    version = as_dict(body.get("latest_version")) if pinned is None else pinned
    id_, schema = version.get("id"), version.get("openapi_schema")
    inputs = input_schema_of(schema)
    if not as_dict(inputs.get("properties")):
        raise EntryRefusedError(
            f"Replicate shows no inputs of {name}: it has no version, or its schema is larger or "
            "deeper than Darkroom reads."
        )
    official = body.get("is_official") is True and pinned is None
    known = isinstance(id_, str) and VERSION.fullmatch(id_) is not None
    if not official and not known:
        raise EntryRefusedError(f"Replicate shows no version of {name} that could be pinned.")
    metrics = as_dict(as_dict(body.get("default_example")).get("metrics"))
    taken = as_number(metrics.get("predict_time"))
    return Described(
        name=name,
        official=official,
        version=str(id_) if known else None,
        input_schema=inputs,
        output=output_shape_of(schema),
        makes_files=makes_files(schema),
        description=plain(str(body.get("description") or name))[:LONGEST_DESCRIPTION],
        seconds=max(0.1, round(taken, 1)) if taken is not None and taken > 0 else None,
    )


def entry(found: Described, given: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the catalogue file's content. `given` are fields set by the operator, including the
    price.

    Raises EntryRefusedError if the entry would be invalid, or if Darkroom cannot run the model.
    """
    needed = as_list(found.input_schema.get("required"))
    secrets = [name for name in secret_inputs(found.input_schema) if name in needed]
    if secrets:
        raise EntryRefusedError(
            f"{found.name} needs a secret in its input, {secrets[0]}: Darkroom takes none, since "
            "inputs are stored, shown and sent to webhooks."
        )
    files, today = file_inputs(found.input_schema), datetime.now(UTC).date().isoformat()
    masks = [name for name in MASKS if name in files]
    made = {
        "model": found.name,
        "description": found.description,
        "tasks": _tasks(found, files, masks),
        "official": found.official,
        "version": None if found.official else found.version,
        "known_versions": [found.version] if found.official and found.version else [],
        "output": found.output,
        "typical_seconds": found.seconds or UNKNOWN_S,
        "pictures": [name for name in files if name not in MASKS],
        **({"mask": masks[0]} if masks else {}),
        "sources": {
            "schema": {"from": source, "date": today},
            "price": {"from": "The operator", "date": today},
        },
        "confidence": {"schema": "high", "price": "medium", "seconds": "low"},
        **given,
        "input_schema": found.input_schema,
    }
    check(made)
    return made


def check(made: Mapping[str, Any]) -> Model:
    """Parse the entry like the functions do. Raises EntryRefusedError."""
    try:
        return read(strict_json.loads(json.dumps(made).encode()))
    except ValueError as error:
        raise EntryRefusedError(f"{made['model']} would be no entry: {error}") from None


def prices(texts: Iterable[str]) -> dict[str, Any] | list[dict[str, Any]]:
    """Parse prices given as `unit=usd` or, for everything else, as JSON. Several prices are added
    up."""
    parts: list[Any] = []
    for text in texts:
        if text.lstrip().startswith(("{", "[")):
            found = value("--price", text)
            parts += found if isinstance(found, list) else [found]
            continue
        unit, equals, usd = text.partition("=")
        amount = _number(usd)
        if not equals or unit not in price.UNITS or amount is None:
            raise EntryRefusedError(
                f"--price is unit=usd, of a unit among {', '.join(price.UNITS)}, or the JSON of "
                f"docs/models.md: not {plain(text)!r}"
            )
        parts.append({"unit": unit, "usd": amount})
    return parts[0] if len(parts) == 1 else parts


def value(option: str, text: str) -> Any:
    """Parse JSON from the command line. Raises EntryRefusedError."""
    try:
        return strict_json.loads(text.encode())
    except strict_json.StrictJSONError as error:
        raise EntryRefusedError(f"{option}: {error}") from None


def remarks(made: Mapping[str, Any]) -> Iterator[str]:
    """Yield remarks for the operator: keywords that are not checked, inputs that are rejected, and
    costs that the price may omit."""
    schema = made["input_schema"]
    for place, word in unseen(schema):
        yield f"not checked here, left to Replicate: {word} of {place}"
    for name in secret_inputs(schema):
        yield f"refused where it is given: {name} is a secret"
    properties = as_dict(schema.get("properties"))
    defaults = {
        name: declared["default"]
        for name, declared in properties.items()
        if isinstance(declared, dict) and declared.get("default") is not None
    }
    # Defaults alone need not satisfy conditions on the input as a whole.
    for problem in validate_input({"properties": properties}, defaults):
        yield f"its own defaults are refused: {problem.field}: {problem.description}"
    if "counts" not in made:
        for name in MAY_COUNT:
            if name in properties:
                yield (
                    f"{name} may say how many pictures are made, which the price does not know: "
                    f"""--set 'counts="{name}"'"""
                )


def secret_inputs(schema: Mapping[str, Any]) -> list[str]:
    """Return the inputs that are rejected as secrets."""
    properties = as_dict(schema.get("properties"))
    return [name for name, declared in properties.items() if is_secret(name, declared)]


def file_inputs(schema: Mapping[str, Any]) -> list[str]:
    """Return the inputs that take files: a URI, or a list of URIs."""
    properties = as_dict(schema.get("properties"))
    return [name for name, declared in properties.items() if _takes_uris(declared)]


def _takes_uris(declared: object) -> bool:
    said = as_dict(declared)
    inner = [said.get("items"), *as_list(said.get("anyOf"))]
    return said.get("format") == "uri" or any(_takes_uris(each) for each in inner if each)


def _tasks(found: Described, files: list[str], masks: list[str]) -> list[str]:
    """Guess the tasks from inputs and outputs."""
    if not found.makes_files:
        return ["text"]
    if masks:
        return ["inpainting"]
    needed = set(as_list(found.input_schema.get("required"))) & set(files)
    if needed or "prompt" not in found.input_schema["properties"]:
        return ["image-editing"]
    return ["text-to-image", "image-editing"] if files else ["text-to-image"]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def plain(text: str) -> str:
    """Replace unprintable characters of untrusted text for the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


# What has changed


def changes(ours: Mapping[str, Any], found: Described) -> list[str]:
    """Return the differences between Replicate's description and an entry, one line each."""
    return [*_version_changes(ours, found), *schema_changes(ours["input_schema"], found)]


def _version_changes(ours: Mapping[str, Any], found: Described) -> Iterator[str]:
    known = [ours.get("version"), *ours.get("known_versions", [])]
    if found.version and found.version not in known:
        before = next((each for each in known if each), None)
        yield f"version {before[:8] if before else 'none'} → {found.version[:8]}"
    # An entry may pin a version on purpose.
    if ours["official"] and not found.official:
        yield "no longer official: it is run by its version"
    if ours["output"] != found.output:
        yield f"output {ours['output']} → {found.output}"


def schema_changes(ours: Mapping[str, Any], found: Described) -> Iterator[str]:
    """Yield added and removed inputs, changed values, and a changed list of required inputs."""
    before, after = as_dict(ours.get("properties")), found.input_schema["properties"]
    yield from (f"input {name} is new" for name in after if name not in before)
    yield from (f"input {name} is gone" for name in before if name not in after)
    for name in before:
        if name in after:
            yield from _input_changes(name, as_dict(before[name]), as_dict(after[name]))
    needed, wanted = (
        sorted(map(str, as_list(each.get("required")))) for each in (ours, found.input_schema)
    )
    if needed != wanted:
        yield f"required: {', '.join(needed) or 'none'} → {', '.join(wanted) or 'none'}"


def _input_changes(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for word in dict.fromkeys([*before, *after]):
        if word in OWN_WORDS or (word in OWN_LIMITS and word not in after):
            continue
        if before.get(word) != after.get(word):
            told = (_short(each.get(word)) for each in (before, after))
            yield f"input {name}: {word} {' → '.join(told)}"


def _short(said: object) -> str:
    text = "none" if said is None else json.dumps(said, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:100]}…"


def renewed(ours: Mapping[str, Any], found: Described, source: str) -> dict[str, Any]:
    """Return the entry with Replicate's schema and version. Its own descriptions and limits are
    kept."""
    same = not list(schema_changes(ours["input_schema"], found))
    known = [ours.get("version"), *ours.get("known_versions", [])] if same else []
    version = None if found.official else found.version
    versions = [each for each in dict.fromkeys([found.version, *known]) if each]
    before = as_dict(ours["input_schema"].get("properties"))
    properties = {
        name: _renewed_input(as_dict(before.get(name)), as_dict(declared))
        for name, declared in found.input_schema["properties"].items()
    }
    kept = {k: v for k, v in ours["input_schema"].items() if k in OWN_LIMITS | OWN_WORDS}
    today = datetime.now(UTC).date().isoformat()
    made = {
        **ours,
        "official": found.official,
        "version": version,
        "known_versions": [each for each in versions if each != version],
        "output": found.output,
        "sources": {**ours.get("sources", {}), "schema": {"from": source, "date": today}},
        "input_schema": {**kept, **found.input_schema, "properties": properties},
    }
    if found.official:
        made.pop("version_aliases", None)
    check(made)
    return made


def _renewed_input(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    own = {word: said for word, said in before.items() if word in OWN_WORDS}
    limits = {w: said for w, said in before.items() if w in OWN_LIMITS and w not in after}
    return {**after, **own, **limits}
