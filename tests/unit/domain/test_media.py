"""Detecting, measuring and checking real pictures, and files that only resemble one."""

from __future__ import annotations

import hashlib
import io
import struct
import time
import tracemalloc
from typing import Any

import pytest
from darkroom.domain import media
from PIL import Image

from emulator import kinds

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


def walked(
    kind: media.Media, data: bytes, piece: int = 65_536, *, to_the_end: bool = False
) -> media.Walk:
    walk = media.Walk(kind, to_the_end=to_the_end)
    for start in range(0, len(data), piece):
        walk.feed(data[start : start + piece])
    return walk


def is_complete(kind: media.Media, data: bytes, piece: int = 65_536) -> bool:
    return walked(kind, data, piece, to_the_end=True).ended


def size_of(kind: media.Media, data: bytes, piece: int = 65_536) -> tuple[int, int] | None:
    return walked(kind, data, piece).size


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("form", "kind", "options"), FORMATS, ids=str)
def test_pictures(
    form: str, kind: media.Media, options: dict[str, Any], size: tuple[int, int]
) -> None:
    data = encode(picture(*size), form, **options)
    assert media.sniff(data[:4096]) == kind
    for piece in (1, 7, 65_536):
        assert size_of(kind, data, piece) == size
        assert is_complete(kind, data, piece)
        assert walked(kind, data, piece, to_the_end=True).size == size
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
    assert size_of(kind, data) == (61, 47)
    assert is_complete(kind, data)


@pytest.mark.parametrize(("form", "kind"), [("GIF", media.GIF), ("WEBP", media.WEBP)])
def test_animations(form: str, kind: media.Media) -> None:
    frames = [picture(30, 20 + n).resize((30, 20)) for n in range(3)]
    data = encode(frames[0], form, save_all=True, append_images=frames[1:], duration=50)
    assert media.sniff(data) == kind
    assert size_of(kind, data) == (30, 20)
    assert is_complete(kind, data)
    assert not is_complete(kind, data[: len(data) // 2])


def box(major: bytes, *compatible: bytes, length: int | None = None) -> bytes:
    content = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", length or len(content) + 4) + content + b"\0\0\0\x08mdat"


def test_avif_in_tiles_has_the_size_of_the_whole() -> None:
    parts = [(64, 64), (200, 100), (32, 16)]
    data = iso(*(struct.pack(">II", *size) for size in parts))
    assert size_of(media.AVIF, data) == (200, 100)
    assert size_of(media.HEIC, data, 3) == (200, 100)
    assert size_of(media.HEIF, data[:-1]) == (200, 100)


def nested(name: bytes, *content: bytes, wide: bool = False) -> bytes:
    inner = b"".join(content)
    if wide:
        return struct.pack(">I", 1) + name + struct.pack(">Q", len(inner) + 16) + inner
    return struct.pack(">I", len(inner) + 8) + name + inner


def iso(*sizes: bytes, wide: bool = False) -> bytes:
    """Return the boxes of a picture in ISO's base media format that determine its size."""
    properties = (nested(b"ispe", bytes(4), size, b"more") for size in sizes)
    container = nested(b"ipco", nested(b"pixi", b"x" * 7), *properties)
    meta = nested(b"meta", bytes(4), nested(b"hdlr", b"x" * 30), nested(b"iprp", container))
    media_data = nested(b"mdat", b"x" * 5000, wide=wide)
    return box(b"avif")[:-8] + media_data + meta + nested(b"free", b"x" * 9)


ENDLESS = struct.pack(">I", 0) + b"mdat" + b"x" * 99


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(iso(), id="no-size"),
        pytest.param(iso(bytes(8)), id="nothing"),
        pytest.param(ENDLESS, id="endless-box"),
        pytest.param(struct.pack(">I", 3) + b"mdat", id="box-shorter-than-its-head"),
        pytest.param(nested(b"meta"), id="empty-meta"),
        pytest.param(nested(b"ispe", bytes(4)) + ENDLESS, id="size-cut-short"),
    ],
)
def test_no_size_where_the_boxes_tell_none(data: bytes) -> None:
    for kind in (media.AVIF, media.HEIC, media.HEIF):
        assert size_of(kind, data) is None
        assert is_complete(kind, data)


