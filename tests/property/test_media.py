"""The media functions against arbitrary bytes."""

from __future__ import annotations

from darkroom.domain import media
from hypothesis import given
from hypothesis import strategies as st

KINDS = [media.PNG, media.JPEG, media.WEBP, media.GIF, media.AVIF, media.MP4]
STARTS = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    b"\xff\xd8\xff\xc0",
    b"RIFF\x24\0\0\0WEBP",
    b"RIFF\x24\0\0\0WEBPVP8 ",
    b"RIFF\x24\0\0\0WEBPVP8L\x10\0\0\0/",
    b"RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0",
    b"GIF89a",
    b"\0\0\0\x20ftyp",
    b"\xff\xff\xff\xffftypmif1",
]
heads = st.builds(
    bytes.__add__,
    st.sampled_from(STARTS),
    st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from([0, 1, 2, 0xC0, 0xC4, 0xD9, 0xE1, 0xFF]), max_size=100).map(bytes),
    ),
)


@given(head=heads, tail=st.binary(max_size=50), kind=st.sampled_from(KINDS), length=st.integers(0))
def test_any_bytes_are_answered(head: bytes, tail: bytes, kind: media.Media, length: int) -> None:
    found = media.sniff(head)
    assert found is None or found in KINDS
    for each in (kind, found or kind):
        measured = media.size(head, each)
        assert measured is None or (len(measured) == 2 and min(measured) > 0)
        assert media.complete(each, head, tail, length) in {True, False}


@given(heads)
def test_text_is_never_a_picture(tail: bytes) -> None:
    assert media.sniff(b"<svg " + tail) is None
    assert media.sniff(b"<!DOCTYPE html>" + tail) is None
