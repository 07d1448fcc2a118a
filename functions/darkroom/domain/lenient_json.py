"""Tolerant parser for the provider's JSON: one odd value affects only itself.

Clients' JSON is parsed strictly (`strict_json`), but the provider's as far as possible, because an
unreadable answer could lose a prediction.
"""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DIGITS = 1000
"""Longer numbers become null; Python itself refuses to convert some thousands of digits."""


class LenientJSONError(ValueError):
    """The bytes are not JSON, or nested too deeply for the parser."""


class Object(dict[str, Any]):
    """An object with a duplicate key in its text; the last value counts."""

    __slots__ = ("doubled",)
    doubled: frozenset[str]


def loads(raw: bytes) -> Any:
    """Parse JSON. Raises LenientJSONError, and nothing else, for any bytes.

    Lone surrogates become question marks; NaN, infinities and overlong numbers become null. An
    object with a duplicate key is returned as `Object`.
    """
    try:
        text = raw.decode()
        value = _DECODER.decode(text)
        return _writable(value) if "\\u" in text else value
    except (ValueError, RecursionError):
        raise LenientJSONError("not JSON, or nested too deeply") from None


def doubled(value: object) -> frozenset[str]:
    """Return the keys that the object's text has more than once."""
    return value.doubled if isinstance(value, Object) else frozenset()


def elements(raw: bytes, name: str) -> list[bytes] | None:
    """Return the texts of the elements of array `name` in the outermost object; None without one.

    It does not parse them, so an element that cannot be parsed does not affect the others.
    """
    inside = _array_tokens(raw, f'"{name}"'.encode())
    if inside is None:
        return None
    marks = [at + 1 if number == 0 else at for number, at in enumerate(inside)]
    found = [raw[start:end].strip(b", \t\r\n") for start, end in pairwise(marks)]
    return [element for element in found if element]


_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},:]', re.DOTALL)


def _array_tokens(raw: bytes, key: bytes) -> list[int] | None:
    """Return the positions of the array's start, its commas, and its end."""
    depth, last, found = 0, b"", None
    for token in _TOKEN.finditer(raw):
        text = token.group()
        if text in b"[{":
            depth += 1
            if found is None and text == b"[" and depth == 2 and last == key:
                found = [token.start()]
        elif text in b"]}":
            depth -= 1
            if found is not None and depth == 1:
                return [*found, token.start()]
        elif text == b"," and depth == 2 and found is not None:
            found.append(token.start())
        if text != b":":
            last = text if depth == 1 else b""
    return None


def _writable(value: Any) -> Any:
    """Return the value without lone surrogates, which UTF-8 cannot encode."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _DECODER.decode(text.encode("utf-8", "replace").decode())
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    again = Object(result)
    again.doubled = frozenset(_repeated(pairs))
    return again


def _repeated(pairs: list[tuple[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            yield name
        seen.add(name)


def _integer(text: str) -> int | None:
    return int(text) if len(text) <= MAX_DIGITS else None


def _float(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=lambda _name: None,
)
