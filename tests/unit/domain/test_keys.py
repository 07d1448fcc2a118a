"""API keys: random, and stored only as a hash."""

from __future__ import annotations

import hashlib

from darkroom.domain import keys


def test_tokens_differ_and_are_long() -> None:
    tokens = {keys.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("dk_") and len(token) == 46 for token in tokens)


def test_a_rows_key_is_the_tokens_hash() -> None:
    token = keys.new_token()
    assert keys.key_id(token) == "KEY#" + hashlib.sha256(token.encode()).hexdigest()


def test_any_text_has_a_key() -> None:
    assert keys.key_id("\ud800") != keys.key_id("\ud801")
    assert len(keys.key_id("")) == 68
