"""API keys: creation of a token, the id of its row, and the meaning of its scopes."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from typing import TYPE_CHECKING

from darkroom.domain import row_keys

if TYPE_CHECKING:
    from collections.abc import Collection

SCOPES = ("submit", "read", "admin")
ADMIN = "admin"
"""Allows everything that the tenant may do: the other scopes, including future ones."""
ANY = "any"
"""Not a scope that keys have: a route with it accepts every key and checks scopes itself."""

_PREFIX = "dk_"
_SECRET_LENGTH = 43
_CHECK_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK_LENGTH = 6


def new_token() -> str:
    """Create a token: `dk_`, 256 random bits in 43 characters, and a checksum of 6 characters.

    It is shown once and never stored.
    """
    secret = secrets.token_urlsafe(32)
    return f"{_PREFIX}{secret}{_checksum(secret)}"


def looks_real(text: str) -> bool:
    """Whether a token could be ours, as a scanner for leaked secrets would check.

    Also True without a checksum, because older keys have none.
    """
    secret = text.removeprefix(_PREFIX)
    if not text.startswith(_PREFIX) or not secret.isascii():
        return False
    check = secret[_SECRET_LENGTH:]
    return len(secret) >= _SECRET_LENGTH and check in {"", _checksum(secret[:_SECRET_LENGTH])}


def key_id(token: str) -> str:
    """Return the row's key. A plain hash is enough, since a token is random and not a password.

    Accepts any text, so that a hostile header is merely unknown.
    """
    return row_keys.API_KEY + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def allows(scopes: Collection[str], scope: str) -> bool:
    """Whether these scopes include `scope`."""
    return scope == ANY or scope in scopes or ADMIN in scopes


def _checksum(secret: str) -> str:
    """Return the CRC-32 in base 62. It proves nothing, but detects typing errors."""
    number = zlib.crc32(secret.encode())
    digits = ""
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, len(_CHECK_DIGITS))
        digits = _CHECK_DIGITS[digit] + digits
    return digits
