"""Accepted JSON, and the canonical text of a value."""

from __future__ import annotations

import time

import pytest
from darkroom.domain.strict_json import StrictJSONError, canonical, has_more_tokens, has_nul, loads


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b" [1, -2.5, 1e3, true, null] \r\n", [1, -2.5, 1000.0, True, None]),
        (b'"caf\xc3\xa9 \\u00e9 \\ud83d\\ude00"', "café é 😀"),
        (b'"\\\\ud800"', "\\ud800"),
        (b"9" * 39, 10**39 - 1),
        (b"-" + b"9" * 1000, -(10**1000 - 1)),
        (b'{"a": {"a": {"b": [] }}}', {"a": {"a": {"b": []}}}),
        (b'"' + b"[" * 100 + b'"', "[" * 100),
        (b'{"a": [' + b"[]," * 99 + b"[]]}", {"a": [[]] * 100}),
        (b"-0.0", 0.0),
        (b"1E+126", 1e126),
        (b'"\\u0000"', "\0"),
    ],
)
def test_accepted(raw: bytes, value: object) -> None:
    assert loads(raw) == value


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"  ", "not JSON", id="blank"),
        pytest.param(b"nope", "not JSON", id="A1"),
        pytest.param(b"{'a': 1}", "not JSON", id="single-quotes"),
        pytest.param(b'{"a": 1,}', "not JSON", id="trailing-comma"),
        pytest.param(b"{} {}", "not JSON", id="two-values"),
        pytest.param(b"{}\0", "not JSON", id="trailing-nul"),
        pytest.param(b'"a\nb"', "not JSON", id="raw-control-character"),
        pytest.param(b"01", "not JSON", id="leading-zero"),
        pytest.param(b"\xc2\xa0{}", "not JSON", id="no-break-space"),
        pytest.param(b"\xef\xbb\xbf{}", "not JSON", id="W52-byte-order-mark"),
        pytest.param(b'"\xff"', "not UTF-8", id="W53-not-utf8"),
        pytest.param(b'"\xed\xa0\x80"', "not UTF-8", id="encoded-surrogate"),
        pytest.param("{}".encode("utf-16"), "not UTF-8", id="W54-utf-16"),
        pytest.param("{}".encode("utf-16-le"), "not JSON", id="W54-utf-16-le"),
        pytest.param(b'{"a": 1, "a": 1}', "duplicate key", id="A3"),
        pytest.param(b'[{"x": {"a": 1, "b": 2, "\\u0061": 3}}]', "duplicate key", id="W56"),
        pytest.param(b"[NaN]", "NaN is not JSON", id="A4-nan"),
        pytest.param(b"Infinity", "Infinity is not JSON", id="A4-infinity"),
        pytest.param(b"-Infinity", "-Infinity is not JSON", id="A4-minus-infinity"),
        pytest.param(b"1e999", "number out of range", id="A4-1e999"),
        pytest.param(b"[-1e999]", "number out of range", id="W55"),
        pytest.param(nested(65), "nested too deeply", id="depth-65"),
        pytest.param(b'{"a":' * 65 + b"1" + b"}" * 65, "nested too deeply", id="objects-65"),
        pytest.param(nested(200), "nested too deeply", id="A5"),
        pytest.param(nested(100_000), "nested too deeply", id="W57"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested", id="W57-objects"),
        pytest.param(b"9" * 1001, "number too long", id="1001-digits"),
        pytest.param(b"9" * 5000, "number too long", id="A6"),
        pytest.param(b"-" + b"9" * 5000, "number too long", id="A6-negative"),
        pytest.param(b"0." + b"1" * 5000, "number too long", id="long-fraction"),
        pytest.param(b'"\\ud800"', "lone surrogate", id="A10"),
        pytest.param(b'{"\\udc00": 1}', "lone surrogate", id="A10-in-a-key"),
        pytest.param(b'"\\ud800\\ud800"', "lone surrogate", id="A10-two-high"),
    ],
)
def test_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(StrictJSONError, match=reason):
        loads(raw)


def test_64_levels_are_accepted() -> None:
    assert loads(nested(64)) is not None
    assert loads(b'{"a":' * 64 + b"1" + b"}" * 64) is not None


def test_the_reason_does_not_quote_the_document() -> None:
    with pytest.raises(StrictJSONError) as caught:
        loads(b'{"token": "r8_secret", "token": "r8_secret"} r8_secret')
    assert "r8" not in str(caught.value)
    with pytest.raises(StrictJSONError) as caught:
        loads(b'{"token": r8_secret}')
    assert str(caught.value) == "not JSON at character 10"


def test_5_mb_of_logs_are_read_at_once() -> None:
    logs = '100%|█| 50/50 [00:03<00:00, 14.9it/s]\\n "quoted" [{' * 100_000
    raw = canonical({"id": "x", "logs": logs}).encode()
    assert len(raw) > 5_000_000
    started = time.process_time()
    assert loads(raw)["logs"] == logs
    # A Python loop over the characters would take well over a second.
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1.0, 0.1, None, True]}, '{"a":[1.0,0.1,null,true],"b":1}'),
        ({"é": "é\u2028\0"}, '{"é":"é\u2028\\u0000"}'),
        (1e22, "1e+22"),
        (10**400, "1" + "0" * 400),
    ],
)
def test_canonical(value: object, text: str) -> None:
    assert canonical(value) == text


def test_canonical_does_not_depend_on_key_order() -> None:
    assert canonical({"a": {"x": 1, "y": 2}, "b": 3}) == canonical({"b": 3, "a": {"y": 2, "x": 1}})


def test_canonical_refuses_what_json_lacks() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(float("nan"))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a\0", True),
        ({"a": ["b", {"c": "\0"}]}, True),
        ({"a\0": 1}, True),
        ([[["\0"]]], True),
        ({"a": ["b", 1, None, 2.5, True], "\\u0000": ""}, False),
        ([], False),
        (0, False),
    ],
)
def test_has_nul(value: object, found: bool) -> None:
    assert has_nul(value) is found


@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        (b"", 0),
        (b" 1.5e3 \t true \r\n null ", 0),
        (b"[[],[{}]]", 5),
        (b'{"a": [1, 2], "b": ""}', 9),
        (b'{"a,:[{": "\\",[{:\\\\"}', 4),
        ('{"é,": "\u2028[,"}'.encode(), 4),
        (b"]}]}", 0),
        pytest.param(b'["a, [[[', 2, id="a string without an end"),
        pytest.param(b'["a, [[[\\', 2, id="nor of its last escape"),
        pytest.param(b'"a\n,"\xff"\xff,"', 2, id="what no string may hold"),
    ],
)
def test_tokens_are_counted_outside_of_strings(raw: bytes, tokens: int) -> None:
    assert not has_more_tokens(raw, tokens)
    assert tokens == 0 or has_more_tokens(raw, tokens - 1)


@pytest.mark.parametrize(
    "raw",
    [
        b'"' + b'\\"' * 3_000_000,
        b'"' + b"\\" * 6_000_000,
        b'"' * 6_000_000,
        b"[]," * 2_000_000,
        b" " * 6_000_000 + b"[" * 100_001,
        b'"data:,' + b"," * 6_000_000,
    ],
)
def test_tokens_of_6_mb_are_counted_at_once(raw: bytes) -> None:
    started = time.process_time()
    has_more_tokens(raw, 100_000)
    assert time.process_time() - started < 0.5
