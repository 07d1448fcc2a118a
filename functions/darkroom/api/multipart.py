"""multipart/form-data with one file in it (RFC 7578), by the package `multipart`.

The package splits a form into its parts, with bounds on parts and headers, and its errors are
ours here. What a file is called, in the spellings of all clients, is read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
)

from darkroom.api.media_types import media_type, parameters
from darkroom.domain.errors import BadRequestError, UnsupportedMediaError
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_PARTS = 10
MOST_HEADERS = 8
"""Of a part; two have a meaning."""
LONGEST_HEADER = 4096
"""Bytes: a file name of 255 bytes, encoded twice, takes less than 2,000."""
LONGEST_BOUNDARY = 200

_CHARSETS = frozenset({"utf-8", "iso-8859-1"})
"""Charsets of RFC 5987."""


@immutable
class Part:
    """One part: its field's name, its file name and media type, if any, and its bytes."""

    field: str
    filename: str | None
    content_type: str | None
    data: bytes


@immutable
class FileForm:
    """A file as a client sends it. Separate form fields override the file part's own attributes."""

    filename: str | None
    content_type: str | None
    metadata: bytes | None
    """As received; it should be a JSON object."""
    data: bytes


def read_form(content_type: str | None, body: bytes) -> FileForm:
    """Return the form with the file in the field `content`. Raises UnsupportedMediaError or
    BadRequestError."""
    found = read_parts(content_type, body)
    if found is None:
        raise UnsupportedMediaError("Send the file as multipart/form-data, in the field `content`.")
    first: dict[str, Part] = {}
    for part in found:
        first.setdefault(part.field, part)
    if (file := first.get("content")) is None:
        raise BadRequestError("The form has no file in the field `content`.")
    return FileForm(
        filename=_text(first.get("filename")) or file.filename,
        content_type=media_type(_text(first.get("type"))) or file.content_type,
        metadata=first["metadata"].data if "metadata" in first else None,
        data=file.data,
    )


def read_parts(
    content_type: str | None, body: bytes, most_parts: int = MOST_PARTS
) -> list[Part] | None:
    """The parts of a form in their order; None where the header names no form. Raises
    BadRequestError for a form that cannot be read, or is above the bounds."""
    boundary = boundary_of(content_type)
    if boundary is None:
        return None
    try:
        return list(_parts(body, parser(boundary, most_parts)))
    except ParserLimitReached:
        raise BadRequestError(
            f"A form has at most {most_parts} parts, each of at most {MOST_HEADERS} headers of "
            f"{LONGEST_HEADER} bytes."
        ) from None
    except MultipartError as error:
        raise BadRequestError(f"The form cannot be read: {error}.") from None


def boundary_of(content_type: str | None) -> str | None:
    """What parts the form that a Content-Type announces; None where it announces none."""
    # A boundary is ASCII; in a lone surrogate there is none.
    text = content_type if content_type and content_type.isascii() else ""
    boundary = parameters(text).get("boundary", "")
    plain = 0 < len(boundary) <= LONGEST_BOUNDARY and "\n" not in boundary
    return boundary if plain and media_type(text) == "multipart/form-data" else None


def parser(boundary: str, most_parts: int = MOST_PARTS) -> PushMultipartParser:
    """A parser with our bounds; `header` decodes what it reads of a part's head."""
    return PushMultipartParser(
        boundary,
        max_header_size=LONGEST_HEADER,
        max_header_count=MOST_HEADERS,
        max_segment_count=most_parts,
        header_charset="latin-1",
        # Takes no header that is folded into lines: each line would cost what all before it did.
        strict=True,
    )


def header(part: MultipartSegment, name: str) -> str:
    """A header of a part; empty where it has none. Clients write UTF-8 there."""
    return str(part.header(name, "")).encode("latin-1").decode("utf-8", "replace")


def _text(part: Part | None) -> str | None:
    return part.data[:LONGEST_HEADER].decode("utf-8", "replace") if part is not None else None


def _parts(body: bytes, form: PushMultipartParser) -> Iterator[Part]:
    with form:
        segment, data = None, b""
        for event in form.parse(body):
            if isinstance(event, MultipartSegment):
                segment, data = event, b""
            elif event is None:
                yield _part(segment, data)
            else:
                data += event


def _part(segment: MultipartSegment, data: bytes) -> Part:
    given = parameters(header(segment, "content-disposition"))
    kind = media_type(header(segment, "content-type"))
    return Part(given.get("name", ""), _filename(given), kind, data)


def _filename(given: dict[str, str]) -> str | None:
    """Return the file's name, preferably its encoded form `filename*`, if that can be read."""
    charset, _, rest = given.get("filename*", "").partition("'")
    encoded = rest.partition("'")[2] if charset.lower() in _CHARSETS else ""
    return unquote(encoded, charset, "replace") if encoded else given.get("filename")
