"""Files inside an input: found, taken out and put back in the same place."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from darkroom.domain.errors import InvalidInput
from darkroom.domain.inputs import (
    DataURI,
    FileReference,
    escape,
    find_files,
    move_out,
    put_back,
    steps,
)
from hypothesis import given
from hypothesis import strategies as st

HERE = "https://darkroom.test"
ID = "a" * 26


def test_files_are_found_in_reading_order_wherever_they_are() -> None:
    value = {
        "a/b": ["data:,x", "text", 3],
        "c~": {"d": f"{HERE}/v1/files/{ID}"},
        "e": "https://elsewhere.test/v1/files/" + ID,
        "f": f"{HERE}/v1/files/{ID}/more",
        "g": "data: is what the story is about, mostly",
    }
    found = list(find_files(value, HERE))
    assert found == [DataURI(("a/b", "0"), "data:,x"), FileReference(("c~", "d"), ID)]
    assert [file.pointer for file in found] == ["/a~1b/0", "/c~0/d"]


def test_files_below_eight_levels_are_left_where_they_are() -> None:
    value: Any = "data:,x"
    for _ in range(8):
        value = [value]
    assert list(find_files(value, HERE)) == [DataURI(("0",) * 8, "data:,x")]
    assert list(find_files([value], HERE)) == []


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("data:,a%20b", b"a b"),
        ("data:text/plain,abc", b"abc"),
        ("data:;base64,YWJj", b"abc"),
        ("data:image/png;base64,YWJj", b"abc"),
        ("data:image/svg+xml;charset=utf-8;base64,YWJj", b"abc"),
        ("data:;base64,", b""),
        ("data:;base64;x,YWJj", b"YWJj"),
        ("data:;xbase64,YWJj", b"YWJj"),
        ("data:,%", b"%"),
        ("data:,%4%41%4g%é", b"%4A%4g%\xc3\xa9"),
    ],
)
def test_a_data_uri_decodes(text: str, data: bytes) -> None:
    assert DataURI(("x",), text).data() == data


@given(
    st.integers(0, 6),
    st.text(st.sampled_from("%4aFg é"), max_size=12),
    st.sampled_from(["", "x" * 65_536]),
)
def test_a_long_data_uri_decodes_as_a_short_one(short_of: int, text: str, after: str) -> None:
    text = "x" * (65_536 - short_of) + text + after
    assert DataURI(("x",), f"data:,{text}").data() == unquote_to_bytes(text)


@pytest.mark.parametrize(
    "text", ["data:@,x", "data:;base64,a", "data:;base64,!!!!", "data:;base64,é"]
)
def test_what_does_not_decode_is_refused_by_its_place(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^- input\.a/b\.0: Invalid "):
        DataURI(("a/b", "0"), text).data()


@pytest.mark.parametrize("part", ["plain", "a/b", "c~d", "~1", "~0", "", "~/"])
def test_a_step_survives_escaping(part: str) -> None:
    assert steps(f"/{escape(part)}/x") == [part, "x"]


def test_what_is_moved_out_can_be_put_back() -> None:
    value: dict[str, Any] = {"a": [1, {"b/c": "one"}], "d": "two", "e": ["three"]}
    for pointer in ("/a/1/b~1c", "/d", "/e/0"):
        move_out(value, pointer)
    assert value == {"a": [1, {}], "e": [None]}
    put_back(value, "/a/1/b~1c", "ONE")
    put_back(value, "/d", "TWO")
    put_back(value, "/e/0", "THREE")
    assert value == {"a": [1, {"b/c": "ONE"}], "d": "TWO", "e": ["THREE"]}
