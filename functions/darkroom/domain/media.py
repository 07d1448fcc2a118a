"""Determines a file's type, picture size and completeness from its bytes as they pass.

Nothing is decoded. A declared type is trusted only for text, which has no magic bytes, and only if
the bytes agree. Every function accepts any bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Steps = Generator["int | bytes | tuple[int, int]", bytes, None]


@immutable
class Media:
    """A type of file that Darkroom stores, named by us and never by the sender."""

    type: str
    extension: str


PNG = Media("image/png", "png")
JPEG = Media("image/jpeg", "jpg")
WEBP = Media("image/webp", "webp")
GIF = Media("image/gif", "gif")
AVIF = Media("image/avif", "avif")
HEIC = Media("image/heic", "heic")
HEIF = Media("image/heif", "heif")
MP4 = Media("video/mp4", "mp4")
QUICKTIME = Media("video/quicktime", "mov")
WEBM = Media("video/webm", "webm")
M4A = Media("audio/mp4", "m4a")
MP3 = Media("audio/mpeg", "mp3")
WAV = Media("audio/wav", "wav")
FLAC = Media("audio/flac", "flac")
OGG = Media("audio/ogg", "ogg")
GLB = Media("model/gltf-binary", "glb")
ZIP = Media("application/zip", "zip")
JSON = Media("application/json", "json")
TEXT = Media("text/plain", "txt")

TEXTS = frozenset({JSON, TEXT})
"""Types without magic bytes; UTF-8 throughout."""
BY_EXTENSION = {
    media.extension: media
    for media in (
        *(PNG, JPEG, WEBP, GIF, AVIF, HEIC, HEIF, MP4, QUICKTIME, WEBM),
        *(M4A, MP3, WAV, FLAC, OGG, GLB, ZIP, JSON, TEXT),
    )
}
"""All types that are stored. SVG and HTML are not, because a browser would execute them."""


# --- Type -----------------------------------------------------------------------------------------

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"fLaC", FLAC),
    (b"OggS\0", OGG),
    (b"glTF\2\0\0\0", GLB),
    (b"PK\3\4", ZIP),
    (b"PK\5\6", ZIP),
)
_RIFF = {b"WEBP": WEBP, b"WAVE": WAV}
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), AVIF),
    **dict.fromkeys(_HEIC_BRANDS, HEIC),
    **dict.fromkeys((b"mif1", b"msf1"), HEIF),
    **dict.fromkeys((b"M4A ", b"M4B "), M4A),
    b"qt  ": QUICKTIME,
}
"""Types by major brand; a file of any other brand is an MP4."""
_PICTURES_WITHIN = (
    (frozenset({b"avif", b"avis"}), AVIF),
    (_HEIC_BRANDS, HEIC),
)
"""Compatible brands that refine the major brands `mif1` and `msf1`."""
_OLD_MOVIES = frozenset({b"moov", b"mdat", b"wide"})
"""The first box of a movie from before `ftyp`."""


_DOC_TYPE = re.compile(rb"\x42\x82.{1,8}webm", re.DOTALL)
"""The document type in an EBML header, whose elements come in any order, with sizes in 1 to 8
bytes."""
START = 4096
"""Number of bytes of a file that are enough to determine its type."""
OPAQUE = "application/octet-stream"
"""The media type of unknown content."""


def sniff(head: bytes) -> Media | None:
    """Return the type by magic bytes; None for files without any, including text."""
    for magic, media in _MAGIC:
        if head.startswith(magic):
            return media
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"\x1aE\xdf\xa3"):
        return WEBM if _DOC_TYPE.search(head, 0, START) else None
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[4:8] in _OLD_MOVIES and head[0] < 9:
        return QUICKTIME
    return MP3 if _starts_mp3(head) else None


def _iso_media(head: bytes) -> Media | None:
    # Major brand, minor version, then compatible brands up to the box's end.
    box = head[: min(_big(head[:4]), 256)]
    major = box[8:12]
    if len(major) < 4 or not box.startswith(b"\0\0"):
        return None
    media = _BRANDS.get(major, MP4)
    if media is not HEIF:
        return media
    within = {box[at : at + 4] for at in range(16, len(box), 4)}
    named = (kind for brands, kind in _PICTURES_WITHIN if not brands.isdisjoint(within))
    return next(named, HEIF)


def _starts_mp3(head: bytes) -> bool:
    """Whether it is an ID3 tag, or a valid frame header of MPEG audio, layer III."""
    if head.startswith(b"ID3"):
        return len(head) >= 10 and head[3] in {2, 3, 4} and max(head[6:10]) < 0x80
    if len(head) < 4 or head[0] != 0xFF:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    return head[1] >= 0xE0 and version != 1 and layer == 1 and 0 < bitrate < 15 and rate != 3


_SAID = {**{media.type: media.extension for media in BY_EXTENSION.values()}, "image/jpg": "jpg"}
_EXTENSION = re.compile(r"[a-z0-9]{1,16}")


def type_of(data: bytes) -> str:
    """Return the media type by a file's bytes, or the type of unknown content."""
    sniffed = sniff(data[:START])
    return sniffed.type if sniffed else OPAQUE


