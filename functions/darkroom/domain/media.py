"""What a file is, how large its picture is and whether it is whole, from its first and last bytes.

Nothing is decoded and no content type is believed; every function takes any bytes at all.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES = 65_536
"""Enough of the start for `size`: metadata may come before a JPEG's dimensions."""
TAIL_BYTES = 1_024
"""Enough of the end for `complete`."""


@dataclass(frozen=True, slots=True)
class Media:
    """A type of file that Darkroom stores, named by us and never by the sender."""

    type: str
    extension: str


PNG = Media("image/png", "png")
JPEG = Media("image/jpeg", "jpg")
WEBP = Media("image/webp", "webp")
GIF = Media("image/gif", "gif")
AVIF = Media("image/avif", "avif")
MP4 = Media("video/mp4", "mp4")

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_MP4_BRANDS = frozenset(
    {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V "}
)


def sniff(head: bytes) -> Media | None:
    """The type by magic bytes; None for everything not on the list, SVG and HTML included."""
    if head.startswith(_PNG_MAGIC):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    return None


def size(head: bytes, media: Media) -> tuple[int, int] | None:
    """Width and height in pixels as encoded, from the first 64 KB; None where they do not show.

    Video and AVIF keep them in boxes that may lie anywhere: always None.
    """
    width_height = (0, 0)
    if media == PNG and head[12:16] == b"IHDR" and len(head) >= 24:
        width_height = _big(head[16:20]), _big(head[20:24])
    elif media == GIF and len(head) >= 10:
        width_height = _little(head[6:8]), _little(head[8:10])
    elif media == WEBP:
        width_height = _webp_size(head)
    elif media == JPEG:
        width_height = _jpeg_size(head)
    return width_height if all(width_height) else None


def complete(media: Media, head: bytes, tail: bytes, length: int) -> bool:
    """Whether the file ends as its format says; a cheap look for truncation, not a proof.

    `tail` is the last `TAIL_BYTES` of the file, or all of a shorter one; `length` is the whole
    file's. AVIF and MP4 have no end mark: always True.
    """
    if media == PNG:
        return _PNG_END in tail
    if media == JPEG:
        return tail.rstrip(b"\0").endswith(b"\xff\xd9")
    if media == WEBP:
        return len(head) >= 12 and length >= _little(head[4:8]) + 8
    if media == GIF:
        # The trailer alone is any semicolon; before it stands the end of the last block.
        return tail.rstrip(b"\0").endswith(b"\0;")
    return True


def _iso_media(head: bytes) -> Media | None:
    # Major brand, minor version, then compatible brands up to the box's end.
    box = head[: min(_big(head[:4]), 256)]
    brands = [box[8:12], *(box[at : at + 4] for at in range(16, len(box), 4))]
    if not _AVIF_BRANDS.isdisjoint(brands):
        return AVIF
    return None if brands[0] not in _MP4_BRANDS else MP4


def _webp_size(head: bytes) -> tuple[int, int]:
    chunk = head[12:16]
    if chunk == b"VP8X" and len(head) >= 30:
        return _little(head[24:27]) + 1, _little(head[27:30]) + 1
    if chunk == b"VP8 " and len(head) >= 30 and head[23:26] == b"\x9d\x01\x2a":
        return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF
    if chunk == b"VP8L" and len(head) >= 25 and head[20] == 0x2F:
        bits = _little(head[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return 0, 0


def _jpeg_size(head: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:
            at += 1  # fill byte
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return _big(head[at + 7 : at + 9]), _big(head[at + 5 : at + 7])
        elif marker in {0xD9, 0xDA} or _big(head[at + 2 : at + 4]) < 2:
            break
        else:
            at += 2 + _big(head[at + 2 : at + 4])
    return 0, 0


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
