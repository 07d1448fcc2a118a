"""Thumbnails of usual and of hostile pictures. Each hostile case has a number, P1 to P20."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from darkroom.domain.errors import NoThumbnailError
from darkroom.pictures import thumbnails
from darkroom.pictures.thumbnails import MOST_PIXELS, MOST_SCANS, PillowThumbnails
from PIL import Image

RED, BLUE = (200, 30, 30), (30, 30, 200)
CLOSE = 12
"""Difference of a channel that lossy formats may make."""


def small(picture: bytes, width: int = 256) -> Image.Image:
    opened = Image.open(io.BytesIO(PillowThumbnails().made(picture, width)))
    opened.load()
    assert opened.format == "WEBP"
    return opened


def refused(picture: bytes) -> str:
    with pytest.raises(NoThumbnailError) as error:
        PillowThumbnails().made(picture, 256)
    return str(error.value)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, form, **options)
    return written.getvalue()


def halves(width: int = 800, height: int = 600, mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    made = Image.new("RGB", (width, height), RED)
    made.paste(BLUE, (width // 2, 0, width, height))
    return made.convert(mode)


def alike(found: Any, wanted: tuple[int, ...]) -> bool:
    return all(abs(one - other) <= CLOSE for one, other in zip(found, wanted, strict=True))


def shows_halves(image: Image.Image) -> bool:
    shown, middle = image.convert("RGB"), image.height // 2
    return alike(shown.getpixel((5, middle)), RED) and alike(
        shown.getpixel((image.width - 6, middle)), BLUE
    )


def chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def png(width: int, height: int, *more: bytes, data: bytes = b"", depth: int = 8) -> bytes:
    """A PNG of RGB, with these further chunks and this picture data."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [header, *more, chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    )


# Usual pictures


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "AVIF"])
@pytest.mark.parametrize("width", [256, 512, 1024])
def test_a_picture_of_each_type_is_as_wide_as_asked_and_never_enlarged(
    form: str, width: int
) -> None:
    found = small(encoded(halves(), form), width)
    wanted = min(width, 800)
    assert found.size == (wanted, wanted * 3 // 4)
    assert shows_halves(found)


def test_the_same_picture_makes_the_same_bytes() -> None:
    """Whoever is first stores it for all."""
    picture = encoded(halves())
    assert PillowThumbnails().made(picture, 512) == PillowThumbnails().made(picture, 512)


def test_transparency_stays() -> None:
    image = Image.new("RGBA", (600, 600), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 300, 600))
    found = small(encoded(image))
    assert found.mode == "RGBA"
    left, right = found.getpixel((5, 100)), found.getpixel((250, 100))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert (left[3], right[3]) == (0, 255)


# Hostile ones


def test_p1_a_bomb_is_refused_before_it_is_decoded() -> None:
    """60,000 by 60,000 pixels in some bytes."""
    assert "megapixels" in refused(png(60_000, 60_000))


