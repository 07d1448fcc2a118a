"""API keys: how a token is made, and the id under which its row is found."""

from __future__ import annotations

import hashlib
import secrets

SCOPES = ("submit", "read", "admin")

_PREFIX = "dk_"


def new_token() -> str:
    """A fresh token of 256 random bits. It is shown once and never stored."""
    return _PREFIX + secrets.token_urlsafe(32)


def key_id(token: str) -> str:
    """The row's key. A plain hash is enough, since a token is random and not a password.

    Any text is taken, so that a hostile header is merely unknown.
    """
    return "KEY#" + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
