"""Files inside an input: data URIs, and references to stored files.

The model's schema decides which strings are files, so a prompt that begins with `data:` stays a
prompt. If the schema does not say, a string is a file if it can hardly be anything else.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from darkroom.domain import link, strict_json
from darkroom.domain.errors import InvalidInputError
from darkroom.domain.places import DEEPEST, escape
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from darkroom.domain.places import Place
    from darkroom.domain.prediction import JsonObject

UPLOAD_TYPE = (
    r"(image|audio|video)/(?![a-z0-9.+-]*svg)[a-z0-9][a-z0-9.+-]{0,60}"
    r"|application/(octet-stream|zip)"
)
"""Types that a client may upload directly; a browser executes none of them."""
_DATA_URI = re.compile(r"\s*+data:([^,]*+),", re.IGNORECASE)
_PLAIN_DATA_URI = re.compile(
    r"data:(?:[\w.+-]++/[\w.+-]++)?(?:;[^,]*+)?,", re.IGNORECASE | re.ASCII
)
"""A data URI in a place that the schema does not describe: its media type is empty or complete."""
_BASE64 = ";base64"
_URL = re.compile(r"https?://[!-~]{1,4000}", re.IGNORECASE)
_OUTPUT_KEY = re.compile(r"[^/]+/[0-9]{4}/[0-9]{2}/[0-9a-z]{26}/[A-Za-z0-9._-]{1,100}")
_PORTS = {"http": 80, "https": 443}
_PIECE = 65_536


@immutable
class _Leaf:
    path: tuple[str, ...]
    """As separate keys, because a joined path would be copied for each leaf below it."""

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer."""
        return "".join(f"/{escape(key)}" for key in self.path)

    @property
    def field(self) -> str:
        """The place in the provider's notation: `input.` and the path."""
        return ".".join(["input", *self.path])


@immutable
class DataURI(_Leaf):
    """A file inside the input."""

    text: str

    def data(self) -> bytes:
        """Decode the bytes like `urllib` does, and so like models do. Raises InvalidInputError.

        Parameters between the type and the comma are ignored, and so are characters that are not
        base64, such as line breaks.
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
        """The declared type in lower case, without parameters; empty if none is declared."""
        return self._parts()[0].partition(";")[0].strip().lower()

    @property
    def name(self) -> str:
        """The value of its parameter `name`, if any."""
        parameters = (part.partition("=") for part in self._parts()[0].split(";")[1:])
        return next((unquote(v).strip('"') for name, _, v in parameters if name == "name"), "")

    def compact(self) -> str:
        """Return the same file without white space around it or in its base64.

        `urllib` ignores such white space, but validators of URIs do not.
        """
        head, body = self._parts()
        return f"data:{head},{''.join(body.split()) if head.endswith(_BASE64) else body}"

    def _parts(self) -> tuple[str, str]:
        """Return the parts before and after the comma. Raises InvalidInputError without one."""
        match = _DATA_URI.match(self.text)
        if match is None:
            raise InvalidInputError(f"- {self.field}: Invalid data URI\n")
        return match[1], self.text[match.end() :].rstrip()


@immutable
class StoredFile(_Leaf):
    """One of Darkroom's own URLs."""

    key: str
    """The key of the file, if it exists."""


def _unquoted(text: str) -> bytes:
    """Unquote piece by piece, because `unquote_to_bytes` creates an object for every escape, which
    for 6 MB of them takes half a gigabyte."""
    raw = text.encode()
    found = bytearray()
    at = 0
    while at < len(raw):
        piece = raw[at : at + _PIECE]
        last = piece.rfind(b"%", -2)
        if last > 0 and at + len(piece) < len(raw):
            piece = piece[:last]  # its digits are in the next piece
        found += unquote_to_bytes(piece)
        at += len(piece)
    return bytes(found)


def find_files(
    value: Any, place: Place, key_of: Callable[[str], str | None]
) -> Iterator[DataURI | StoredFile]:
    """Yield every file in an input, in reading order, at most eight levels deep.

    `place` describes the input by its schema; `key_of` returns the key of a stored file's URL, or
    None. The input may be changed only after the last file was read.
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
    """Return the decoded path of a URL below `base`; None for every other URL.

    Scheme and host are not case-sensitive, a scheme's default port may be omitted, and the query is
    ignored.
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
    """Return the key of the upload that `/v1/files/{id}` on our own host names."""
    id_ = path_below(url, f"{public_url}/v1/files/")
    return f"{tenant}/files/{id_}" if link.is_id(id_) else None


def names_output_of(url: str, tenant: str) -> bool:
    """Whether the URL's path ends like the key of an output of this tenant.

    Another tenant's output is a URL like any other, and is not even looked up.
    """
    try:
        parts = unquote(urlsplit(url).path).rsplit("/", 5)
    except ValueError:
        return False
    return parts[1:2] == [tenant] and is_output("/".join(parts[1:]))


def is_output(key: str) -> bool:
    """Whether a file of an input is the output of an earlier prediction, not an upload."""
    return _OUTPUT_KEY.fullmatch(key) is not None


def steps(pointer: str) -> list[str]:
    """Return a JSON pointer's steps, unescaped."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def move_out(value: Any, pointer: str) -> None:
    """Remove the leaf at the pointer: a list keeps its length, an object loses the key."""
    holder, last = _holder(value, pointer)
    if isinstance(holder, list):
        holder[int(last)] = None
    else:
        del holder[last]


def put_back(value: Any, pointer: str, leaf: str) -> None:
    """Set the leaf at the pointer."""
    holder, last = _holder(value, pointer)
    if isinstance(holder, list):
        holder[int(last)] = leaf
    else:
        holder[last] = leaf


def filled(value: JsonObject, leaves: Mapping[str, str]) -> JsonObject:
    """Return the input with these leaves set at their pointers; a copy if there are any."""
    if not leaves:
        return value
    made: JsonObject = strict_json.ordered(value)
    for pointer, leaf in leaves.items():
        put_back(made, pointer, leaf)
    return made


def _holder(value: Any, pointer: str) -> tuple[Any, str]:
    *path, last = steps(pointer)
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value, last
