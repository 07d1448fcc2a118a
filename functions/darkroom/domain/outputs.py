"""The strings of an output that name files, and the output as it is stored and shown afterwards.

A string names a file if the model's output schema declares it as a URI. If the schema does not say,
a URL names a file if it is on a delivery host of the provider, which only the fetcher knows. All
other text stays text: a license, a source, a word that looks like a URL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from darkroom.domain.places import DEEPEST, said_by
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from darkroom.domain.prediction import Json

_PLACE = "data:"
"""Placeholder in a stored output for the URL of a stored file."""
_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_DATA_URI = re.compile(r"data:(?:[\w.+-]+/[\w.+-]+)?(?:;[^\s,;]+)*,\S*", re.IGNORECASE)
_LONGEST_URL = 2_000
"""Limit for URLs of an output that is too large to be kept whole."""

Path = tuple[str | int, ...]


@immutable
class FileText:
    """A string that names a file, or may."""

    path: Path
    url: str
    declared: bool
    """The schema declares it as a file."""


def file_texts(output: Json | None, places: Collection[str]) -> list[FileText]:
    """Return the strings of an output that name files, or may, in reading order.

    `places` are those of the output's schema, as `Place.patterns` returns them.
    """
    return list(_found(output, places, ()))


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


def kept(output: Json | None, files: Iterable[FileText]) -> Json | None:
    """Return the output with placeholders for these strings, which `shown` fills.

    A provider's URL expires within the hour, and a `data:` URL may be as long as its file.
    """
    paths = {file.path for file in files}
    return _with_texts(output, lambda text, path: _PLACE if path in paths else text, ())


def shown(output: Json | None, urls: Iterable[str]) -> Json | None:
    """Return a stored output with its n-th placeholder replaced by the n-th of `urls`."""
    left = iter(urls)
    return _with_texts(output, lambda text, _: next(left, text) if text == _PLACE else text, ())


def _with_texts(value: Any, changed: Callable[[str, Path], str], path: Path) -> Any:
    """Copy a value, with each string replaced by the result of `changed`, in reading order."""
    if isinstance(value, str):
        return changed(value, path)
    made = [(key, _with_texts(at, changed, (*path, key))) for key, at in _items(value, len(path))]
    if not made:
        return value
    return dict(made) if isinstance(value, dict) else [inner for _, inner in made]


def places_in(output: Json | None) -> int:
    """Return the number of placeholders in a stored output."""
    return sum(1 for _ in _places(output, 0))


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
