"""Which places of a value hold files, and which hold text, by its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FILE, _TEXT = "file", "text"
_NOTHING: frozenset[str] = frozenset()
_BRANCHES = ("allOf", "anyOf", "oneOf")

MOST_PATTERNS = 100
"""Places of an output that are told apart; what is beyond counts as not described."""
DEEPEST = 8
"""Levels of a value in which files are looked for."""
ITEM, VALUE = "*", "{}"
"""Stand in a pattern for any item of a list, and for any value of an object that has no name."""
NO_FILE = "!"
"""Begins the pattern of a place that holds text."""

_UNNAMED = "\0"
"""A key that no object has."""


class Place:
    """One place in a value, with all that a schema may say of it.

    The schema is resolved: references are followed, its depth is bounded. What is not understood
    in it says nothing.
    """

    __slots__ = ("_alternatives", "_inside", "holds_files")

    def __init__(self, schemas: Iterable[object]) -> None:
        known = [schema for schema in schemas if isinstance(schema, dict)]
        self._alternatives = [each for schema in known for each in _alternatives(schema)]
        self._inside: dict[str | None, Place] = {}
        kinds = _NOTHING.union(*map(_kinds, known))
        self.holds_files = None if len(kinds) != 1 else kinds == {_FILE}
        """Whether a text here is a file; None where the schema allows both, or does not say."""

    def inside(self, key: str | None) -> Place:
        """The place of an object's value by its key; None: of any item of a list."""
        found = self._inside.get(key)
        if found is None:
            schemas = list(self._within(key))
            if not schemas:
                # Not kept: a value from outside may have any number of unknown keys.
                return NOWHERE
            found = self._inside[key] = Place(schemas)
        return found

    def patterns(self) -> tuple[str, ...]:
        """This place and those below it, as JSON pointers with `*` and `{}`, and with `!` before
        those of text.

        They say of a value what the schema says, where the schema itself cannot be kept.
        """
        found: list[str] = []
        for path, place in _walk(self, "", 0):
            if len(found) == MOST_PATTERNS:
                break
            if place.holds_files is not None:
                found.append(path if place.holds_files else NO_FILE + path)
        return tuple(found)

    def steps(self) -> Iterator[tuple[str, Place]]:
        """The places right below this one, each with its step of a pattern."""
        names: dict[str, None] = {}
        for schema in self._alternatives:
            names |= dict.fromkeys(_mapping(schema.get("properties")))
        named = [(name, escape(name)) for name in names if name not in {ITEM, VALUE}]
        # What is named comes first: it says more than `{}` does.
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
    """The schema and all that it may mean or means besides."""
    yield schema
    for name in _BRANCHES:
        for branch in _branches(schema, name):
            yield from _alternatives(branch)


def _kinds(schema: Mapping[str, Any]) -> frozenset[str]:
    """What a text may be by this schema: a file, a plain text, both; nothing where it is none."""
    if schema.get("format") == "uri":
        return frozenset({_FILE})
    every = [_kinds(branch) for branch in _branches(schema, "allOf")]
    either = ("anyOf", "oneOf")
    every += [_NOTHING.union(*map(_kinds, _branches(schema, name))) for name in either]
    said = [kinds for kinds in every if kinds]
    if frozenset({_FILE}) in said:
        # All of these hold at once, and a file is the narrower word.
        return frozenset({_FILE})
    if said:
        return _NOTHING.union(*said)
    declared = schema.get("type")
    types = declared if isinstance(declared, list) else [declared]
    return frozenset({_TEXT}) if "string" in types else _NOTHING


def escape(part: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def said_by(patterns: Iterable[str], path: tuple[str | int, ...]) -> bool | None:
    """What the patterns say of the text at this path, an integer for an index: whether it is a
    file, or None."""
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
"""A place of which nothing is said."""
