"""Record ids, and the tokens that tie a URL to one record: for webhooks, watch URLs and
thumbnails."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_LENGTH = 26
_TIME = 9
"""Characters of a time, enough for 3,000 years."""
_ID = re.compile(r"[0-9a-z]{26}")
_PURPOSE = b"darkroom webhook link v1\0"  # separates these MACs from any other use of the key
_WATCH_PURPOSE = b"darkroom watch key v1\0"
_THUMBNAIL_PURPOSE = b"darkroom thumbnail key v1\0"
_TOKEN_BYTES = 24
_MIN_KEY_BYTES = 16
_EXPIRING_TOKEN = re.compile(r"([1-9][0-9]{0,10})\.([A-Za-z0-9_-]{32})")
_HOOK_TOKEN = re.compile(r"(/hooks/[^\s?\"']{1,100}\?t=)[A-Za-z0-9_-]+")
WATCHED_S = 24 * 3600
"""Lifetime of a watch token."""
LOOKED_AT_S = 3600
"""Least lifetime of a thumbnail's token."""
_ROUNDED_S = 300


def new_id(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Return 26 characters of base 36: 134 random bits, so an id cannot be guessed and reveals no
    time."""
    # Reducing 256 bits to 134 leaves a bias below 2**-121.
    number = int.from_bytes(random_bytes(32), "big")
    characters = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return "".join(characters)


def newest_first_id(now: int, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Return an id like `new_id`, but later ids sort first: the time in milliseconds, then 87
    random bits.

    For objects that are listed by key alone; access is controlled by their tenant and not by their
    id.
    """
    left = len(_ALPHABET) ** _TIME - 1 - now
    time = []
    for _ in range(_TIME):
        left, digit = divmod(left, len(_ALPHABET))
        time.append(_ALPHABET[digit])
    return "".join(reversed(time)) + new_id(random_bytes)[_TIME:]


def is_id(text: object) -> bool:
    """Whether this has exactly the form of a record id."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def token(record_id: str, created_at_ms: int, *, key: bytes) -> str:
    """Return the token for one record's webhook URL: 32 URL-safe characters, 192 bits of
    HMAC-SHA256.

    Raises ValueError for a key below 16 bytes, because with an empty one anybody could make tokens.
    """
    if len(key) < _MIN_KEY_BYTES:
        raise ValueError("the link key is too short")
    # The time comes first, since digits and a dot cannot merge with any id.
    message = f"{created_at_ms}.{record_id}".encode("utf-8", "surrogatepass")
    mac = hmac.digest(key, _PURPOSE + message, "sha256")
    return base64.urlsafe_b64encode(mac[:_TOKEN_BYTES]).decode()


def check(given: object, record_id: str, created_at_ms: int, *, keys: Iterable[bytes]) -> bool:
    """Whether `given` is this record's token under any of the keys (current and previous).

    Takes constant time in the token, and compares with every key. Never raises for input from
    outside.
    """
    if isinstance(given, str):
        given = given.encode("utf-8", "surrogatepass")
    candidate = given if isinstance(given, bytes) else b""
    matched = False
    for key in keys:
        expected = token(record_id, created_at_ms, key=key).encode()
        matched |= hmac.compare_digest(expected, candidate)
    return matched


def without_link_tokens(text: str) -> str:
    """Mask the token of every webhook URL of ours in the provider's text.

    A provider may quote the URL that it was given, and readers of the quote must not learn the
    token.
    """
    return _HOOK_TOKEN.sub(r"\1***", text) if "/hooks/" in text else text


def rounded_expiry(now_ms: int, seconds: int) -> int:
    """Return a time in seconds that is at least `seconds` away, rounded up to five minutes, so that
    answers within some minutes show the same URL and browsers can use their caches."""
    return -(-(now_ms // 1000 + seconds) // _ROUNDED_S) * _ROUNDED_S


def watch_token(record_id: str, expires_at: int, *, key: bytes) -> str:
    """Return the token for one record's watch URL. `key` is the link key. Raises ValueError for a
    key below 16 bytes."""
    return _expiring_token(_WATCH_PURPOSE, record_id, expires_at, key)


def check_watch(given: str, record_id: str, now_ms: int, *, keys: Iterable[bytes]) -> bool:
    """Whether `given` is this record's watch token under any of the keys, and not yet expired.

    Never raises for input from outside.
    """
    return _expiry_of(given, _WATCH_PURPOSE, record_id, now_ms, keys) is not None


def watch_url(public_url: str, record_id: str, token: str) -> str:
    """Return the URL at which a browser waits without an API key. Its query is a secret."""
    return f"{public_url.rstrip('/')}/v1/predictions/{record_id}/watch?t={token}"


def thumbnail_url(
    public_url: str, record_id: str, number: int, width: int, expires_at: int, *, key: bytes
) -> str:
    """Return the URL of one thumbnail of one file, which needs no API key. Its query is a secret.
    `key` is the link key."""
    subject = _thumbnail(record_id, str(number), str(width))
    token = _expiring_token(_THUMBNAIL_PURPOSE, subject, expires_at, key)
    return f"{public_url.rstrip('/')}/v1/predictions/{subject}?t={token}"


def thumbnail_expiry(
    given: str, record_id: str, number: str, width: str, now_ms: int, *, keys: Iterable[bytes]
) -> int | None:
    """Return the time in seconds at which this thumbnail's token expires; None for any other text,
    and for a token that has expired. Never raises for input from outside."""
    subject = _thumbnail(record_id, number, width)
    return _expiry_of(given, _THUMBNAIL_PURPOSE, subject, now_ms, keys)


def _thumbnail(record_id: str, number: str, width: str) -> str:
    return f"{record_id}/files/{number}/thumbnail/{width}"


def _expiring_token(purpose: bytes, subject: str, expires_at: int, key: bytes) -> str:
    """Return the expiry in seconds, and 192 bits of HMAC-SHA256.

    The signing key is derived from the link key for one purpose alone, so a webhook's token is
    never valid here, nor that of another purpose, and none reveals anything about the link key.
    Raises ValueError for a key below 16 bytes.
    """
    if len(key) < _MIN_KEY_BYTES:
        raise ValueError("the link key is too short")
    derived = hmac.digest(key, purpose, "sha256")
    message = f"{expires_at}.{subject}".encode("utf-8", "surrogatepass")
    mac = hmac.digest(derived, message, "sha256")
    return f"{expires_at}.{base64.urlsafe_b64encode(mac[:_TOKEN_BYTES]).decode()}"


def _expiry_of(
    given: str, purpose: bytes, subject: str, now_ms: int, keys: Iterable[bytes]
) -> int | None:
    """Return the expiry of a token that is valid now; None for any other text. Compares with every
    key."""
    parts = _EXPIRING_TOKEN.fullmatch(given)
    if parts is None:
        return None
    expires_at, matched = int(parts[1]), False
    for key in keys:
        expected = _expiring_token(purpose, subject, expires_at, key)
        matched |= hmac.compare_digest(expected, given)
    return expires_at if matched and now_ms < expires_at * 1000 else None
