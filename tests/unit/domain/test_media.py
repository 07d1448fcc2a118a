"""Sniffing, measuring and end-checking real pictures, and what only pretends to be one."""

from __future__ import annotations

import hashlib
import io
import struct
from typing import Any

import pytest
from darkroom.domain import media
from PIL import Image

FORMATS: list[tuple[str, media.Media, dict[str, Any]]] = [
    ("PNG", media.PNG, {}),
    ("PNG", media.PNG, {"compress_level": 0}),
    ("JPEG", media.JPEG, {"quality": 80}),
    ("JPEG", media.JPEG, {"quality": 100, "progressive": True, "comment": b"made for a test"}),
    ("JPEG", media.JPEG, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0", "dpi": (72, 72)}),
    ("WEBP", media.WEBP, {"quality": 80}),
    ("WEBP", media.WEBP, {"lossless": True}),
    ("WEBP", media.WEBP, {"quality": 50, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    ("GIF", media.GIF, {}),
    ("AVIF", media.AVIF, {"speed": 10}),
]
SIZES = [(1, 1), (2, 3), (17, 1), (200, 150), (1344, 40), (40, 1344)]


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    noise = hashlib.shake_256(f"{width}x{height}".encode()).digest(16 * 16 * 3)
    small = Image.frombytes("RGB", (16, 16), noise)
    return small.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def is_complete(kind: media.Media, data: bytes) -> bool:
    head, tail = data[: media.HEAD_BYTES], data[-media.TAIL_BYTES :]
    return media.complete(kind, head, tail, len(data))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("form", "kind", "options"), FORMATS, ids=str)
def test_pictures(
    form: str, kind: media.Media, options: dict[str, Any], size: tuple[int, int]
) -> None:
    data = encode(picture(*size), form, **options)
    head = data[: media.HEAD_BYTES]
    assert media.sniff(head) == kind
    assert media.size(head, kind) == (None if kind == media.AVIF else size)
    assert is_complete(kind, data)
    if kind != media.AVIF:
        step = max(1, len(data) // 200)
        assert [cut for cut in range(0, len(data), step) if is_complete(kind, data[:cut])] == []
        assert not is_complete(kind, data[:-1])


@pytest.mark.parametrize(
    ("form", "kind", "mode"),
    [
        ("PNG", media.PNG, "P"),
        ("PNG", media.PNG, "LA"),
        ("JPEG", media.JPEG, "L"),
        ("JPEG", media.JPEG, "CMYK"),
        ("WEBP", media.WEBP, "RGBA"),
        ("GIF", media.GIF, "L"),
    ],
)
def test_other_colour_modes(form: str, kind: media.Media, mode: str) -> None:
    data = encode(picture(61, 47, mode), form)
    assert media.sniff(data) == kind
    assert media.size(data, kind) == (61, 47)
    assert is_complete(kind, data)


@pytest.mark.parametrize(("form", "kind"), [("GIF", media.GIF), ("WEBP", media.WEBP)])
def test_animations(form: str, kind: media.Media) -> None:
    frames = [picture(30, 20 + n).resize((30, 20)) for n in range(3)]
    data = encode(frames[0], form, save_all=True, append_images=frames[1:], duration=50)
    assert media.sniff(data) == kind
    assert media.size(data, kind) == (30, 20)
    assert is_complete(kind, data)
    assert not is_complete(kind, data[: len(data) // 2])


def box(major: bytes, *compatible: bytes, length: int | None = None) -> bytes:
    content = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", length or len(content) + 4) + content + b"\0\0\0\x08mdat"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        pytest.param(box(b"isom", b"isom", b"avc1"), media.MP4, id="mp4"),
        pytest.param(box(b"mp42"), media.MP4, id="mp4-bare"),
        pytest.param(box(b"M4V ", b"mp42"), media.MP4, id="m4v"),
        pytest.param(box(b"avif", b"mif1"), media.AVIF, id="avif"),
        pytest.param(box(b"avis", b"avif"), media.AVIF, id="avif-sequence"),
        pytest.param(box(b"mif1", b"heic", b"avif"), media.AVIF, id="avif-as-compatible-brand"),
        pytest.param(box(b"heic", b"mif1"), None, id="heic"),
        pytest.param(box(b"qt  "), None, id="quicktime"),
        pytest.param(box(b"heic", length=16) + b"avif", None, id="brand-beyond-the-box"),
        pytest.param(box(b"isom", length=1), None, id="box-of-no-length"),
        pytest.param(b"\0\0\0\x08ftyp", None, id="no-brand"),
        pytest.param(b"GIF89a", media.GIF, id="gif-89"),
        pytest.param(b"GIF88a", None, id="gif-88"),
        pytest.param(b"RIFF\0\0\0\0WAVE", None, id="wave"),
        pytest.param(b"RIFF\0\0\0\0WEB", None, id="riff-cut-short"),
        pytest.param(b"\x89PNG\n\x1a\n", None, id="png-after-newline-conversion"),
        pytest.param(b"\xff\xd8", None, id="jpeg-cut-short"),
        pytest.param(b"<!doctype html><title>404</title>", None, id="A53-html"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg"><script/>', None, id="A54-svg"),
        pytest.param(b"<?xml version='1.0'?><svg/>", None, id="A54-svg-with-prolog"),
        pytest.param(b" \x89PNG\r\n\x1a\n", None, id="blank-before-the-magic"),
        pytest.param(b"BM", None, id="bmp"),
        pytest.param(b"%PDF-1.7", None, id="pdf"),
        pytest.param(b'{"detail": "not found"}', None, id="json"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_sniff(head: bytes, kind: media.Media | None) -> None:
    assert media.sniff(head) == kind


def test_types_and_extensions() -> None:
    kinds = [media.PNG, media.JPEG, media.WEBP, media.GIF, media.AVIF, media.MP4]
    assert [(kind.type, kind.extension) for kind in kinds] == [
        ("image/png", "png"),
        ("image/jpeg", "jpg"),
        ("image/webp", "webp"),
        ("image/gif", "gif"),
        ("image/avif", "avif"),
        ("video/mp4", "mp4"),
    ]


def test_video_and_avif_are_never_called_incomplete_nor_measured() -> None:
    for kind, head in [(media.MP4, box(b"isom")), (media.AVIF, box(b"avif"))]:
        assert media.complete(kind, head, head, len(head))
        assert media.size(head, kind) is None


@pytest.mark.parametrize("kind", [media.PNG, media.JPEG, media.WEBP, media.GIF])
@pytest.mark.parametrize("data", [b"", b"\0" * 40, b"\xff" * 8, b"RIFF", b"\xff\xd8\xff\xe0\0\0"])
def test_no_size_and_no_end_where_there_is_none(kind: media.Media, data: bytes) -> None:
    assert media.size(data, kind) is None
    if kind != media.WEBP or len(data) < 12:
        assert not is_complete(kind, data)


def test_a_jpeg_may_be_padded_with_zeros() -> None:
    data = encode(picture(20, 10), "JPEG")
    assert is_complete(media.JPEG, data + bytes(16))
    assert not is_complete(media.JPEG, data[:-2] + bytes(16))


def test_a_jpeg_thumbnail_is_not_the_picture() -> None:
    thumbnail = encode(picture(8, 8), "JPEG")
    data = encode(picture(200, 100), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert media.size(data[:2] + segment + data[2:], media.JPEG) == (200, 100)
    assert not is_complete(media.JPEG, data[:2] + segment + data[2:100])
    assert media.size(data[:2] + b"\xff\xff\xff" + data[2:], media.JPEG) == (200, 100)


def test_jpeg_dimensions_beyond_the_head_are_not_guessed() -> None:
    data = encode(picture(200, 100), "JPEG")
    segments = (b"\xff\xe2\xff\xff" + bytes(65_533)) * 2
    long = data[:2] + segments + data[2:]
    assert media.size(long[: media.HEAD_BYTES], media.JPEG) is None
    assert media.size(long, media.JPEG) == (200, 100)


@pytest.mark.parametrize("marker", [b"\xff\xd9", b"\xff\xda\0\x08", b"\xff\xc4\0\x01", b"\0\0"])
def test_jpeg_without_a_frame_header(marker: bytes) -> None:
    head = b"\xff\xd8" + marker + b"\xff\xc0\0\x11\x08\0\x10\0\x10" + bytes(20)
    assert media.size(head, media.JPEG) is None


def test_webp_chunks_damaged() -> None:
    lossy = encode(picture(20, 10), "WEBP")
    lossless = encode(picture(20, 10), "WEBP", lossless=True)
    extended = encode(picture(20, 10, "RGBA"), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    assert [data[12:16] for data in (lossy, lossless, extended)] == [b"VP8 ", b"VP8L", b"VP8X"]
    for data in (lossy, lossless, extended):
        assert media.size(data[:30], media.WEBP) == (20, 10)
        assert media.size(data[:24], media.WEBP) is None
        assert media.size(data[:12] + b"ANIM" + data[16:], media.WEBP) is None
    assert media.size(lossy[:23] + b"\0" + lossy[24:], media.WEBP) is None
    assert media.size(lossless[:20] + b"\0" + lossless[21:], media.WEBP) is None


def test_a_file_that_goes_on_after_its_end_is_whole() -> None:
    png, webp = encode(picture(20, 10), "PNG"), encode(picture(20, 10), "WEBP")
    assert is_complete(media.PNG, png + b"PK\3\4 and more")
    assert is_complete(media.WEBP, webp + b"\0")
