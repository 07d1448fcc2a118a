"""Names in an input that its model's schema does not declare. The provider ignores them, and the
run is billed anyway."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from darkroom.domain.checker import (
    BRANCHES,
    MAX_PROBLEMS,
    MAX_SCHEMA_DEPTH,
    InvalidField,
    as_dict,
    as_list,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_WARNED = 3
"""Maximum number of names in one warning."""

_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,60}")
"""A name that is allowed in a header, and worth comparing."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_MOST_COMPARED = 60
"""Maximum declared names that are compared for the nearest one, since both sides come from
outside."""
_NEAR = 0.6
_OTHERS = ("additionalProperties", "patternProperties", "$ref")
"""Keywords with which a schema may accept names that it does not list."""


def unknown_names(schema: Mapping[str, Any], value: Mapping[str, Any]) -> list[str]:
    """Return the names that the schema does not declare; empty if it declares none, or may accept
    others."""
    return _unknown(_declared(schema), value)


def warning(schema: Mapping[str, Any], value: Mapping[str, Any], model: str) -> str | None:
    """Return a warning about the names that the model ignores, in plain ASCII, or None."""
    known = _declared(schema)
    names = _unknown(known, value)
    if not names:
        return None
    told = [_told(name, known, "{}") for name in names[:MOST_WARNED]]
    if len(names) > MOST_WARNED:
        told.append(f"and {len(names) - MOST_WARNED} more")
    return f"{model} has no such input and ignores it: {'; '.join(told)}"


def problems(schema: Mapping[str, Any], value: Mapping[str, Any]) -> list[InvalidField]:
    """Return the same names as problems, at most 20."""
    known, said = _declared(schema), "Additional property {} is not allowed"
    return [
        InvalidField("additional_property_not_allowed", "input", _told(name, known, said))
        for name in islice(_unknown(known, value), MAX_PROBLEMS)
    ]


def nearest(name: str, known: Mapping[str, object]) -> str | None:
    """Return the most similar declared name, by its words and letters; None if none is similar."""
    if not _PLAIN.fullmatch(name):
        return None
    plain = (each for each in known if _PLAIN.fullmatch(each))
    likeness = {each: _likeness(name, each) for each in islice(plain, _MOST_COMPARED)}
    best = max(likeness, key=lambda each: likeness[each], default=None)
    return best if best is not None and likeness[best] >= _NEAR else None


def _unknown(known: Mapping[str, object], value: Mapping[str, Any]) -> list[str]:
    return [name for name in value if name not in known] if known else []


def _declared(schema: Mapping[str, Any]) -> dict[str, None]:
    """Return the names that a value may have, in the schema's order; empty if it may accept
    others."""
    found: dict[str, None] = {}
    for part in _parts(schema, 0):
        if any(part.get(word, False) is not False for word in _OTHERS):
            return {}
        found |= dict.fromkeys(as_dict(part.get("properties")))
    return found


def _parts(schema: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield the schema and its branches."""
    yield schema
    if depth < MAX_SCHEMA_DEPTH:
        for word in BRANCHES:
            for branch in as_list(schema.get(word)):
                yield from _parts(as_dict(branch), depth + 1)


def _likeness(name: str, other: str) -> float:
    """Return 0 to 2: the share of common words plus the share of common letters."""
    ours, theirs = _words(name), _words(other)
    common = len(ours & theirs) / max(1, len(ours | theirs))
    a, b = name.lower(), other.lower()
    return common + 2 * _common_letters(a, b) / (len(a) + len(b))


def _words(name: str) -> frozenset[str]:
    """Split into lower-case words without plural `s`, so input_images and imageInput have the same
    words."""
    parts = (part.lower().rstrip("s") for part in _WORD.findall(name))
    return frozenset("image" if part == "img" else part for part in parts)


def _common_letters(a: str, b: str) -> int:
    """Return the number of letters that they have in common in the same order."""
    row = [0] * (len(b) + 1)
    for letter in a:
        before = row
        row = [0]
        for at, other in enumerate(b):
            row.append(before[at] + 1 if letter == other else max(before[at + 1], row[at]))
    return row[-1]


def _told(name: str, known: Mapping[str, object], said: str) -> str:
    meant = nearest(name, known)
    shown = name if _PLAIN.fullmatch(name) else "(unnamed)"
    return said.format(shown) + (f" (did you mean {meant}?)" if meant else "")
