"""Standard Webhooks signatures (v1, HMAC-SHA256): verifying the provider's, creating our own."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from darkroom.domain.values import immutable

TOLERANCE_S = 300
MAX_KEYS = 3
_MAX_HEADER = 1024

_SECRET = re.compile(r"whsec_([A-Za-z0-9+/]+={0,2})")
# No dot in an id; otherwise id "a.1" with time "2" would sign the same text as "a" with "1.2".
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TIMESTAMP = re.compile(r"[1-9][0-9]{8,11}")
# Up to eight entries of printable ASCII with one space between: no tab, no empty entry.
_SIGNATURES = re.compile(r"[!-~]+(?: [!-~]+){0,7}")


class Reason(StrEnum):
    """Why a message was rejected: suitable for a metric, and without any of its content."""

    MISSING_HEADER = "missing_header"
    REPEATED_HEADER = "repeated_header"
    BAD_ID = "bad_id"
    BAD_TIMESTAMP = "bad_timestamp"
    BAD_SIGNATURE = "bad_signature"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    NO_MATCH = "no_match"


class SignatureRejectedError(Exception):
    """The message is not proven to come from a holder of the secret within the time limit."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class KeyRejectedError(ValueError):
    """A signing secret is unusable. The text never contains the secret."""


@immutable
class SignedMessage:
    """Id and time of a verified message."""

    id: str
    """The same for all attempts of one message."""
    timestamp: int
    """Unix seconds of this attempt."""


def load_keys(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Return the keys of one to three `whsec_` secrets, current first. Raises KeyRejectedError.

    Strict, so that a damaged secret fails at start and does not become a key that can be guessed:
    canonical base64 with its padding, 24 to 64 bytes.
    """
    keys = tuple(_key(secret) for secret in secrets)
    if not 1 <= len(keys) <= MAX_KEYS:
        raise KeyRejectedError(f"expected 1 to {MAX_KEYS} signing secrets, got {len(keys)}")
    return keys


def verify(
    headers: Mapping[str, object] | None,
    body: bytes,
    *,
    keys: Iterable[bytes],
    now: float,
) -> SignedMessage:
    """Verify that a request is authentic and recent (`now` in Unix seconds, 300 s either way).

    Raises SignatureRejectedError, and nothing else, for any headers and body. The body is the bytes
    as received, unparsed.
    """
    message_id = _header(headers, "webhook-id")
    timestamp = _header(headers, "webhook-timestamp")
    signatures = _header(headers, "webhook-signature")
    if _ID.fullmatch(message_id) is None:
        raise SignatureRejectedError(Reason.BAD_ID)
    if _TIMESTAMP.fullmatch(timestamp) is None:
        raise SignatureRejectedError(Reason.BAD_TIMESTAMP)
    if len(signatures) > _MAX_HEADER or _SIGNATURES.fullmatch(signatures) is None:
        raise SignatureRejectedError(Reason.BAD_SIGNATURE)
    if "=," in signatures:
        # A comma after a signature shows that a gateway joined two header lines.
        raise SignatureRejectedError(Reason.REPEATED_HEADER)
    age = now - int(timestamp)
    if not age <= TOLERANCE_S:
        raise SignatureRejectedError(Reason.TOO_OLD)
    if age < -TOLERANCE_S:
        raise SignatureRejectedError(Reason.TOO_NEW)

    # The whole text is compared, so that neither another version than v1 nor another spelling of
    # the same bytes in base64 matches. No early exit.
    matched = False
    for key in keys:
        expected = _sign(message_id, timestamp, body, key).encode()
        for entry in signatures.split(" "):
            matched |= hmac.compare_digest(expected, entry.encode())
    if not matched:
        raise SignatureRejectedError(Reason.NO_MATCH)
    return SignedMessage(message_id, int(timestamp))


def sign(message_id: str, timestamp: int, body: bytes, *, key: bytes) -> str:
    """Return the `webhook-signature` value for one attempt. Raises ValueError for an id with a
    dot."""
    if _ID.fullmatch(message_id) is None:
        raise ValueError("a message id is 1 to 128 letters, digits, hyphens or underscores")
    return _sign(message_id, str(timestamp), body, key)


def _sign(message_id: str, timestamp: str, body: bytes, key: bytes) -> str:
    mac = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(mac).decode()


def _header(headers: Mapping[str, object] | None, name: str) -> str:
    """Return the single value of a header, whatever the casing of its name."""
    if not isinstance(headers, Mapping):
        raise SignatureRejectedError(Reason.MISSING_HEADER)
    values = [
        value
        for key, value in headers.items()
        # lower() maps some letters beyond ASCII into it, such as the Kelvin sign to k.
        if isinstance(key, str) and key.isascii() and key.lower() == name
    ]
    if len(values) > 1 or (values and isinstance(values[0], list | tuple)):
        raise SignatureRejectedError(Reason.REPEATED_HEADER)
    if not values or not isinstance(values[0], str) or not values[0].strip():
        raise SignatureRejectedError(Reason.MISSING_HEADER)
    return values[0]


def _key(secret: object) -> bytes:
    match = _SECRET.fullmatch(secret) if isinstance(secret, str) else None
    if match is None:
        raise KeyRejectedError("a signing secret is whsec_ and base64")
    encoded = match[1]
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise KeyRejectedError("a signing secret's base64 is damaged") from None
    if base64.b64encode(key).decode() != encoded:
        raise KeyRejectedError("a signing secret's base64 is not canonical")
    if not 24 <= len(key) <= 64:
        raise KeyRejectedError(f"a signing secret holds 24 to 64 bytes, not {len(key)}")
    return key
