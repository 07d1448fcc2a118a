"""Files inside an input: data URIs, and references to files uploaded to us."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from darkroom.domain import link
from darkroom.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

# Possessive: else each of a million parameters would take memory until the last is read.
_DATA_URI = re.compile(r"data:[A-Za-z0-9.+/-]*+(?:;[A-Za-z0-9=._+-]++)*+,")
_LIKE_DATA_URI = re.compile(r"data:[^\s,]*,")
"""A prompt may begin with `data:` as well; a space before the comma makes it plain text."""
_DEEPEST = 8
_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class _Leaf:
    path: tuple[str, ...]
    """As keys: written out, a long one would be copied for each leaf below it."""

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer."""
        return "".join(f"/{escape(key)}" for key in self.path)

    @property
    def field(self) -> str:
        """The place in Replicate's notation: `input.` and the path."""
        return ".".join(["input", *self.path])


@dataclass(frozen=True, slots=True)
class DataURI(_Leaf):
    """A file written into the input itself."""

    text: str

    def data(self) -> bytes:
        """The bytes. Raises InvalidInput where the URI does not decode."""
        match = _DATA_URI.match(self.text)
        if match is None:
            raise InvalidInput(f"- {self.field}: Invalid data URI\n")
        body = self.text[match.end() :]
        if not match[0].endswith(";base64,"):
            return _unquoted(body)
        try:
            return base64.b64decode(body, validate=True)
        except ValueError:
            raise InvalidInput(f"- {self.field}: Invalid base64 in the data URI\n") from None


@dataclass(frozen=True, slots=True)
class FileReference(_Leaf):
    """`/v1/files/{id}` on our own host."""

    file_id: str


def _unquoted(text: str) -> bytes:
    """`unquote_to_bytes` piece by piece: it makes objects of every escape, which for 6 MB of them
    take half a gigabyte."""
    raw = text.encode()
    found = bytearray()
    at = 0
    while at < len(raw):
        piece = raw[at : at + _PIECE]
        last = piece.rfind(b"%", -2)
        if last > 0 and at + len(piece) < len(raw):
            piece = piece[:last]  # Its digits are in the next piece.
        found += unquote_to_bytes(piece)
        at += len(piece)
    return bytes(found)


def find_files(value: Any, public_url: str) -> Iterator[DataURI | FileReference]:
    """Every file in an input, in reading order, at most eight levels deep.

    The input may be changed only when the last was read.
    """
    return _find(value, (), f"{public_url}/v1/files/")


def _find(value: Any, path: tuple[str, ...], prefix: str) -> Iterator[DataURI | FileReference]:
    if isinstance(value, str):
        if _LIKE_DATA_URI.match(value):
            yield DataURI(path, value)
        elif value.startswith(prefix) and link.is_id(value[len(prefix) :]):
            yield FileReference(path, value[len(prefix) :])
        return
    if len(path) == _DEEPEST or not isinstance(value, list | dict):
        return
    items = enumerate(value) if isinstance(value, list) else value.items()
    for key, inner in items:
        if isinstance(inner, str | list | dict):
            yield from _find(inner, (*path, str(key)), prefix)


def escape(part: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def steps(pointer: str) -> list[str]:
    """A JSON pointer's steps, unescaped."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def move_out(value: Any, pointer: str) -> None:
    """Blank the leaf at the pointer: a list keeps its length, an object loses the key."""
    holder, last = _holder(value, pointer)
    if isinstance(holder, list):
        holder[int(last)] = None
    else:
        del holder[last]


def put_back(value: Any, pointer: str, leaf: str) -> None:
    """Set the leaf at the pointer again."""
    holder, last = _holder(value, pointer)
    if isinstance(holder, list):
        holder[int(last)] = leaf
    else:
        holder[last] = leaf


def _holder(value: Any, pointer: str) -> tuple[Any, str]:
    *path, last = steps(pointer)
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value, last