def extension(start: bytes, declared: str | None, name: str) -> str:
    """Return an extension for models, with its dot: by the file's bytes, or else its declared type,
    or else its name; empty if none has one."""
    sniffed, said = sniff(start), essence(declared)
    found = sniffed.extension if sniffed else _SAID.get(said) or _registered(said)
    if not found:
        found = name.rpartition(".")[2].lower() if "." in name else ""
    return f".{found}" if _EXTENSION.fullmatch(found) else ""


def _registered(type_: str) -> str:
    """Return the usual extension of another type; empty for unknown content."""
    if type_ in {"", OPAQUE}:
        return ""
    # Imported here, since it takes a few milliseconds. It uses its own table and no file of the
    # system.
    from mimetypes import MimeTypes

    return (MimeTypes().guess_extension(type_, strict=False) or "").removeprefix(".")


_TEXT_EXTENSIONS = {
    **dict.fromkeys(("txt", "csv", "tsv", "md", "srt", "vtt"), TEXT),
    "json": JSON,
}
_BINARY_EXTENSIONS = frozenset(BY_EXTENSION) - frozenset(_TEXT_EXTENSIONS) | {"jpeg"}
_TEXT_TYPES = {
    **dict.fromkeys(
        (
            *("text/plain", "text/csv", "text/tab-separated-values"),
            *("text/markdown", "text/vtt", "application/x-subrip"),
        ),
        TEXT,
    ),
    "application/json": JSON,
}
_JSON_STARTS = (*(bytes([first]) for first in b'{["-0123456789'), b"true", b"false", b"null")
_BLANKS = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def text(head: bytes, url: str, content_type: str | None) -> Media | None:
    """Return JSON or plain text by the URL's extension, or else by the declared type.

    Markup is neither, because an error page may be declared as anything. Nor is text at a URL with
    a picture's extension.
    """
    path = url.partition("?")[0].partition("#")[0]
    extension = path.rpartition("/")[2].rpartition(".")[2].lower()
    if extension in _BINARY_EXTENSIONS:
        return None
    media = _TEXT_EXTENSIONS.get(extension) or _TEXT_TYPES.get(essence(content_type))
    start = _start(head)
    if start.startswith((b"<", *_UTF16_BOMS)) or _binary(head):
        return None
    return None if media is JSON and not start.startswith(_JSON_STARTS) else media


def essence(content_type: str | None) -> str:
    """Return a type without its parameters, in lower case; empty if it is not a valid type."""
    said = (content_type or "").partition(";")[0].strip().lower()
    return said if re.fullmatch(r"[a-z]+/[a-z0-9.+_-]{1,80}", said) else ""


def _start(head: bytes) -> bytes:
    return head.removeprefix(_BOM).lstrip(_BLANKS)


_NOT_IN_TEXT = bytes({*range(0x20)} - {*b"\t\n\x0c\r\x1b"})
"""Control bytes that identify binary data in the WHATWG's sniffing."""


def _binary(head: bytes) -> bool:
    if head.startswith(_UTF16_BOMS):
        return False
    return len(head.translate(None, _NOT_IN_TEXT)) < len(head)


_REFUSED = (
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"8BPS", "PSD"),
    (b"RIFF", "RIFF"),
    (b"\x1aE\xdf\xa3", "Matroska"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf", "7z"),
    (b"Rar!", "RAR"),
    (b"\x93NUMPY", "NumPy"),
    (b"v/1\x01", "OpenEXR"),
)