def test_a_long_box_before_the_size_is_passed_over() -> None:
    data = iso(struct.pack(">II", 40, 30), wide=True)
    assert size_of(media.AVIF, data, 11) == (40, 30)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        pytest.param(box(b"isom", b"isom", b"avc1"), media.MP4, id="mp4"),
        pytest.param(box(b"mp42"), media.MP4, id="mp4-bare"),
        pytest.param(box(b"M4V ", b"mp42"), media.MP4, id="m4v"),
        pytest.param(box(b"avif", b"mif1"), media.AVIF, id="avif"),
        pytest.param(box(b"avis", b"avif"), media.AVIF, id="avif-sequence"),
        pytest.param(box(b"mif1", b"heic", b"avif"), media.AVIF, id="avif-as-compatible-brand"),
        pytest.param(box(b"mif1", b"heic", length=16), media.HEIF, id="brand-beyond-the-box"),
        pytest.param(box(b"mif1", b"miaf", b"heix"), media.HEIC, id="heic-as-compatible-brand"),
        pytest.param(box(b"heic", b"mif1"), media.HEIC, id="heic"),
        pytest.param(box(b"hevc"), media.HEIC, id="heic-sequence"),
        pytest.param(box(b"mif1", b"miaf"), media.HEIF, id="heif"),
        pytest.param(box(b"qt  "), media.QUICKTIME, id="quicktime"),
        pytest.param(b"\0\0\0\x08wide\0\0\1\0mdat", media.QUICKTIME, id="quicktime-old"),
        pytest.param(b"\0\0\x20\0moov", media.QUICKTIME, id="quicktime-old-moov"),
        pytest.param(b"The wide world", None, id="words-like-a-box"),
        pytest.param(box(b"XAVC", b"mp42"), media.MP4, id="mp4-of-a-camera"),
        pytest.param(box(b"3gp5"), media.MP4, id="mp4-of-a-telephone"),
        pytest.param(box(b"M4A ", b"isom"), media.M4A, id="m4a"),
        pytest.param(box(b"isom", length=1), None, id="box-of-no-length"),
        pytest.param(b"\0\0\0\x08ftyp", None, id="no-brand"),
        pytest.param(b"Use ftypisom", None, id="words-with-a-brand"),
        pytest.param(b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\x82\x84webm", media.WEBM, id="webm"),
        pytest.param(
            b"\x1aE\xdf\xa3\1" + bytes(80) + b"B\x82\1\0\0\0\0\0\0\4webm",
            media.WEBM,
            id="webm-wide",
        ),
        pytest.param(b"\x1aE\xdf\xa3\x9fB\x82\x88matroskawebm", None, id="matroska"),
        pytest.param(b"RIFF\x24\0\0\0WAVEfmt ", media.WAV, id="wave"),
        pytest.param(b"RIFF\x24\0\0\0AVI LIST", None, id="avi"),
        pytest.param(b"fLaC\0\0\0\x22", media.FLAC, id="flac"),
        pytest.param(b"OggS\0\2", media.OGG, id="ogg"),
        pytest.param(b"OggS of the north", None, id="words-like-ogg"),
        pytest.param(b"ID3\4\0\0\0\0\x0f\x76TSSE", media.MP3, id="mp3-with-a-tag"),
        pytest.param(b"ID3 is an algorithm", None, id="words-like-a-tag"),
        pytest.param(b"ID3\4\0", None, id="tag-cut-short"),
        pytest.param(b"ID3\4\0\0\0\0\x80\0", None, id="tag-of-a-forbidden-length"),
        pytest.param(b"\xff\xfb\x90\x64", media.MP3, id="mp3-bare"),
        pytest.param(b"\xff\xf3\x44\xc4", media.MP3, id="mp3-of-half-the-rate"),
        pytest.param(b"\xff\xfb\x90", None, id="mp3-cut-short"),
        pytest.param(b"\xff\xf1\x50\x80", None, id="aac"),
        pytest.param(b"\xff\xfb\xf0\x64", None, id="mp3-of-a-forbidden-bitrate"),
        pytest.param(b"\xff\xfb\x9c\x64", None, id="mp3-of-a-forbidden-rate"),
        pytest.param(b"\xff\xeb\x90\x64", None, id="mp3-of-a-forbidden-version"),
        pytest.param(b"glTF\2\0\0\0\x40\0\0\0", media.GLB, id="glb"),
        pytest.param(b"PK\3\4\x14\0", media.ZIP, id="zip"),
        pytest.param(b"PK\5\6" + bytes(18), media.ZIP, id="zip-of-nothing"),
        pytest.param(b"GIF89a", media.GIF, id="gif-89"),
        pytest.param(b"GIF88a", None, id="gif-88"),
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
    assert {extension: kind.type for extension, kind in media.BY_EXTENSION.items()} == {
        "png": "image/png",
        "jpg": "image/jpeg",
        "webp": "image/webp",
        "gif": "image/gif",
        "avif": "image/avif",
        "heic": "image/heic",
        "heif": "image/heif",
        "mp4": "video/mp4",
        "mov": "video/quicktime",
        "webm": "video/webm",
        "m4a": "audio/mp4",
        "mp3": "audio/mpeg",
        "wav": "audio/wav",
        "flac": "audio/flac",
        "ogg": "audio/ogg",
        "glb": "model/gltf-binary",
        "zip": "application/zip",
        "json": "application/json",
        "txt": "text/plain",
    }


def test_what_has_no_end_mark_is_never_called_incomplete() -> None:
    for kind in (media.MP4, media.QUICKTIME, media.WEBM, media.MP3, media.OGG, media.TEXT):
        assert is_complete(kind, b"")
        assert size_of(kind, b"anything") is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        pytest.param(media.WAV, b"RIFF\x08\0\0\0WAVEdata", id="wave"),
        pytest.param(media.GLB, b"glTF\2\0\0\0\x14\0\0\0" + bytes(8), id="glb"),
        pytest.param(media.GLB, b"glTF\2\0\0\0\x04\0\0\0", id="glb-of-a-wrong-length"),
        pytest.param(media.ZIP, b"PK\3\4" + bytes(99) + b"PK\5\6", id="zip"),
    ],
)
def test_lengths_and_marks_of_other_formats(kind: media.Media, data: bytes) -> None:
    for piece in (1, 5, 100):
        assert is_complete(kind, data, piece)
        assert is_complete(kind, data + b"more", piece)
        assert not is_complete(kind, data[:-1], piece)
        assert size_of(kind, data, piece) is None


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_wave_that_was_recorded_as_it_went_has_no_length(length: int) -> None:
    assert is_complete(media.WAV, struct.pack("<4sI4s", b"RIFF", length, b"WAVE"))


