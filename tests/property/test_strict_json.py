"""Strict JSON with arbitrary bytes and values."""

from __future__ import annotations

import json

import pytest
from darkroom.domain.strict_json import StrictJSONError, canonical, has_more_tokens, has_nul, loads
from hypothesis import event, given
from hypothesis import strategies as st

text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**50), 10**50)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=20,
)
fragments = st.sampled_from(
    [
        *[b"{", b"}", b"[", b"]", b",", b":", b'"', b" ", b"\\u", b"d800", b"\xff", b"\0"],
        *[b"1", b"-", b".", b"e9", b"NaN", b"true", b'"a"', b'{"a":'],
    ]
)


@given(st.one_of(st.binary(max_size=50), st.lists(fragments, max_size=15).map(b"".join)))
def test_nothing_but_the_refusal_escapes(raw: bytes) -> None:
    try:
        value = loads(raw)
    except StrictJSONError:
        event("refused")
        return
    event("accepted")
    assert value == json.loads(raw)
    assert loads(canonical(value).encode()) == value


@given(values)
def test_canonical_text_reads_back(value: object) -> None:
    again = loads(canonical(value).encode())
    assert again == value
    assert canonical(again) == canonical(value)
    assert loads(json.dumps(value).encode()) == value


@given(values)
def test_nul_is_found_wherever_the_text_shows_it(value: object) -> None:
    assert has_nul(value) is ("\\u0000" in canonical(value).replace("\\\\", ""))


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=4), values)
def test_a_repeated_key_is_refused_at_any_level(path: list[str], value: object) -> None:
    inner = canonical(value)
    for key in path:
        inner = f'{{"{key}": {inner}}}'
    assert loads(inner.encode()) is not None
    with pytest.raises(StrictJSONError, match="duplicate"):
        loads(f'[{{"x": 0, "y": {inner}, "x": 0}}]'.encode())


def tokens(value: object) -> int:
    """Return the value as in the parser's own result."""
    match value:
        case str():
            return 1
        case list():
            return 1 + max(0, len(value) - 1) + sum(map(tokens, value))
        case dict():
            return 1 + max(0, len(value) - 1) + 2 * len(value) + sum(map(tokens, value.values()))
    return 0


@given(values, st.booleans(), st.sampled_from([None, 2]))
def test_tokens_are_those_of_the_value_however_it_is_spelled(
    value: object, ascii_: bool, indent: int | None
) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_, indent=indent).encode()
    count = tokens(value)
    assert not has_more_tokens(raw, count)
    assert count == 0 or has_more_tokens(raw, count - 1)
    # An input within its limit of bytes is therefore far within the same limit of tokens.
    assert 3 * count <= 2 * len(canonical(value).encode()) - 1
