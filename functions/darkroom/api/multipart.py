"""multipart/form-data with one file in it (RFC 7578)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from darkroom.domain.errors import BadRequest, UnsupportedMedia

MOST_PARTS = 20
MOST_HEAD = 4096
"""Bytes of a part's head: a file name of 255 bytes, encoded twice, takes less than 2,000."""
LONGEST_BOUNDARY = 200

_FOLD = re.compile(r"\r\n[ \t]++")
# Possessive, and nothing is looked at twice: the header comes from outside. A quoted value that
# lacks its end is read up to the next semicolon.
_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^;]*+))', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_CHARSETS = frozenset({"utf-8", "iso-8859-1"})
"""Those of RFC 5987."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its field's name, its file name and type if it says them, and its bytes."""

    field: str
    filename: str | None
    content_type: str | None
    data: bytes


def file_part(content_type: str | None, body: bytes) -> Part:
    """The part named `content`. Raises UnsupportedMedia or BadRequest."""
    # A boundary is ASCII; in a lone surrogate there is none.
    text = content_type if content_type and content_type.isascii() else ""
    media_type = text.partition(";")[0].strip().lower()
    boundary = _parameters(text).get("boundary", "")
    if media_type != "multipart/form-data" or not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise UnsupportedMedia("Send the file as multipart/form-data, in the field `content`.")
    for part in _parts(body, boundary):
        if part.field == "content":
            return part
    raise BadRequest("The form has no file in the field `content`.")


def _parts(body: bytes, boundary: str) -> list[Part]:
    delimiter = b"\r\n--" + boundary.encode("ascii")
    pieces = (b"\r\n" + body).split(delimiter, MOST_PARTS)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise BadRequest("The form is cut short, or has too many parts.")
    return [part for piece in pieces[1:-1] if (part := _part(piece)) is not None]


def _part(piece: bytes) -> Part | None:
    end = piece.find(b"\r\n\r\n", 0, MOST_HEAD)
    if end < 0:
        if len(piece) > MOST_HEAD:
            raise BadRequest(f"The head of a part is above {MOST_HEAD} bytes.")
        return None
    headers = _headers(piece[:end].decode("utf-8", "replace"))
    given = _parameters(headers.get("content-disposition", ""))
    field = given.get("name")
    if field is None:
        return None
    return Part(field, _filename(given), headers.get("content-type"), piece[end + 4 :])


def _headers(head: str) -> dict[str, str]:
    """A part's headers, by lower-case names; the first of a name counts."""
    found: dict[str, str] = {}
    for line in _FOLD.sub(" ", head).split("\r\n"):
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), value)
    return found


def _parameters(value: str) -> dict[str, str]:
    """What follows a header's first semicolon, by lower-case names; the first of a name counts."""
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(value):
        found.setdefault(name.lower(), _ESCAPED.sub(r"\1", quoted) or plain.strip())
    return found


def _filename(given: dict[str, str]) -> str | None:
    """The file's name; its encoded form, `filename*`, is the better one where it can be read."""
    charset, _, rest = given.get("filename*", "").partition("'")
    encoded = rest.partition("'")[2] if charset.lower() in _CHARSETS else ""
    return unquote(encoded, charset, "replace") if encoded else given.get("filename")