def refused(head: bytes, content_type: str | None) -> str | None:
    """Return the name of a type that is never stored; None for content that may replace a file for
    a time.

    That is text, such as an error page or a message. Only SVG is both text and the file itself.
    """
    root = _root_element(head)
    if root == b"svg":
        return "SVG"
    if head.startswith(b"%PDF-"):
        return "PDF"
    if _start(head).startswith(b"<") or not _binary(head):
        return None
    named = (name for magic, name in _REFUSED if head.startswith(magic))
    return next(named, None) or essence(content_type) or "unknown"


def _root_element(head: bytes) -> bytes:
    """Return the name of the first element without its namespace, after prolog, comments and
    doctype."""
    rest = _start(head)
    while rest.startswith((b"<?", b"<!")):
        if rest[:14].lower() == b"<!doctype html":
            return b"html"
        rest = rest.partition(b"-->" if rest.startswith(b"<!--") else b">")[2]
        # A doctype may contain declarations in brackets; each is skipped like a separate one.
        rest = rest.lstrip(_BLANKS + b"]>")
    found = re.match(rb"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z]+)", rest)
    return found[1].lower() if found else b""


# --- Size and completeness
# -------------------------------------------------------------------------


MOST_STEPS = 200_000
"""A file with more pieces is accepted without further checks, so that a hostile one cannot cost a
minute."""


class Walk:
    """Follows a file's own structure while its bytes pass, without keeping them."""

    def __init__(self, media: Media, *, to_the_end: bool) -> None:
        """With `to_the_end` it looks for the format's end mark, otherwise only for the size."""
        measured, ends = media in _MEASURED, media in _ENDING
        self.size: tuple[int, int] | None = None
        """Width and height in encoded pixels; None if unknown."""
        self.ended = not ends
        """The format's end was seen, or the format has none. Bytes after it do not matter."""
        self._to_the_end = to_the_end and ends
        self._steps: Steps | None = None
        self._wanted: int | bytes | tuple[int, int] = 0
        self._left = MOST_STEPS
        self._held = b""
        if measured or self._to_the_end:
            self._steps = _WALKS[media]()
            self._wanted = next(self._steps)

    def feed(self, chunk: bytes) -> None:
        """Process the next bytes of the file."""
        if self._steps is None:
            return
        data, at = self._held + chunk, 0
        while self._steps is not None:
            got, at = self._take(data, at)
            if got is None:
                break
            self._step(self._steps, got)
        self._held = data[at:] if self._steps else b""

    def _take(self, data: bytes, at: int) -> tuple[bytes | None, int]:
        """Return the bytes from `at` on that the walk needs, if they are complete, and the next
        position."""
        wanted = self._wanted
        if isinstance(wanted, tuple):
            return b"", at
        if isinstance(wanted, bytes):
            found = data.find(wanted, at)
            if found < 0:
                return None, max(at, len(data) - len(wanted) + 1)
            return b"", found + len(wanted)
        if wanted > 0:
            enough = at + wanted <= len(data)
            return (data[at : at + wanted], at + wanted) if enough else (None, at)
        passed = min(-wanted, len(data) - at)
        self._wanted = wanted + passed
        return (b"" if self._wanted == 0 else None), at + passed

    def _step(self, steps: Steps, got: bytes) -> None:
        try:
            self._wanted = steps.send(got)
        except StopIteration:
            self.ended, self._steps = True, None
            return
        self._left -= 1
        if isinstance(self._wanted, tuple):
            if self.size is None and all(self._wanted):
                self.size = self._wanted
            if not self._to_the_end:
                self._steps = None
        elif not self._left:
            self.ended, self._steps = True, None


_PLAIN_PICTURES = frozenset({PNG, JPEG, WEBP})
"""Formats whose declared size is exact; in a GIF, a picture may be larger than its screen."""
_SIZE_IN = 1 << 18


def size(start: bytes) -> tuple[int, int] | None:
    """Return width and height of a picture, from its first bytes; None if those do not tell."""
    found = sniff(start)
    if found not in _PLAIN_PICTURES:
        return None
    walk = Walk(found, to_the_end=False)
    walk.feed(start[:_SIZE_IN])
    return walk.size


