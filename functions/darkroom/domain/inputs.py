"""Files inside an input: data URIs, and references to files that are stored with us.

Which texts are files is the model's schema's word: a prompt may begin with `data:` and stays a
prompt. Where the schema does not say, a text is a file that can hardly be meant otherwise.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from darkroom.domain import link
from darkroom.domain.errors import InvalidInputError
from darkroom.domain.places import DEEPEST, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from darkroom.domain.places import Place

UPLOAD_TYPE = (
    r"(image|audio|video)/(?![a-z0-9.+-]*svg)[a-z0-9][a-z0-9.+-]{0,60}"
    r"|application/(octet-stream|zip)"
)
"""What a client may post to the bucket itself: a browser runs none of it."""
_DATA_URI = re.compile(r"\s*+data:([^,]*+),", re.IGNORECASE)
_PLAIN_DATA_URI = re.compile(
    r"data:(?:[\w.+-]++/[\w.+-]++)?(?:;[^,]*+)?,", re.IGNORECASE | re.ASCII
)
"""What is taken for one where no schema says so: with a media type or none, but no word."""
_BASE64 = ";base64"
_URL = re.compile(r"https?://[!-~]{1,4000}", re.IGNORECASE)
_OUTPUT_KEY = re.compile(r"[^/]+/[0-9]{4}/[0-9]{2}/[0-9a-z]{26}/[A-Za-z0-9._-]{1,100}")
_PORTS = {"http": 80, "https": 443}
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
        """The place in the provider's notation: `input.` and the path."""
        return ".".join(["input", *self.path])


@dataclass(frozen=True, slots=True)
class DataURI(_Leaf):
    """A file written into the input itself."""

    text: str

    def data(self) -> bytes:
        """The bytes, as `urllib` reads them: so do models. Raises InvalidInputError.

        Whatever stands between the type and the comma is passed over, and so is what is no base64
        among base64, such as line breaks.
        """
        head, body = self._parts()
        if not head.endswith(_BASE64):
            return _unquoted(body)
        try:
            found = binascii.a2b_base64(_unquoted(body) if "%" in body else body.encode())
        except ValueError:
            found = b""
        if not found and body:
            raise InvalidInputError(f"- {self.field}: Invalid base64 in the data URI\n")
        return found

    @property
    def media_type(self) -> str:
        """As it is declared, in lower case and without parameters; empty where it is not."""
        return self._parts()[0].partition(";")[0].strip().lower()

    @property
    def name(self) -> str:
        """What its parameter `name` says, if there is one."""
        parameters = (part.partition("=") for part in self._parts()[0].split(";")[1:])
        return next((unquote(v).strip('"') for name, _, v in parameters if name == "name"), "")

    def compact(self) -> str:
        """The same file without white space around it or in its base64.

        `urllib` does not mind that; whoever checks that a URI is one does.
        """
        head, body = self._parts()
        return f"data:{head},{''.join(body.split()) if head.endswith(_BASE64) else body}"

    def _parts(self) -> tuple[str, str]:
        """What stands before the comma and what behind it. Raises InvalidInputError without one."""
        match = _DATA_URI.match(self.text)
        if match is None:
            raise InvalidInputError(f"- {self.field}: Invalid data URI\n")
        return match[1], self.text[match.end() :].rstrip()


@dataclass(frozen=True, slots=True)
class StoredFile(_Leaf):
    """A URL of ours."""

    key: str
    """Under which the file is stored, if it exists."""


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


def find_files(
    value: Any, place: Place, key_of: Callable[[str], str | None]
) -> Iterator[DataURI | StoredFile]:
    """Every file in an input, in reading order, at most eight levels deep.

    `place` is what the schema says of the input, `key_of` tells the URLs of stored files from
    others. The input may be changed only when the last was read.
    """
    return _find(value, (), place, key_of)


def _find(
    value: Any, path: tuple[str, ...], place: Place, key_of: Callable[[str], str | None]
) -> Iterator[DataURI | StoredFile]:
    if isinstance(value, str):
        if place.holds_files is False:
            return
        if _DATA_URI.match(value):
            if place.holds_files or _PLAIN_DATA_URI.match(value):
                yield DataURI(path, value)
        elif _URL.fullmatch(value) and (key := key_of(value)):
            yield StoredFile(path, key)
        return
    if len(path) == DEEPEST or not isinstance(value, list | dict):
        return
    items = enumerate(value) if isinstance(value, list) else value.items()
    for step, inner in items:
        if isinstance(inner, str | list | dict):
            there = place.inside(None if isinstance(step, int) else step)
            yield from _find(inner, (*path, str(step)), there, key_of)


def path_below(url: str, base: str) -> str | None:
    """The path, decoded, of a URL that begins as `base` does; None for every other URL.

    Scheme and host have no case, a scheme's own port may be left out, and what is signed or asked
    for in the query does not count.
    """
    try:
        ours, given = urlsplit(base), urlsplit(url)
        if _origin(ours) != _origin(given):
            return None
    except ValueError:
        return None
    start, path = unquote(ours.path), unquote(given.path)
    return path[len(start) :] if path.startswith(start) else None


def _origin(parts: Any) -> tuple[str, str | None, str | None, int | None]:
    port = parts.port or _PORTS.get(parts.scheme)
    return parts.scheme, parts.username, parts.hostname, port


def upload_key(url: str, public_url: str, tenant: str) -> str | None:
    """The key of the upload that `/v1/files/{id}` on our own host names."""
    id_ = path_below(url, f"{public_url}/v1/files/")
    return f"{tenant}/files/{id_}" if link.is_id(id_) else None


def names_output_of(url: str, tenant: str) -> bool:
    """Whether the URL's path ends as the key of an output of this tenant's does.

    Another tenant's is a URL like any other: it is not even looked up.
    """
    try:
        parts = unquote(urlsplit(url).path).rsplit("/", 5)
    except ValueError:
        return False
    return parts[1:2] == [tenant] and is_output("/".join(parts[1:]))


def is_output(key: str) -> bool:
    """Whether a file of an input is the output of an earlier prediction, and no upload."""
    return _OUTPUT_KEY.fullmatch(key) is not None


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
