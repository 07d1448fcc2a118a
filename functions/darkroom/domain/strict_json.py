"""Strict parser for JSON from outside, and a canonical form."""

from __future__ import annotations

import hashlib
import json
import math
import re
from itertools import islice
from typing import Any, cast

MAX_DEPTH = 64
MAX_DIGITS = 1000
_VALUE_BYTES = 64
"""Memory of a small value, or of an empty list."""

_MARKS = (b'"', b"[", b"{", b",", b":")
# Possessive, and a string may lack its end; otherwise a hostile text takes quadratic time.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{,:]', re.DOTALL)


class StrictJSONError(ValueError):
    """The bytes are not acceptable JSON. The text has the reason and never quotes them."""


def loads(raw: bytes, deepest: int | None = MAX_DEPTH) -> Any:
    """Parse UTF-8 JSON. Raises StrictJSONError, and nothing else, for any bytes.

    In addition to invalid grammar, it rejects a byte order mark, duplicate keys, NaN and the
    infinities (including 1e999), more than `deepest` levels (None: more than the parser takes),
    numbers of more than 1000 digits, and lone surrogates, which UTF-8 cannot encode.
    """
    try:
        text = raw.decode()
        value = _DECODER.decode(text)
        if deepest is not None and text.count("[") + text.count("{") > deepest:
            _check_depth(value, deepest)
        if "\\u" in text:
            canonical(value).encode()
    except StrictJSONError:
        raise
    except UnicodeDecodeError:
        raise StrictJSONError("not UTF-8") from None
    except UnicodeEncodeError:
        raise StrictJSONError("lone surrogate") from None
    except json.JSONDecodeError as error:
        raise StrictJSONError(f"not JSON at character {error.pos}") from None
    except RecursionError:
        raise StrictJSONError("nested too deeply") from None
    return value


def has_more_tokens(raw: bytes, most: int) -> bool:
    """Whether the text has more than `most` strings and, outside of these, `[`, `{`, `,` and `:`.

    Accepts any bytes and needs almost no memory, while the parsed value can take thirty times the
    size of the text. Each token is a byte or more of the value's canonical form as well.
    """
    if sum(map(raw.count, _MARKS)) <= most:
        return False
    return next(islice(_TOKEN.finditer(raw), most, None), None) is not None


def digest(value: object) -> str:
    """Return 128 bits of the SHA-256 of a value's canonical form, in hex; equal for equal
    values."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]


def canonical(value: object) -> str:
    """Return the canonical form: sorted keys, no spaces, floats in their shortest form.

    `loads(canonical(v).encode()) == v` for everything that `loads` returns. 1 and 1.0 stay
    different.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def size(value: object) -> int:
    """Return the length in bytes of a value's canonical spelling."""
    return len(canonical(value).encode())


def weight(value: object) -> int:
    """Estimate the bytes of memory of a value. Small values take many times their text."""
    text = canonical(value)
    return len(text) + _VALUE_BYTES * sum(map(text.count, "[{,:"))


def ordered(value: Any) -> Any:
    """Copy a value, with the keys of each object sorted, as `loads(canonical(value))` returns it.

    Strings and numbers are shared, since they may be large.
    """
    if isinstance(value, list):
        return [ordered(item) for item in value]
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    return value


def is_deeper(value: object, levels: int) -> bool:
    """Whether lists and objects are nested in more than `levels` levels."""
    level = [value] if isinstance(value, list | dict) else []
    while level and levels:
        levels -= 1
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else cast("list[object]", node))
            if isinstance(child, list | dict)
        ]
    return bool(level)


def has_nul(value: object) -> bool:
    """Whether any string or key contains NUL, which SQS and some stores reject."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if "\0" in item:
                return True
        elif isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            pending += item.keys()
            pending += item.values()
    return False


def _check_depth(value: object, deepest: int) -> None:
    if is_deeper(value, deepest):
        raise StrictJSONError("nested too deeply")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise StrictJSONError("duplicate key")
    return result


def _integer(text: str) -> int:
    _check_digits(text)
    return int(text)


def _float(text: str) -> float:
    _check_digits(text)
    number = float(text)
    if math.isinf(number):
        raise StrictJSONError("number out of range")
    return number


def _check_digits(text: str) -> None:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise StrictJSONError("number too long")


def _constant(name: str) -> object:
    raise StrictJSONError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)