def pixels(start: bytes) -> int | None:
    """Return the number of pixels of a picture, from its first bytes; None if those do not tell."""
    found = size(start)
    return found[0] * found[1] if found else None


# Each walk yields its next request: a number of bytes, a number to skip (negative), a mark to pass,
# or a size that it found. It returns at the file's end.

_LOST = -(1 << 62)
"""Requested if the structure is broken: nothing follows, and no end is seen."""


def _png() -> Steps:
    yield -8
    name = b""
    while name != b"IEND":
        head = yield 8
        length, name = _big(head[:4]), head[4:]
        if name == b"IHDR" and length >= 8:
            header = yield 8
            length -= 8
            yield _big(header[:4]), _big(header[4:])
        yield -(length + 4)


_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg() -> Steps:
    yield -2
    marker = 0
    while marker != 0xDA:
        if (yield 1) != b"\xff":
            yield _LOST
        (marker,) = yield 1
        while marker == 0xFF:
            (marker,) = yield 1
        if marker == 0xD9:
            return
        if marker in _STANDALONE:
            continue
        length = _big((yield 2)) - 2
        if length < 0:
            yield _LOST
        if marker in _FRAMES and length >= 5:
            frame = yield 5
            length -= 5
            yield _big(frame[3:5]), _big(frame[1:3])
        yield -length
    # Within a scan, the first byte of the mark is always followed by another one.
    yield b"\xff\xd9"


def _webp() -> Steps:
    head = yield 20
    chunk = head[12:16]
    left = _little(head[4:8]) - 12
    if chunk == b"VP8L":
        data = yield 5
        bits = _little(data[1:])
        if data[0] == 0x2F:
            yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        yield -max(0, left - 5)
        return
    data = yield 10
    if chunk == b"VP8X":
        yield _little(data[4:7]) + 1, _little(data[7:]) + 1
    elif chunk == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        yield _little(data[6:8]) & 0x3FFF, _little(data[8:]) & 0x3FFF
    yield -max(0, left - 10)


def _gif() -> Steps:
    head = yield 13
    yield _little(head[6:8]), _little(head[8:10])
    yield -_palette(head[10])
    while (block := (yield 1)) != b";":
        if block == b",":
            image = yield 9
            yield -(_palette(image[8]) + 1)
        elif block == b"!":
            yield -1
        else:
            yield _LOST
        while size := (yield 1)[0]:
            yield -size


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


_PARENTS = frozenset({b"iprp", b"ipco"})


def _iso_picture() -> Steps:
    """Find the size of an AVIF or HEIC: the largest among tiles, thumbnails and the whole.

    Boxes are nested; those on the way to `ispe` are entered, all others are skipped.
    """
    at, end = 0, None
    largest = 0, 0
    while end is None or at < end:
        head = yield 8
        length, name = _big(head[:4]) - 8, head[4:]
        at += 8
        if length == -7:
            length = _big((yield 8)) - 16
            at += 8
        if name == b"meta" and length >= 4:
            end = at + length
            length = 4
        elif name == b"ispe" and length >= 12:
            box = yield 12
            found = _big(box[4:8]), _big(box[8:])
            largest = max(largest, found, key=lambda size: size[0] * size[1])
            at, length = at + 12, length - 12
        elif name in _PARENTS:
            length = 0
        if length < 0:
            break
        yield -length
        at += length
    yield largest


def _riff() -> Steps:
    length = _little((yield 8)[4:])
    if length not in {0, 0xFFFFFFFF}:
        # A file that is recorded as a stream does not know its length.
        yield -length


def _glb() -> Steps:
    head = yield 12
    yield -max(0, _little(head[8:]) - 12)


def _zip() -> Steps:
    yield b"PK\5\6"


_WALKS: dict[Media, Callable[[], Steps]] = {
    PNG: _png,
    JPEG: _jpeg,
    WEBP: _webp,
    GIF: _gif,
    AVIF: _iso_picture,
    HEIC: _iso_picture,
    HEIF: _iso_picture,
    WAV: _riff,
    GLB: _glb,
    ZIP: _zip,
}
_ENDING = _WALKS.keys() - {AVIF, HEIC, HEIF}
"""Formats with a recognizable end: a mark, or a length in their header."""
_MEASURED = _WALKS.keys() - {WAV, GLB, ZIP}


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
