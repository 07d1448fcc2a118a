"""API keys: random, and stored only as a hash."""

from __future__ import annotations

import hashlib

import pytest
from darkroom.domain import keys


def test_tokens_differ_and_are_long() -> None:
    tokens = {keys.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("dk_") and len(token) == 52 for token in tokens)


def test_a_rows_key_is_the_tokens_hash() -> None:
    token = keys.new_token()
    assert keys.key_id(token) == "KEY#" + hashlib.sha256(token.encode()).hexdigest()


def test_any_text_has_a_key() -> None:
    assert keys.key_id("\ud800") != keys.key_id("\ud801")
    assert len(keys.key_id("")) == 68


def test_a_mistyped_token_does_not_look_real() -> None:
    token = keys.new_token()
    assert keys.looks_real(token)
    for place in range(len(token)):
        other = "x" if token[place] != "x" else "y"
        assert not keys.looks_real(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize("text", ["", "dk_", "dk_short", "r8_" + "a" * 49, "dk_" + "é" * 43])
def test_what_was_never_made_here_does_not_look_real(text: str) -> None:
    assert not keys.looks_real(text)


def test_a_token_without_a_checksum_may_be_an_older_one() -> None:
    assert keys.looks_real("dk_" + "a" * 43)


def test_admin_may_all_that_the_others_may() -> None:
    assert all(keys.allows({"admin"}, scope) for scope in keys.SCOPES)
    assert not keys.allows({"submit", "read"}, "admin")
    assert not keys.allows({"read"}, "submit")
