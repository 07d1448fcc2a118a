"""Other outputs than pictures: other file types, other shapes of `output`, or none.

Files are complete and begin like their type does; the rest of their content is the picture's bytes.
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WITHOUT_FILES = frozenset({"none", "empty", "text"})
"""Kinds of output without files."""
LICENSE = "https://example.com/license"
"""A URL next to the file in a mapping that is not an output file."""
PAGE = b"<!doctype html><title>Sorry</title><p>There should be a picture here.\n"


class File(NamedTuple):
    """An output file on the output host."""

    data: bytes
    extension: str
    content_type: str


def convert(kind: str, picture: File) -> File:
    """Return the file that replaces the picture."""
    if kind == "html":
        # It keeps the picture's file name, to deceive clients that trust names.
        return File(PAGE, picture.extension, "text/html; charset=utf-8")
    if kind not in _FILES:
        return picture
    wrap, content_type = _FILES[kind]
    return File(wrap(picture), kind, content_type)


def arrange(kind: str, urls: Sequence[str], *, array: bool, prompt: str) -> Any:
    """Return the `output` of a prediction with these file URLs."""
    match kind:
        case "none":
            return None
        case "empty":
            return []
        case "text":
            return f"A picture of {prompt}"
        case "mapping":
            named = {f"image_{number}": url for number, url in enumerate(urls[1:], 2)}
            return {"image": urls[0], **named, "meta": {"source": LICENSE}}
        case _:
            return list(urls) if array else urls[0]


def _svg(picture: File) -> bytes:
    link = f"data:{picture.content_type};base64,{base64.b64encode(picture.data).decode()}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        f'<image width="100" height="100" href="{link}"/></svg>\n'
    ).encode()


def _box(name: bytes, *parts: bytes) -> bytes:
    """Return a box of the ISO base media file format."""
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + name + content


def _heic(picture: File) -> bytes:
    handler = _box(b"hdlr", bytes(8), b"pict", bytes(13))
    return (
        _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
        + _box(b"meta", bytes(4), handler)
        + _box(b"mdat", picture.data)
    )


def _mov(picture: File) -> bytes:
    # Version and times 0; 1000 units per second, duration 1; normal speed and volume.
    header = struct.pack(">IIIIIIH", 0, 0, 0, 1000, 1000, 1 << 16, 1 << 8)
    return (
        _box(b"ftyp", b"qt  ", bytes(4), b"qt  ")
        + _box(b"wide")
        + _box(b"mdat", picture.data)
        + _box(b"moov", _box(b"mvhd", header, bytes(70), struct.pack(">I", 2)))
    )


def _element(name: str, content: bytes) -> bytes:
    """Return an EBML element; its size always takes eight bytes."""
    return bytes.fromhex(name) + struct.pack(">Q", 1 << 56 | len(content)) + content


def _webm(picture: File) -> bytes:
    header = (
        _element("4286", b"\1")  # EBMLVersion
        + _element("42f7", b"\1")  # EBMLReadVersion
        + _element("42f2", b"\4")  # EBMLMaxIDLength
        + _element("42f3", b"\x08")  # EBMLMaxSizeLength
        + _element("4282", b"webm")  # DocType
        + _element("4287", b"\4")  # DocTypeVersion
        + _element("4285", b"\2")  # DocTypeReadVersion
    )
    info = _element("1549a966", _element("2ad7b1", (1_000_000).to_bytes(3)))
    return _element("1a45dfa3", header) + _element("18538067", info + _element("ec", picture.data))


_FILES: dict[str, tuple[Callable[[File], bytes], str]] = {
    "svg": (_svg, "image/svg+xml"),
    "heic": (_heic, "image/heic"),
    "mov": (_mov, "video/quicktime"),
    "webm": (_webm, "video/webm"),
}
