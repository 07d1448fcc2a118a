"""Files inside an input: data URIs, and references to files uploaded to us."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from darkroom.domain import link
from darkroom.domain.errors import InvalidInput

_DATA_URI = re.compile(r"data:([A-Za-z0-9.+/-]*)((?:;[A-Za-z0-9=._+-]+)*?)(;base64)?,")
_LIKE_DATA_URI = re.compile(r"data:[^\s,]*,")
"""A prompt may begin with `data:` as well; a space before the comma makes it plain text."""
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class _Leaf:
    pointer: str

    @property
    def field(self) -> str:
        """The place in Replicate's notation: `input.` and the path."""
        return ".".join(["input", *steps(self.pointer)])


@dataclass(frozen=True, slots=True)
class DataURI(_Leaf):
    """A file written into the input itself, at a JSON pointer."""

    text: str

    def data(self) -> bytes:
        """The bytes. Raises InvalidInput where the URI does not decode."""
        match = _DATA_URI.match(self.text)
        if match is None:
            raise InvalidInput(f"- {self.field}: Invalid data URI\n")
        body = self.text[match.end() :]
        if not match[3]:
            return unquote_to_bytes(body)
        try:
            return base64.b64decode(body, validate=True)
        except ValueError:
            raise InvalidInput(f"- {self.field}: Invalid base64 in the data URI\n") from None


@dataclass(frozen=True, slots=True)
class FileReference(_Leaf):
    """`/v1/files/{id}` on our own host, at a JSON pointer."""

    file_id: str


def find_files(value: Any, public_url: str) -> list[DataURI | FileReference]:
    """Every file in an input, in reading order, at most eight levels deep."""
    prefix = f"{public_url}/v1/files/"
    found: list[DataURI | FileReference] = []
    _find(value, "", prefix, found)
    return found


def _find(value: Any, pointer: str, prefix: str, found: list[DataURI | FileReference]) -> None:
    if isinstance(value, str):
        if _LIKE_DATA_URI.match(value):
            found.append(DataURI(pointer, value))
        elif value.startswith(prefix) and link.is_id(value[len(prefix) :]):
            found.append(FileReference(pointer, value[len(prefix) :]))
        return
    if pointer.count("/") == _DEEPEST or not isinstance(value, list | dict):
        return
    items = enumerate(value) if isinstance(value, list) else value.items()
    for key, inner in items:
        _find(inner, f"{pointer}/{escape(str(key))}", prefix, found)


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
