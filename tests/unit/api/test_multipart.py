"""Forms from outside: whatever they hold, they are read or refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from darkroom.api.multipart import file_part
from darkroom.domain.errors import BadRequest, UnsupportedMedia
from hypothesis import given, settings
from hypothesis import strategies as st

FORM = "multipart/form-data; boundary=bound"


def form(*parts: tuple[bytes, bytes]) -> bytes:
    return b"".join(b"--bound\r\n%b\r\n\r\n%b\r\n" % part for part in parts) + b"--bound--\r\n"


@given(st.binary(max_size=5000))
def test_every_byte_of_a_file_arrives(data: bytes) -> None:
    body = form(
        (b'content-disposition: form-data; name="metadata"', b"{}"),
        (b'Content-Disposition: form-data; name="content"; filename="x.png"', data),
    )
    if b"\r\n--bound" in b"\r\n" + data:
        return
    part = file_part(FORM, body)
    assert (part.data, part.filename) == (data, "x.png")


def test_a_preamble_and_an_epilogue_are_not_part_of_it() -> None:
    body = b"preamble\r\n" + form((b"Content-Disposition: form-data; name=content", b"x"))
    assert file_part(FORM, body + b"epilogue").data == b"x"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (b"filename*=UTF-8''k%C3%A4se.png", "käse.png"),
        (b"filename=\"kaese.png\"; filename*=utf-8'de'k%C3%A4se.png", "käse.png"),
        (b"filename*=iso-8859-1''k%E4se.png; filename=kaese.png", "käse.png"),
        (b"filename*=koi8-r''%CB.png; filename=k.png", "k.png"),
        (b"filename*=utf-8; filename=k.png", "k.png"),
        ('filename="图片.png"'.encode(), "图片.png"),
        (b'FileName="a\\"b\\\\c;d.png"', 'a"b\\c;d.png'),
        (b"filename = a.png ; x=y", "a.png"),
        (b"\r\n\tfilename=a.png", "a.png"),
        (b'filename="a.png', '"a.png'),
        (b"filename=a.png; filename=b.png", "a.png"),
        (b"x", None),
    ],
)
def test_the_name_of_a_file(given: bytes, name: str | None) -> None:
    head = b'X: y\r\ncontent-disposition: form-data; name="content"; ' + given
    assert file_part(FORM, form((head, b"x"))).filename == name


def test_a_head_has_its_limit() -> None:
    head = b'Content-Disposition: form-data; name="content"\r\nX: '
    assert file_part(FORM, form((head + b"y" * 3900, b"x"))).data == b"x"
    with pytest.raises(BadRequest, match="4096"):
        file_part(FORM, form((head + b"y" * 4100, b"x")))


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=80),
        st.builds("multipart/form-data; {}".format, st.text(max_size=60)),
        st.sampled_from([FORM, "multipart/form-data; boundary*=x'y'z", "multipart/form-data;;=;"]),
        st.none(),
    ),
    st.one_of(
        st.binary(max_size=200),
        st.builds(lambda head: form((head, b"x")), st.binary(max_size=100)),
        st.builds(
            lambda rest: form((b"Content-Disposition: form-data; name=content" + rest, b"x")),
            st.binary(max_size=60),
        ),
    ),
)
def test_whatever_is_sent_is_read_or_refused(content_type: str | None, body: bytes) -> None:
    with suppress(BadRequest, UnsupportedMedia):
        assert file_part(content_type, body).field == "content"


@pytest.mark.parametrize("boundary", ["bound", '"bound"', "bound; charset=utf-8"])
def test_spellings_of_the_boundary(boundary: str) -> None:
    body = form((b"Content-Disposition: form-data; name=content", b"x"))
    assert file_part(f"Multipart/Form-Data; boundary={boundary}", body).data == b"x"
