"""The media functions with arbitrary bytes."""

from __future__ import annotations

from darkroom.domain import media
from hypothesis import given
from hypothesis import strategies as st

KINDS = [*media.BY_EXTENSION.values()]
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
    b"\0\0\0\x10ftypheic\0\0\0\0\0\0\0\x40meta\0\0\0\0\0\0\0\x30iprp\0\0\0\x28ipco",
    b"\0\0\0\x14ispe\0\0\0\0\0\0",
    b"RIFF\x24\0\0\0WAVE",
    b"glTF\2\0\0\0",
    b"ID3\4",
    b"<?xml",
]
heads = st.builds(
    bytes.__add__,
    st.sampled_from(STARTS),
    st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from([0, 1, 2, 0xC0, 0xC4, 0xD9, 0xE1, 0xFF]), max_size=100).map(bytes),
    ),
)


said = st.sampled_from([None, "", "text/plain", "application/json", "image/png; q=1", ";/"])
urls = st.sampled_from(["", "https://x.test/a", "https://x.test/a.json", "https://x.test/a.png?b"])


def walked(kind: media.Media, data: bytes, piece: int, *, to_the_end: bool) -> media.Walk:
    walk = media.Walk(kind, to_the_end=to_the_end)
    for start in range(0, len(data), piece):
        walk.feed(data[start : start + piece])
    return walk


@given(head=heads, kind=st.sampled_from(KINDS), said=said, url=urls)
def test_any_bytes_are_answered(head: bytes, kind: media.Media, said: str | None, url: str) -> None:
    found = media.sniff(head)
    assert found is None or found in KINDS
    assert media.text(head, url, said) in {None, *media.TEXTS}
    assert media.refused(head, said) != ""
    for each in (kind, found or kind):
        measured = walked(each, head, 1000, to_the_end=False).size
        assert measured is None or (len(measured) == 2 and min(measured) > 0)


@given(head=heads, kind=st.sampled_from(KINDS), piece=st.integers(1, 50), to_the_end=st.booleans())
def test_it_does_not_matter_how_the_bytes_are_cut(
    head: bytes, kind: media.Media, piece: int, to_the_end: bool
) -> None:
    for each in (kind, media.sniff(head) or kind):
        whole = walked(each, head, 1000, to_the_end=to_the_end)
        parts = walked(each, head, piece, to_the_end=to_the_end)
        assert (whole.size, whole.ended) == (parts.size, parts.ended)


@given(heads)
def test_text_is_never_a_picture(tail: bytes) -> None:
    assert media.sniff(b"<svg " + tail) is None
    assert media.sniff(b"<!DOCTYPE html>" + tail) is None
    assert media.refused(b"<svg " + tail, "image/png") == "SVG"
    assert media.refused(b"<!DOCTYPE html>" + tail, None) is None
    for page in (b"<svg " + tail, b" <!DOCTYPE html>" + tail):
        assert media.text(page, "https://x.test/a.txt", "text/plain") is None
