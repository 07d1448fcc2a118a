"""multipart/form-data with one file in it (RFC 7578)."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser

from darkroom.domain.errors import BadRequest, UnsupportedMedia

MOST_PARTS = 20


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its field's name, its file name if it has one, and its bytes."""

    field: str
    filename: str | None
    data: bytes


def file_part(content_type: str | None, body: bytes) -> Part:
    """The part named `content`. Raises UnsupportedMedia or BadRequest."""
    header = Message()
    # email raises over a lone surrogate; a boundary is ASCII anyhow.
    header["content-type"] = content_type if content_type and content_type.isascii() else ""
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        raise UnsupportedMedia("Send the file as multipart/form-data, in the field `content`.")
    for part in _parts(body, boundary):
        if part.field == "content":
            return part
    raise BadRequest("The form has no file in the field `content`.")


def _parts(body: bytes, boundary: str) -> list[Part]:
    delimiter = b"\r\n--" + boundary.encode("ascii", "replace")
    pieces = (b"\r\n" + body).split(delimiter, MOST_PARTS)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise BadRequest("The form is cut short, or has too many parts.")
    return [part for piece in pieces[1:-1] if (part := _part(piece)) is not None]


def _part(piece: bytes) -> Part | None:
    head, found, data = piece.partition(b"\r\n\r\n")
    if not found:
        return None
    headers = HeaderParser().parsestr(head.decode("utf-8", "replace").lstrip("\r\n"))
    field = headers.get_param("name", header="content-disposition")
    return Part(field, headers.get_filename(), data) if isinstance(field, str) else None