def test_a_file_of_more_pieces_than_are_walked_is_taken_at_its_word() -> None:
    start = encode(picture(20, 10), "GIF")[:-1]
    endless = start + b"!\xfe" + b"\1x" * (media.MOST_STEPS // 2 + 1)
    assert is_complete(media.GIF, endless)
    assert not is_complete(media.GIF, endless[: len(endless) // 2])
    empty = b"\xff\xe1\0\2" * media.MOST_STEPS
    jpeg = encode(picture(20, 10), "JPEG")
    assert size_of(media.JPEG, jpeg[:2] + empty + jpeg[2:]) is None


@pytest.mark.parametrize("kind", [media.PNG, media.JPEG, media.WEBP, media.GIF])
@pytest.mark.parametrize("data", [b"", b"\0" * 40, b"\xff" * 8, b"RIFF", b"\xff\xd8\xff\xe0\0\0"])
def test_no_size_and_no_end_where_there_is_none(kind: media.Media, data: bytes) -> None:
    assert size_of(kind, data) is None
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
    assert size_of(media.JPEG, data[:2] + segment + data[2:]) == (200, 100)
    assert not is_complete(media.JPEG, data[:2] + segment + data[2:100])
    assert size_of(media.JPEG, data[:2] + b"\xff\xff\xff" + data[2:]) == (200, 100)
    assert size_of(media.JPEG, data[:2] + b"\xff\1" + data[2:]) == (200, 100)


@pytest.mark.parametrize("piece", [1000, 65_536, 1_000_000])
def test_jpeg_dimensions_behind_long_metadata_are_found(piece: int) -> None:
    data = encode(picture(200, 100), "JPEG")
    segments = (b"\xff\xe2\xff\xff" + bytes(65_533)) * 40
    long = data[:2] + segments + data[2:]
    assert size_of(media.JPEG, long, piece) == (200, 100)
    assert is_complete(media.JPEG, long, piece)


def test_of_a_long_file_no_more_than_a_chunk_is_held() -> None:
    data = encode(picture(200, 100), "JPEG")
    filling = bytes(65_536)
    tracemalloc.start()
    walk = media.Walk(media.JPEG, to_the_end=True)
    walk.feed(data[:2])
    for _ in range(500):
        walk.feed(b"\xff\xe2\xff\xff")
        walk.feed(filling[:65_533])
    walk.feed(data[2:-2])
    for _ in range(500):
        walk.feed(filling)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert walk.size == (200, 100)
    assert not walk.ended
    walk.feed(data[-2:] + b"\n")
    assert walk.ended
    assert peak < 400_000


@pytest.mark.parametrize(
    "marker",
    [
        b"\xff\xd9",
        b"\xff\xda\0\x08",
        b"\xff\xc4\0\x01",
        b"\xff\xc0\0\x02",
        b"\xff\xc0\0\x08\x08\0\x10\0\0\1",
        b"\0\0",
    ],
)
def test_jpeg_without_a_frame_header(marker: bytes) -> None:
    head = b"\xff\xd8" + marker + b"\xff\xda\0\2\xff\xc0\0\x11\x08\0\x10\0\x10" + bytes(20)
    assert size_of(media.JPEG, head) is None


def test_webp_chunks_damaged() -> None:
    lossy = encode(picture(20, 10), "WEBP")
    lossless = encode(picture(20, 10), "WEBP", lossless=True)
    extended = encode(picture(20, 10, "RGBA"), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    assert [data[12:16] for data in (lossy, lossless, extended)] == [b"VP8 ", b"VP8L", b"VP8X"]
    for data in (lossy, lossless, extended):
        assert size_of(media.WEBP, data[:30]) == (20, 10)
        assert size_of(media.WEBP, data[:24]) is None
        assert size_of(media.WEBP, data[:12] + b"ANIM" + data[16:]) is None
    assert size_of(media.WEBP, lossy[:23] + b"\0" + lossy[24:]) is None
    assert size_of(media.WEBP, lossless[:20] + b"\0" + lossless[21:]) is None


def test_gif_damaged() -> None:
    data = encode(picture(20, 10), "GIF")
    assert not is_complete(media.GIF, data[:-1] + b"?;")
    assert is_complete(media.GIF, data[:-1] + b"!\xfe\3abc\0;")


def test_png_without_its_header_has_no_size() -> None:
    data = encode(picture(20, 10), "PNG")
    assert size_of(media.PNG, data[:8] + data[-12:]) is None
    assert size_of(media.PNG, data[:8] + b"\0\0\0\7IHDR" + bytes(11) + data[-12:]) is None
    assert size_of(media.PNG, data[:8] + b"\0\0\0\4CgBI" + bytes(8) + data[8:]) == (20, 10)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG", "GIF"])
@pytest.mark.parametrize("more", [b"\n", b"PK\3\4 and more", b"x" * 300_000])
def test_a_file_that_goes_on_after_its_end_is_whole(form: str, more: bytes) -> None:
    data = encode(picture(20, 10), form)
    kind = media.sniff(data)
    assert kind is not None
    assert is_complete(kind, data + more)
    assert not is_complete(kind, data[:-1])


# Text, and types that are never stored


@pytest.mark.parametrize(
    ("head", "url", "said", "kind"),
    [
        pytest.param(b"1\n00:00", "/a.srt", None, media.TEXT, id="by-extension"),
        pytest.param(
            b"\xef\xbb\xbfa,b", "/a.CSV?x=.png", None, media.TEXT, id="extension-in-capitals"
        ),
        pytest.param(b'{"a": 1}', "/a.json#x", "text/html", media.JSON, id="json-by-extension"),
        pytest.param("grüße".encode(), "/a", "text/plain; charset=utf-8", media.TEXT, id="by-type"),
        pytest.param(b" \n[1]", "/v1.2/a", "Application/JSON", media.JSON, id="json-by-type"),
        pytest.param(b"null", "/a.json", None, media.JSON, id="json-of-nothing"),
        pytest.param(b"", "/a.txt", None, media.TEXT, id="empty-text"),
        pytest.param(b"", "/a.json", None, None, id="empty-json"),
        pytest.param(b"not found", "/a.json", "application/json", None, id="no-json"),
        pytest.param(b"sorry", "/a.png", "text/plain", None, id="in-a-pictures-place"),
        pytest.param(b'{"detail": ""}', "/a.jpeg", "application/json", None, id="message"),
        pytest.param(b"sorry", "/a", None, None, id="nothing-said"),
        pytest.param(b"sorry", "/a.bin", "application/octet-stream", None, id="no-type"),
        pytest.param(b"sorry", "/a", "text/html", None, id="another-type"),
        pytest.param(b"\n <!doctype html>", "/a.txt", "text/plain", None, id="A53-html-as-text"),
        pytest.param(b"<svg/>", "/a.txt", "text/plain", None, id="A54-svg-as-text"),
        pytest.param(b"\xff\xfe<\0h\0", "/a.txt", "text/plain", None, id="A53-html-in-utf-16"),
        pytest.param(b"a\0b", "/a.txt", "text/plain", None, id="binary"),
    ],
)
def test_text(head: bytes, url: str, said: str | None, kind: media.Media | None) -> None:
    assert media.text(head, "https://replicate.delivery" + url, said) == kind


@pytest.mark.parametrize(
    ("head", "said", "name"),
    [
        pytest.param(b"<svg>", None, "SVG", id="svg"),
        pytest.param(b"\xef\xbb\xbf\n<SVG\n", None, "SVG", id="svg-in-capitals"),
        pytest.param(b'<svg:svg xmlns:svg="">', None, "SVG", id="svg-in-a-namespace"),
        pytest.param(
            b'<?xml version="1.0"?>\n<!-- <html> --><!DOCTYPE svg PUBLIC "-//W3C//" "" [\n'
            b'<!ENTITY a "b">\n<!ENTITY c "d">\n]>\n<!-- a --><svg id="x">',
            "image/png",
            "SVG",
            id="svg-behind-all-that-may-come-first",
        ),
        pytest.param(b"<!-- endless", None, None, id="comment-without-an-end"),
        pytest.param(b"<!doctype html><svg>", "image/svg+xml", None, id="html-with-a-picture"),
        pytest.param(b"<?xml version='1.0'?><Error><Code>", None, None, id="xml"),
        pytest.param(b"<>", None, None, id="no-element"),
        pytest.param(b"slow down", "image/png", None, id="message"),
        pytest.param(b"", "application/pdf", None, id="empty"),
        pytest.param(b"\xff\xfe<\0h\0t\0m\0l\0", None, None, id="html-in-utf-16"),
        pytest.param(b"Gr\xfc\xdfe", None, None, id="another-encoding"),
        pytest.param(b"%PDF-1.7", None, "PDF", id="pdf"),
        pytest.param(b"BM\0\1", None, "BMP", id="bmp"),
        pytest.param(b"BMW", None, None, id="words-like-bmp"),
        pytest.param(b"\1\2\3", "application/x-tar; a=b", "application/x-tar", id="as-said"),
        pytest.param(b"\1\2\3", "<script>", "unknown", id="as-said-badly"),
        pytest.param(b"\1\2\3", None, "unknown", id="unknown"),
    ],
)
def test_refused(head: bytes, said: str | None, name: str | None) -> None:
    assert media.sniff(head) is None
    assert media.refused(head, said) == name


def test_endless_declarations_are_passed_over_in_time() -> None:
    began = time.process_time()
    assert media.refused(b"<!>" * 21_000, None) is None
    assert media.refused(b"<!---->" * 9000 + b"<svg>", None) == "SVG"
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("heic", "image/heic"),
        ("mov", "video/quicktime"),
        ("webm", "video/webm"),
        ("svg", None),
        ("html", None),
    ],
)
def test_what_the_emulator_makes_is_known(kind: str, type_: str | None) -> None:
    data = kinds.convert(kind, kinds.File(b"x" * 100, "png", "image/png")).data
    found = media.sniff(data)
    assert (found.type if found else None) == type_


@pytest.mark.parametrize(
    ("start", "declared", "name", "expected"),
    [
        (b"\xff\xd8\xff", "image/png", "a.png", ".jpg"),
        (b"", "image/jpg", "", ".jpg"),
        (b"", "IMAGE/JPEG ; q=1", "a.bin", ".jpg"),
        (b"", "image/bmp", "", ".bmp"),
        (b"", "application/octet-stream", "a.TIFF", ".tiff"),
        (b"", "no type", "a.b.c", ".c"),
        (b"", "x/of-nobody", "noextension", ""),
        (b"", None, ".", ""),
        (b"", None, "a.b c", ""),
        (b"", None, "a." + "x" * 17, ""),
        (b"", "", "", ""),
    ],
)
def test_f22_an_extension_is_sniffed_else_declared_else_the_names(
    start: bytes, declared: str | None, name: str, expected: str
) -> None:
    assert media.extension(start, declared, name) == expected


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_the_pixels_of_a_picture_by_its_first_bytes(form: str) -> None:
    assert media.pixels(encode(picture(61, 47), form)[:4096]) == 61 * 47


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(20), b"\x89PNG\r\n\x1a\n", b"no picture"])
def test_no_pixels_are_guessed(data: bytes) -> None:
    assert media.pixels(data) is None