def test_p2_the_limit_is_one_of_pixels() -> None:
    assert "megapixels" in refused(png(MOST_PIXELS // 1000 + 1, 1000))
    assert "cannot be read" in refused(png(MOST_PIXELS // 1000, 1000)), "it has no data"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "AVIF"])
def test_p3_a_file_that_is_cut_short_is_refused(form: str) -> None:
    whole = encoded(Image.effect_noise((400, 300), 90).convert("RGB"), form)
    for length in (len(whole) // 2, 40, 13):
        refused(whole[:length])


def test_p4_cmyk_is_shown_in_its_colors() -> None:
    found = small(encoded(halves(mode="CMYK"), "JPEG", quality=95))
    assert found.mode == "RGB"
    assert shows_halves(found)


def test_p5_sixteen_bits_keep_their_tones() -> None:
    gray = Image.linear_gradient("L").convert("I").point(lambda value: value * 257)
    found = small(encoded(gray.convert("I;16"))).convert("L")
    assert found.size == (256, 256)
    tones = [found.getpixel((5, y)) for y in (0, 128, 255)]
    assert alike(tones, (0, 128, 255))


def test_p6_sixteen_bits_of_color_are_read() -> None:
    pixel = struct.pack(">HHH", *(value * 257 for value in RED))
    rows = (b"\0" + pixel * 300) * 200
    found = small(png(300, 200, data=rows, depth=16))
    assert alike(found.getpixel((100, 100)), RED)


def test_p7_a_palette_with_transparency_is_shown_with_it() -> None:
    image = halves().quantize(4)
    first = image.getpixel((0, 0))
    found = small(encoded(image, transparency=first))
    left, right = found.getpixel((5, 50)), found.getpixel((250, 50))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert (left[3], right[3]) == (0, 255)
    assert alike(right[:3], BLUE)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "AVIF", "PNG"])
def test_p8_of_an_animation_the_first_frame_is_shown(form: str) -> None:
    frames = [Image.new("RGB", (400, 300), color) for color in (RED, BLUE, BLUE)]
    animation = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    found = small(animation)
    assert getattr(found, "n_frames", 1) == 1
    assert alike(found.convert("RGB").getpixel((100, 100)), RED)


def test_p9_a_frame_larger_than_its_screen_counts() -> None:
    """A GIF of 1 by 1 whose frame has 60,000 by 60,000 pixels."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x4c\x01\0;"
    assert "megapixels" in refused(screen + frame) or "cannot be read" in refused(screen + frame)


def test_p10_a_width_of_20_000_is_no_obstacle() -> None:
    assert small(encoded(halves(20_000, 1_000))).size == (256, 13)
    assert small(encoded(halves(20_000, 1))).size == (256, 1)


def test_p11_a_height_of_20_000_is_bounded() -> None:
    """A WebP may be 16,383 pixels high."""
    assert small(encoded(halves(30, 20_000))).size == (2, 1024)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_p12_a_picture_that_is_turned_by_exif_is_upright(orientation: int) -> None:
    turned = halves(800, 400)
    for back in _BACK[orientation]:
        turned = turned.transpose(back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = small(encoded(turned, "JPEG", exif=exif, quality=95))
    assert found.size == (256, 128)
    assert shows_halves(found)


_T = Image.Transpose
_BACK: dict[int, tuple[Image.Transpose, ...]] = {
    1: (),
    2: (_T.FLIP_LEFT_RIGHT,),
    3: (_T.ROTATE_180,),
    4: (_T.FLIP_TOP_BOTTOM,),
    5: (_T.TRANSPOSE,),
    6: (_T.ROTATE_90,),
    7: (_T.TRANSVERSE,),
    8: (_T.ROTATE_270,),
}
"""What a camera did to the picture, by the orientation that it wrote."""


def test_p13_a_wrong_extension_or_type_does_not_matter() -> None:
    """The bytes decide; no name or declared type is even passed."""
    assert shows_halves(small(encoded(halves(), "JPEG")))


@pytest.mark.parametrize("empty", [b"", b"\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a"])
def test_p14_a_file_with_nothing_in_it_is_refused(empty: bytes) -> None:
    refused(empty)


@pytest.mark.parametrize(
    "text",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"/* XPM */\nstatic char *x[] = {};",
        b"%PDF-1.7\n",
        b"II*\0\x08\0\0\0",
    ],
)
def test_p15_markup_and_formats_that_are_not_stored_are_refused(text: bytes) -> None:
    assert refused(text) == "The file is no picture that is read here."


def test_p16_metadata_is_dropped() -> None:
    exif = Image.Exif()
    exif[0x010E] = "made by a person"
    profile = b"a profile"
    for form in ("JPEG", "WEBP", "PNG", "AVIF"):
        options = {} if form == "AVIF" else {"icc_profile": profile}
        written = encoded(halves(), form, exif=exif, **options)
        made = PillowThumbnails().made(written, 512)
        assert b"person" in written
        assert b"person" not in made
        assert profile not in made
        assert not Image.open(io.BytesIO(made)).getexif()


def test_p17_metadata_that_grows_is_refused() -> None:
    """Texts that are compressed to a thousandth of their size."""
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80_000_000)))
    refused(png(10, 10, text, data=(b"\0" + bytes(30)) * 10))


def test_p18_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    """Each scan of a progressive JPEG goes over the whole picture."""
    whole = encoded(halves(), "JPEG", progressive=True)
    assert shows_halves(small(whole))
    last = whole[whole.rindex(b"\xff\xda") : -2]
    assert "scans" in refused(whole[:-2] + last * MOST_SCANS + whole[-2:])


def test_p19_data_that_lies_about_its_size_is_refused_or_bounded() -> None:
    rows = (b"\0" + bytes(RED) * 100) * 100
    for header in ((100, 0), (0, 100), (2**31 - 1, 2**31 - 1), (101, 5000)):
        refused(png(*header, data=rows))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "AVIF"])
def test_p20_damaged_bytes_end_in_a_picture_or_a_refusal(form: str) -> None:
    whole = encoded(Image.effect_noise((64, 48), 90).convert("RGB"), form)
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        try:
            small(bytes(damaged))
        except NoThumbnailError:
            continue


def test_whatever_the_decoder_raises_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(thumbnails.Image, "open", out_of_memory)
    assert refused(encoded(halves())) == "The picture cannot be read: MemoryError."
