"""The places of a value that contain files, and those that contain text, by its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FILE, _TEXT = "file", "text"
_NOTHING: frozenset[str] = frozenset()
_BRANCHES = ("allOf", "anyOf", "oneOf")

MOST_PATTERNS = 100
"""Maximum number of described places in an output; further ones count as not described."""
DEEPEST = 8
"""Maximum depth at which files are found in a value."""
ITEM, VALUE = "*", "{}"
"""Steps of a pattern for any item of a list, and for any other value of an object."""
NO_FILE = "!"
"""Prefix of the pattern of a place with text."""

_UNNAMED = "\0"
"""A key that no object has."""


class Place:
    """One place in a value, with all schemas that may describe it.

    The schemas are resolved: references are followed, and their depth is bounded. Unknown keywords
    are ignored.
    """

    __slots__ = ("_alternatives", "_inside", "holds_files")

    def __init__(self, schemas: Iterable[object]) -> None:
        known = [schema for schema in schemas if isinstance(schema, dict)]
        self._alternatives = [each for schema in known for each in _alternatives(schema)]
        self._inside: dict[str | None, Place] = {}
        kinds = _NOTHING.union(*map(_kinds, known))
        self.holds_files = None if len(kinds) != 1 else kinds == {_FILE}
        """Whether a string here is a file; None if the schema allows both, or does not say."""

    def inside(self, key: str | None) -> Place:
        """Return the place of an object's value by its key; with None, the place of any list
        item."""
        found = self._inside.get(key)
        if found is None:
            schemas = list(self._within(key))
            if not schemas:
                # Not cached, because a value from outside may have any number of unknown keys.
                return NOWHERE
            found = self._inside[key] = Place(schemas)
        return found

    def patterns(self) -> tuple[str, ...]:
        """Return this place and those below it as JSON pointers with `*` and `{}`, with a prefix
        `!` for text.

        They describe a value like the schema does, where the schema itself cannot be stored.
        """
        found: list[str] = []
        for path, place in _walk(self, "", 0):
            if len(found) == MOST_PATTERNS:
                break
            if place.holds_files is not None:
                found.append(path if place.holds_files else NO_FILE + path)
        return tuple(found)

    def steps(self) -> Iterator[tuple[str, Place]]:
        """Yield the places directly below this one, each with its step in a pattern."""
        names: dict[str, None] = {}
        for schema in self._alternatives:
            names |= dict.fromkeys(_mapping(schema.get("properties")))
        named = [(name, escape(name)) for name in names if name not in {ITEM, VALUE}]
        # Named places come first, since they are more specific than `{}`.
        for key, step in (*named, (_UNNAMED, VALUE), (None, ITEM)):
            place = self.inside(key)
            if place is not NOWHERE:
                yield step, place

    def _within(self, key: str | None) -> Iterator[object]:
        for schema in self._alternatives:
            if key is None:
                yield schema.get("items")
                continue
            properties = _mapping(schema.get("properties"))
            yield properties[key] if key in properties else schema.get("additionalProperties")


def _walk(place: Place, path: str, depth: int) -> Iterator[tuple[str, Place]]:
    yield path, place
    if depth < DEEPEST:
        for step, inner in place.steps():
            yield from _walk(inner, f"{path}/{step}", depth + 1)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _branches(schema: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    branches = schema.get(name)
    return [b for b in branches if isinstance(b, dict)] if isinstance(branches, list) else []


def _alternatives(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schema and all schemas combined with it."""
    yield schema
    for name in _BRANCHES:
        for branch in _branches(schema, name):
            yield from _alternatives(branch)


def _kinds(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the possible kinds of a string by this schema: file, text, or both; empty if no
    string."""
    if schema.get("format") == "uri":
        return frozenset({_FILE})
    every = [_kinds(branch) for branch in _branches(schema, "allOf")]
    either = ("anyOf", "oneOf")
    every += [_NOTHING.union(*map(_kinds, _branches(schema, name))) for name in either]
    said = [kinds for kinds in every if kinds]
    if frozenset({_FILE}) in said:
        # All of these apply at once, and a file is the narrower kind.
        return frozenset({_FILE})
    if said:
        return _NOTHING.union(*said)
    declared = schema.get("type")
    types = declared if isinstance(declared, list) else [declared]
    return frozenset({_TEXT}) if "string" in types else _NOTHING


def escape(part: str) -> str:
    """Escape one step of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def said_by(patterns: Iterable[str], path: tuple[str | int, ...]) -> bool | None:
    """Return whether the patterns describe the string at this path as a file, or None. An integer
    in the path is an index."""
    for pattern in patterns:
        holds_file = not pattern.startswith(NO_FILE)
        steps = pattern.removeprefix(NO_FILE).split("/")[1:]
        if len(steps) == len(path) and all(map(_fits, steps, path)):
            return holds_file
    return None


def _fits(step: str, key: str | int) -> bool:
    if isinstance(key, int):
        return step == ITEM
    return step in {VALUE, escape(key)}


NOWHERE = Place(())
"""A place without any description."""
