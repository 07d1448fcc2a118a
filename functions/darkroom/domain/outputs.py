"""The strings of an output that name files, and the output as it is stored and shown afterwards.

A string names a file if the model's output schema declares it as a URI. If the schema does not say,
a URL names a file if it is on a delivery host of the provider, which only the fetcher knows. All
other text stays text: a license, a source, a word that looks like a URL.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.domain import strict_json
from darkroom.domain.places import DEEPEST, said_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_PLACE = "data:"
"""Placeholder in a stored output for the URL of a stored file."""
_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_DATA_URI = re.compile(r"data:(?:[\w.+-]+/[\w.+-]+)?(?:;[^\s,;]+)*,\S*", re.IGNORECASE)
_LONGEST_URL = 2_000
"""Limit for URLs of an output that is too large to be kept whole."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class FileText:
    """A string that names a file, or may."""

    path: Path
    url: str
    declared: bool
    """The schema declares it as a file."""


def file_texts(output: str | None, places: Collection[str]) -> list[FileText]:
    """Return the strings of an output that name files, or may, in reading order.

    `places` are those of the output's schema, as `Place.patterns` returns them.
    """
    return [] if output is None else list(_found(json.loads(output), places, ()))


def _found(value: Any, places: Collection[str], path: Path) -> Iterator[FileText]:
    if isinstance(value, str):
        is_url = _URL.fullmatch(value) is not None
        if is_url or _DATA_URI.fullmatch(value):
            declared = said_by(places, path)
            if declared or (is_url and declared is None):
                yield FileText(path, value, bool(declared))
        return
    for key, inner in _items(value, len(path)):
        yield from _found(inner, places, (*path, key))


def _items(value: Any, depth: int) -> Iterable[tuple[str | int, Any]]:
    if depth == DEEPEST:
        return ()
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def kept(output: str | None, files: Iterable[FileText]) -> str | None:
    """Return the output with placeholders for these strings, which `shown` fills.

    A provider's URL expires within the hour, and a `data:` URL may be as long as its file.
    """
    if output is None:
        return None
    value = json.loads(output)
    for file in files:
        if not file.path:
            return strict_json.canonical(_PLACE)
        *steps, last = file.path
        holder = value
        for step in steps:
            holder = holder[step]
        holder[last] = _PLACE
    return strict_json.canonical(value)


def shown(output: str | None, urls: Iterable[str]) -> Any:
    """Return a stored output with its n-th placeholder replaced by the n-th of `urls`."""
    return None if output is None else _filled(json.loads(output), iter(urls), 0)


def _filled(value: Any, urls: Iterator[str], depth: int) -> Any:
    if isinstance(value, str):
        return next(urls, value) if value == _PLACE else value
    filled = [(key, _filled(inner, urls, depth + 1)) for key, inner in _items(value, depth)]
    if not filled:
        return value
    return dict(filled) if isinstance(value, dict) else [inner for _, inner in filled]


def places_in(output: str | None) -> int:
    """Return the number of placeholders in a stored output."""
    return 0 if output is None else sum(1 for _ in _places(json.loads(output), 0))


def _places(value: Any, depth: int) -> Iterator[str]:
    if value == _PLACE:
        yield _PLACE
    for _, inner in _items(value, depth):
        yield from _places(inner, depth + 1)


def urls_alone(value: Any, depth: int = 0) -> Any:
    """Return an output reduced to URLs and the containers around them; None if nothing is left."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_URL and _URL.fullmatch(value) else None
    pairs = ((key, urls_alone(inner, depth + 1)) for key, inner in _items(value, depth))
    left = [(key, inner) for key, inner in pairs if inner is not None]
    if not left:
        return None
    return dict(left) if isinstance(value, dict) else [inner for _, inner in left]
