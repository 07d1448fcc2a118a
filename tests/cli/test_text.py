"""Texts from outside cannot steer the terminal, and give no file its name."""

from __future__ import annotations

import io
import sys
import unicodedata

import pytest
from darkroom_cli.screen import Screen, tolerant
from darkroom_cli.text import extension, is_id, short, visible
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]8;;https://evil.example\x07here", r"\x1b]8;;https://evil.example\x07here"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb\x08c", r"a\x0db\x08c"),
        ("invoice\u202egnp.exe", r"invoice\u202egnp.exe"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("a\u2028b", r"a\u2028b"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("日本語 é 👩\u200d🚀", "日本語 é 👩\u200d🚀"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    for shown in (visible(text), short(text, 40)):
        kinds = {unicodedata.category(c) for c in shown if c not in "\u200c\u200d"}
        assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(short(text, 40)) <= 40


def test_json_on_the_screen_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(json=True).show({"error": "\x1b[2J\u202e"})
    assert capsys.readouterr().out == '{"error": "\\u001b[2J\\u202e"}\n'


def test_a_table_for_a_pipe_is_lines_with_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(("a", "b"), [("one\ttwo", "\x1b[0m[bold]")])
    assert capsys.readouterr().out == "one two\t\\x1b[0m[bold]\n"


def test_a_terminal_without_the_characters_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", plain)
    tolerant()
    Screen().say("日本")
    plain.flush()
    assert plain.buffer.getvalue() == b"\\u65e5\\u672c\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text", ["", "../../x", "A" * 26, "a" * 25, "a" * 27, "a" * 26 + "\n", None]
)
def test_what_is_no_id_is_in_no_path(text: object) -> None:
    assert not is_id(text)
    assert is_id("0z" * 13)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("image/png", "png"), ("text/html", "bin"), ("../../x", "bin"), ("application/x-sh", "bin")],
)
def test_an_extension_follows_from_known_types(kind: str, ending: str) -> None:
    assert extension(kind) == ending
