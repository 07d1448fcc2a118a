"""The provider's JSON: one unreadable value affects only itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from darkroom.domain import lenient_json
from darkroom.domain.lenient_json import LenientJSONError, doubled, elements, loads
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (
            b'{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1}',
            {"a": None, "b": None, "c": None, "d": 1},
        ),
        (b"[%s, 2]" % (b"9" * 1001), [None, 2]),
        (b"[%s]" % (b"9" * 400), [int("9" * 400)]),
        (b'"\\ud800x"', "?x"),
        (b'{"\\udc00": "\\u00e9"}', {"?": "é"}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"[" * 128 + b"]" * 128, json.loads("[" * 128 + "]" * 128)),
    ],
    ids=["no numbers", "long", "400 digits", "surrogate", "in a key", "doubled", "128 levels"],
)
def test_what_means_nothing_reads_as_little(raw: bytes, value: Any) -> None:
    assert loads(raw) == value


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff", b"\xef\xbb\xbf{}", b"[" * 100_000, b"<html>", b'"\\u"'],
    ids=["empty", "open", "not UTF-8", "byte order mark", "deep", "html", "escape"],
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(LenientJSONError):
        loads(raw)


def test_an_object_tells_which_keys_it_has_twice() -> None:
    assert doubled(loads(b'{"a": 1, "b": 2, "a": 3, "a": 4}')) == {"a"}
    assert doubled(loads(b'{"a": 1}')) == doubled(7) == frozenset()


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(st.characters(codec="utf-8"))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=5), st.dictionaries(st.text(max_size=5), VALUES, max_size=3))
def test_elements_are_the_arrays_own(items: list[Any], around: dict[str, Any]) -> None:
    around.pop("results", None)
    for page in ({**around, "results": items}, {"results": items, **around}):
        for spaces in (None, 2):
            found = elements(json.dumps(page, indent=spaces).encode(), "results")
            assert found is not None
            assert [json.loads(each) for each in found] == items


@given(VALUES)
def test_what_is_strict_is_read_the_same(value: Any) -> None:
    assert loads(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'{"other": [1]}',
        b'{"x": {"results": [1]}}',
        b'{"results": 1}',
        b'{"results": [',
    ],
)
def test_without_the_array_there_are_no_elements(raw: bytes) -> None:
    assert elements(raw, "results") is None


def test_a_name_in_a_text_is_no_key() -> None:
    raw = b'{"x": "results", "y": ["results"], "z": "\\"results\\":[", "results": [1, 2]}'
    assert elements(raw, "results") == [b"1", b"2"]


def test_an_element_that_no_parser_takes_stands_beside_others() -> None:
    raw = b'{"results": [1, %s, 2]}' % (b"[" * 90_000 + b"]" * 90_000)
    with pytest.raises(LenientJSONError):
        loads(raw)
    found = lenient_json.elements(raw, "results")
    assert found is not None
    assert [found[0], found[2]] == [b"1", b"2"]
