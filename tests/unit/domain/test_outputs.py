"""The texts of an output that name files, and the stored and shown parts."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from darkroom.domain.outputs import file_texts, kept, places_in, shown
from darkroom.domain.places import DEEPEST, MOST_PATTERNS, Place

A, B = "https://replicate.delivery/x/a.png", "https://example.com/license"
DATA = "data:image/png;base64,AAAA"
FILE = {"type": "string", "format": "uri"}
TEXT = {"type": "string"}


def named(output: Any, schema: object = None) -> list[tuple[str, bool]]:
    texts = file_texts(output, Place([schema]).patterns())
    return [(text.url, text.declared) for text in texts]


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        ("https://x/0", ["https://x/0"]),
        (["http://x/0", "text", 3, None], ["http://x/0"]),
        ({"a": ["HTTPS://x/0"], "b": {"c": "https://x/1"}}, ["HTTPS://x/0", "https://x/1"]),
        ("text", []),
        ("see https://x/0", []),
        ("https://x/0 and more", []),
        (["data:", DATA], []),
        ([[[[[[[["https://x/0"]]]]]]]], ["https://x/0"]),
        ([[[[[[[[["https://x/too-deep"]]]]]]]]], []),
    ],
)
@pytest.mark.parametrize("schema", [None, {}, {"title": "Output"}, {"type": "object"}, 7])
def test_f12_without_a_schema_a_url_may_name_a_file(
    output: Any, urls: list[str], schema: object
) -> None:
    assert named(output, schema) == [(url, False) for url in urls]


@pytest.mark.parametrize(
    ("schema", "output", "expected"),
    [
        (FILE, A, [(A, True)]),
        (FILE, DATA, [(DATA, True)]),
        (FILE, "no picture", []),
        (FILE, [A], [(A, False)]),
        ({"type": "array", "items": FILE}, [A, B, "x"], [(A, True), (B, True)]),
        ({"type": "array", "items": FILE}, {"image": A, "source": B}, [(A, False), (B, False)]),
        ({"type": "array", "items": FILE}, A, [(A, False)]),
        ({"type": "array", "items": TEXT}, [A, B], []),
        (TEXT, A, []),
        ({"anyOf": [FILE, {"type": "array", "items": FILE}]}, [A], [(A, True)]),
        ({"anyOf": [FILE, TEXT]}, A, [(A, False)]),
        (
            {"properties": {"image": FILE, "note": TEXT, "meta": {"type": "object"}}},
            {"image": A, "note": A, "meta": {"source": B}, "more": A},
            [(A, True), (B, False), (A, False)],
        ),
        (
            {"properties": {"a/b~c": FILE}, "additionalProperties": TEXT},
            {"a/b~c": A, "else": A},
            [(A, True)],
        ),
        ({"additionalProperties": {"items": FILE}}, {"any": [A]}, [(A, True)]),
        ({"properties": {"": FILE}, "additionalProperties": TEXT}, {"": A, "b": A}, [(A, True)]),
        ({"properties": {"*": FILE}}, ["x", A], [(A, False)]),
    ],
)
def test_f12_what_the_schema_calls_a_uri_is_a_file_and_what_it_calls_text_is_none(
    schema: object, output: Any, expected: list[tuple[str, bool]]
) -> None:
    assert named(output, schema) == expected


def test_a_schema_says_no_more_than_a_record_may_hold() -> None:
    wide = {"properties": {f"p{n}": FILE for n in range(2 * MOST_PATTERNS)}}
    assert len(Place([wide]).patterns()) == MOST_PATTERNS
    deep: dict[str, Any] = FILE
    for _ in range(DEEPEST):
        deep = {"items": deep}
    assert Place([deep]).patterns() == ("/*" * DEEPEST,)
    assert Place([{"items": deep}]).patterns() == ()


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (A, "data:"),
        ([A, "text", A], ["data:", "text", "data:"]),
        ({"image": [A], "meta": {"source": "s", "n": [], "o": {}}}, None),
    ],
)
def test_an_output_is_kept_with_places_for_its_files(output: Any, expected: Any) -> None:
    before = deepcopy(output)
    texts = file_texts(output, ())
    places = kept(output, texts)
    assert output == before
    if expected is not None:
        assert places == expected
    assert places_in(places) == len(texts)
    ours = [f"https://ours/{n}" for n in range(len(texts))]
    seen = repr(shown(places, ours))
    for url in ours:
        seen = seen.replace(url, A)
    assert seen == repr(output)


def test_text_is_kept_and_shown_as_it_is() -> None:
    output = {"image": A, "source": B, "last": "data:"}
    image, _ = file_texts(output, ())
    assert shown(kept(output, [image]), ["https://ours/0"]) == {
        "image": "https://ours/0",
        "source": B,
        "last": "data:",
    }
    assert kept(output, []) == output


def test_nothing_has_no_files() -> None:
    assert (file_texts(None, ()), kept(None, []), shown(None, []), places_in(None)) == (
        [],
        None,
        None,
        0,
    )
