"""Files inside an input: found, taken out and put back in the same place."""

from __future__ import annotations

from typing import Any

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
    assert find_files(value, HERE) == [
        DataURI("/a~1b/0", "data:,x"),
        FileReference("/c~0/d", ID),
    ]


def test_files_below_eight_levels_are_left_where_they_are() -> None:
    value: Any = "data:,x"
    for _ in range(8):
        value = [value]
    assert find_files(value, HERE) == [DataURI("/0/0/0/0/0/0/0/0", "data:,x")]
    assert find_files([value], HERE) == []


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("data:,a%20b", b"a b"),
        ("data:text/plain,abc", b"abc"),
        ("data:;base64,YWJj", b"abc"),
        ("data:image/png;base64,YWJj", b"abc"),
        ("data:image/svg+xml;charset=utf-8;base64,YWJj", b"abc"),
        ("data:;base64,", b""),
    ],
)
def test_a_data_uri_decodes(text: str, data: bytes) -> None:
    assert DataURI("/x", text).data() == data


@pytest.mark.parametrize(
    "text", ["data:@,x", "data:;base64,a", "data:;base64,!!!!", "data:;base64,é"]
)
def test_what_does_not_decode_is_refused_by_its_place(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^- input\.a/b\.0: Invalid "):
        DataURI("/a~1b/0", text).data()


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
