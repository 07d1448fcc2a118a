"""Forms from outside: any content is either read or rejected."""

from __future__ import annotations

from contextlib import suppress

import pytest
from darkroom.api.multipart import MOST_PARTS, read_form
from darkroom.domain.errors import BadRequestError, UnsupportedMediaError
from hypothesis import given
from hypothesis import strategies as st

from tests.support.multipart import FORM, form


@given(st.binary(max_size=5000))
def test_every_byte_of_a_file_arrives(data: bytes) -> None:
    body = form(
        (b'content-disposition: form-data; name="metadata"', b"{}"),
        (b'Content-Disposition: form-data; name="content"; filename="x.png"', data),
    )
    if b"\r\n--bound" in b"\r\n" + data:
        return
    part = read_form(FORM, body)
    assert (part.data, part.filename) == (data, "x.png")


def test_a_preamble_and_an_epilogue_are_not_part_of_it() -> None:
    body = b"preamble\r\n" + form((b"Content-Disposition: form-data; name=content", b"x"))
    assert read_form(FORM, body + b"epilogue").data == b"x"


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
        (b'filename="a.png', '"a.png'),
        (b"filename=a.png; filename=b.png", "a.png"),
        (b"x", None),
    ],
)
def test_the_name_of_a_file(given: bytes, name: str | None) -> None:
    head = b'X: y\r\ncontent-disposition: form-data; name="content"; ' + given
    assert read_form(FORM, form((head, b"x"))).filename == name


NAMED = b'Content-Disposition: form-data; name="content"; filename=a.txt\r\nContent-Type: '


@pytest.mark.parametrize(
    ("kind", "field", "found"),
    [
        (b"text/plain", None, "text/plain"),
        (b"Text/Plain; charset=utf-8", None, "text/plain"),
        (b"application/octet-stream", b"application/zip", "application/zip"),
        (b"text/plain", b"application/zip", "application/zip"),
        (b"text/plain", b"", "text/plain"),
        (b"text/plain", b"no type", "text/plain"),
        (b"text/plain", b"a/b\r\nx: y", "text/plain"),
        (b"\xff/\xff", None, None),
        (b"a/" + b"b" * 200, None, None),
        (b"", None, None),
    ],
)
def test_the_type_of_a_file_is_the_forms_own_before_the_parts(
    kind: bytes, field: bytes | None, found: str | None
) -> None:
    parts = [(NAMED + kind, b"x")]
    if field is not None:
        parts.append((b"Content-Disposition: form-data; name=type", field))
    assert read_form(FORM, form(*parts)).content_type == found


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b"named.txt", "named.txt"),
        ("图片.png".encode(), "图片.png"),
        (b"", "a.txt"),
        (None, "a.txt"),
    ],
)
def test_the_name_of_a_file_is_the_forms_own_before_the_parts(
    field: bytes | None, name: str
) -> None:
    parts = [(NAMED + b"text/plain", b"x")]
    if field is not None:
        parts.insert(0, (b"Content-Disposition: form-data; name=filename", field))
    assert read_form(FORM, form(*parts)).filename == name


def test_the_first_field_of_a_name_counts() -> None:
    head = b"Content-Disposition: form-data; name=metadata"
    body = form((head, b"{}"), (head, b"[]"), (NAMED, b"x"), (NAMED, b"y"))
    found = read_form(FORM, body)
    assert (found.metadata, found.data) == (b"{}", b"x")


def test_a_head_has_its_limit() -> None:
    head = b'Content-Disposition: form-data; name="content"\r\nX: '
    assert read_form(FORM, form((head + b"y" * 3900, b"x"))).data == b"x"
    with pytest.raises(BadRequestError, match="4096"):
        read_form(FORM, form((head + b"y" * 4100, b"x")))


def test_a_header_in_several_lines_is_refused() -> None:
    """No client of today sends one, and to put thousands of lines together takes long."""
    head = b'Content-Disposition: form-data; name="content";\r\n\tfilename=a.png'
    with pytest.raises(BadRequestError, match="continuation"):
        read_form(FORM, form((head, b"x")))


@pytest.mark.parametrize("parts", [MOST_PARTS, MOST_PARTS + 1])
def test_a_form_has_so_many_parts(parts: int) -> None:
    body = form(*[(b"Content-Disposition: form-data; name=content", b"x")] * parts)
    if parts <= MOST_PARTS:
        assert read_form(FORM, body).data == b"x"
        return
    with pytest.raises(BadRequestError, match=f"{MOST_PARTS} parts"):
        read_form(FORM, body)


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
    with suppress(BadRequestError, UnsupportedMediaError):
        assert isinstance(read_form(content_type, body).data, bytes)


@pytest.mark.parametrize("boundary", ["bound", '"bound"', "bound; charset=utf-8"])
def test_spellings_of_the_boundary(boundary: str) -> None:
    body = form((b"Content-Disposition: form-data; name=content", b"x"))
    assert read_form(f"Multipart/Form-Data; boundary={boundary}", body).data == b"x"
