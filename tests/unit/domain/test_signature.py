"""The webhook verifier, case by case: accepted messages, and its uniform rejection.

Case numbers W1 to W58 are those of the project's list of bad webhook deliveries.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.signature import (
    KeyRejectedError,
    Reason,
    SignatureRejectedError,
    SignedMessage,
    load_keys,
    sign,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OTHER_KEY = b"another key of thirty-two bytes."
NOW = 1_795_000_000
ID = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
BODY = b'{"id": "abc", "status": "succeeded", "logs": "caf\xc3\xa9"}'


def mac(content: bytes, key: bytes = KEY) -> bytes:
    return hmac.digest(key, content, "sha256")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


CONTENT = f"{ID}.{NOW}.".encode() + BODY
GOOD = "v1," + b64(mac(CONTENT))
JUNK = "v1," + b64(bytes(32))


def delivery(**changes: object) -> dict[str, object]:
    """Return a valid request's headers; a change to None removes the header."""
    headers: dict[str, object] = {
        "content-type": "application/json",
        "webhook-id": ID,
        "webhook-timestamp": str(NOW),
        "webhook-signature": GOOD,
    }
    headers |= {f"webhook-{name}": value for name, value in changes.items()}
    return {name: value for name, value in headers.items() if value is not None}


def at(timestamp: str) -> dict[str, object]:
    """Return headers with this timestamp and a signature over exactly its text."""
    content = f"{ID}.{timestamp}.".encode("utf-8", "surrogatepass") + BODY
    return delivery(timestamp=timestamp, signature="v1," + b64(mac(content)))


def refused(headers: Mapping[str, object] | None, body: bytes = BODY, **more: Any) -> Reason:
    with pytest.raises(SignatureRejectedError) as caught:
        verify(headers, body, **{"keys": (KEY,), "now": NOW, **more})
    assert str(caught.value) == caught.value.reason.value
    return caught.value.reason


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "body", "signature"),
    [
        pytest.param(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            id="python-js-go",
        ),
        pytest.param(
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            b'{"email":"test@example.com","username":"test_user"}',
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            id="rust",
        ),
    ],
)
def test_published_vectors(
    secret: str, message_id: str, timestamp: int, body: bytes, signature: str
) -> None:
    (key,) = load_keys([secret])
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }
    assert sign(message_id, timestamp, body, key=key) == signature
    assert verify(headers, body, keys=[key], now=timestamp) == SignedMessage(message_id, timestamp)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(delivery(), id="plain"),
        pytest.param({k.upper(): v for k, v in delivery().items()}, id="W6-upper-case"),
        pytest.param({k.title(): v for k, v in delivery().items()}, id="W6-title-case"),
        pytest.param(delivery(signature=" ".join([*[JUNK] * 7, GOOD])), id="W42-last-of-eight"),
        pytest.param(delivery(signature=f"v1,!!! {GOOD}"), id="W43-malformed-first"),
        pytest.param(delivery(signature=f"v1, {GOOD}"), id="W43-empty-signature-first"),
        pytest.param(delivery(signature=f"a,b,c {GOOD}"), id="W43-two-commas-first"),
        pytest.param(delivery(signature=f"v1a,{b64(bytes(64))} {GOOD}"), id="other-version-first"),
        pytest.param(delivery(signature=f"{GOOD} nonsense"), id="malformed-last"),
        pytest.param({**delivery(), "webhoo\u212a-id": "y"}, id="look-alike-name"),
    ],
)
def test_accepted(headers: dict[str, object]) -> None:
    assert verify(headers, BODY, keys=(KEY,), now=NOW) == SignedMessage(ID, NOW)


def test_a_header_name_that_is_no_text_is_passed_over() -> None:
    headers: Any = {7: "x", None: "y", **delivery()}
    assert verify(headers, BODY, keys=(KEY,), now=NOW).id == ID


@pytest.mark.parametrize("age", [-300, -0.5, 0, 299.9, 300])
def test_w30_within_tolerance(age: float) -> None:
    assert verify(delivery(), BODY, keys=(KEY,), now=NOW + age).timestamp == NOW


@pytest.mark.parametrize("key_count", [1, 2, 3])
def test_any_of_the_keys_may_have_signed(key_count: int) -> None:
    keys = [OTHER_KEY] * (key_count - 1) + [KEY]
    assert verify(delivery(), BODY, keys=keys, now=NOW).id == ID


@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf{}", b"\xff\xfe\x00", "é".encode("utf-16")])
def test_w51_to_w54_signed_bytes_are_authentic_whatever_they_are(body: bytes) -> None:
    signature = sign(ID, NOW, body, key=KEY)
    assert verify(delivery(signature=signature), body, keys=(KEY,), now=NOW).id == ID


DUPLICATED = f"{GOOD},{JUNK}"

HEADERS = [
    pytest.param(delivery(id=None), Reason.MISSING_HEADER, id="W1-no-id"),
    pytest.param(delivery(timestamp=None), Reason.MISSING_HEADER, id="W2-no-timestamp"),
    pytest.param(delivery(signature=None), Reason.MISSING_HEADER, id="W3-no-signature"),
    pytest.param(delivery(id=""), Reason.MISSING_HEADER, id="W4-empty-id"),
    pytest.param(delivery(timestamp=""), Reason.MISSING_HEADER, id="W4-empty-timestamp"),
    pytest.param(delivery(signature=""), Reason.MISSING_HEADER, id="W4-empty-signature"),
    pytest.param(delivery(id=" "), Reason.MISSING_HEADER, id="W5-blank-id"),
    pytest.param(delivery(timestamp=" \t"), Reason.MISSING_HEADER, id="W5-blank-timestamp"),
    pytest.param(delivery(signature="  "), Reason.MISSING_HEADER, id="W5-blank-signature"),
    pytest.param(
        {name.replace("webhook", "svix"): value for name, value in delivery().items()},
        Reason.MISSING_HEADER,
        id="W7-svix-names",
    ),
    pytest.param(delivery(signature=[JUNK, GOOD]), Reason.REPEATED_HEADER, id="W9-list"),
    pytest.param(delivery(signature=[GOOD]), Reason.REPEATED_HEADER, id="W9-list-of-one"),
    pytest.param(delivery(id=(ID, "other")), Reason.REPEATED_HEADER, id="W10-two-ids"),
    pytest.param(
        {"Webhook-Id": "attacker", **delivery()}, Reason.REPEATED_HEADER, id="W11-two-casings"
    ),
    pytest.param(
        {"WEBHOOK-SIGNATURE": GOOD, **delivery()}, Reason.REPEATED_HEADER, id="W11-same-value"
    ),
    pytest.param(None, Reason.MISSING_HEADER, id="W12-no-headers"),
    pytest.param({}, Reason.MISSING_HEADER, id="W12-empty-headers"),
    pytest.param(delivery(signature=DUPLICATED), Reason.REPEATED_HEADER, id="W13-joined"),
    pytest.param(
        delivery(signature=f"{JUNK}, {GOOD}"), Reason.REPEATED_HEADER, id="W13-joined-with-space"
    ),
    pytest.param(delivery(id=f"{ID},{ID}"), Reason.BAD_ID, id="W13-joined-ids"),
    pytest.param(delivery(timestamp=f"{NOW},{NOW}"), Reason.BAD_TIMESTAMP, id="W13-joined-times"),
    *[
        pytest.param(delivery(**{name: value + end}), reason, id=f"W14-{name}-{end!r}")
        for name, value, reason in [
            ("id", ID, Reason.BAD_ID),
            ("timestamp", str(NOW), Reason.BAD_TIMESTAMP),
            ("signature", GOOD, Reason.BAD_SIGNATURE),
        ]
        for end in ["\r", "\n", "\r\nX-Evil: 1", "\0"]
    ],
    pytest.param(delivery(id="msg_é"), Reason.BAD_ID, id="W15-id"),
    pytest.param(delivery(signature=f"v1,é {GOOD}"), Reason.BAD_SIGNATURE, id="W15-signature"),
    pytest.param(delivery(signature="\ud800"), Reason.BAD_SIGNATURE, id="W15-surrogate"),
    pytest.param(delivery(id="m" * 8192), Reason.BAD_ID, id="W16-id"),
    pytest.param(delivery(timestamp="1" * 8192), Reason.BAD_TIMESTAMP, id="W16-timestamp"),
    pytest.param(delivery(signature="v1," * 2730), Reason.BAD_SIGNATURE, id="W16-signature"),
    pytest.param(delivery(id=17), Reason.MISSING_HEADER, id="number-as-value"),
    pytest.param(delivery(id=ID.encode()), Reason.MISSING_HEADER, id="bytes-as-value"),
    pytest.param(delivery(id={"a": 1}), Reason.MISSING_HEADER, id="object-as-value"),
]

TIMESTAMPS = [
    pytest.param(text, id=f"{case}-{text[:20]!a}")
    for case, texts in {
        "W18": ["hello"],
        "W19": [f"{NOW}.0", f"{NOW}.9"],
        "W20": ["1.795e9", "1e9"],
        "W21": ["1_795_000_000"],
        "W22": [f"+{NOW}", f" {NOW}", f"{NOW} ", f"0{NOW}", f"000{NOW}"],
        "W23": [str(NOW).translate({d + 48: 0xFF10 + d for d in range(10)}), "١٧٩٥٠٠٠٠٠٠"],
        "W24": [f"-{NOW}"],
        "W25": ["nan", "inf", "-Infinity"],
        "W26": ["9" * 400, "9" * 5000],
        "W27": [f"{NOW}000"],
    }.items()
    for text in texts
]

SIGNATURES = [
    pytest.param(GOOD.replace(",", ""), id="W31-no-comma"),
    pytest.param("v1,", id="W32-empty"),
    pytest.param(GOOD[: 3 + 8], id="W33-first-eight"),
    pytest.param("v1," + b64(bytes([mac(CONTENT)[0] ^ 1]) + mac(CONTENT)[1:]), id="W34-first-bit"),
    pytest.param("v1," + b64(mac(CONTENT)[:-1] + bytes([mac(CONTENT)[-1] ^ 128])), id="W34-last"),
    pytest.param(GOOD[:20] + "!" + GOOD[20:], id="W36-junk-inside"),
    pytest.param(GOOD[:20] + "!" + GOOD[21:], id="W36-junk-instead"),
    pytest.param(GOOD + "AAAA", id="W37-after-padding"),
    pytest.param(GOOD + "=", id="W37-more-padding"),
    pytest.param(GOOD.rstrip("="), id="W38-no-padding"),
    pytest.param("v1," + mac(CONTENT).hex(), id="W40-hex"),
    *[pytest.param(GOOD.replace("v1", tag), id=f"W41-{tag}") for tag in ["v2", "v1a", "V1", "xx"]],
    pytest.param(" ".join([JUNK] * 8), id="W42-all-bad"),
    pytest.param("v1," + b64(mac(CONTENT, b"")), id="W45-empty-key"),
    pytest.param("v1," + b64(mac(CONTENT, SECRET.encode())), id="W45-text-with-prefix"),
    pytest.param("v1," + b64(mac(CONTENT, SECRET[6:].encode())), id="W45-text-undecoded"),
    pytest.param("v1," + b64(mac(BODY)), id="W46-body-only"),
    pytest.param("v1," + b64(mac(f"{ID}.".encode() + BODY)), id="W46-no-timestamp"),
    pytest.param("v1," + b64(mac(f"{NOW}.{ID}.".encode() + BODY)), id="W46-other-order"),
    pytest.param("v1," + b64(hashlib.sha256(CONTENT).digest()), id="W46-no-key"),
    pytest.param("v1," + b64(hmac.digest(KEY, CONTENT, "sha512")[:32]), id="W46-other-hash"),
]


@pytest.mark.parametrize(("headers", "reason"), HEADERS)
def test_headers_refused(headers: dict[str, object] | None, reason: Reason) -> None:
    assert refused(headers) is reason


@pytest.mark.parametrize("timestamp", TIMESTAMPS)
def test_timestamp_refused_though_signed(timestamp: str) -> None:
    assert refused(at(timestamp)) is Reason.BAD_TIMESTAMP


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [
        pytest.param(NOW - 301, Reason.TOO_OLD, id="W28"),
        pytest.param(NOW + 301, Reason.TOO_NEW, id="W29"),
        pytest.param(NOW - 86_400, Reason.TOO_OLD, id="a-day-old"),
        pytest.param(NOW + 86_400, Reason.TOO_NEW, id="a-day-ahead"),
    ],
)
def test_outside_tolerance(timestamp: int, reason: Reason) -> None:
    assert refused(at(str(timestamp))) is reason


def test_a_broken_clock_refuses() -> None:
    assert refused(delivery(), now=float("nan")) is Reason.TOO_OLD


@pytest.mark.parametrize("signature", SIGNATURES)
def test_signature_refused(signature: str) -> None:
    assert refused(delivery(signature=signature)) is Reason.NO_MATCH


@pytest.mark.parametrize("step", [1, 2, 3])
def test_w35_last_character_spelt_otherwise(step: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(GOOD[-2]) + step]
    other = GOOD[:-2] + last + "="
    assert base64.b64decode(other[3:]) == base64.b64decode(GOOD[3:])
    assert refused(delivery(signature=other)) is Reason.NO_MATCH


def test_w39_url_safe_alphabet() -> None:
    body = next(
        body
        for body in (b"%d" % n for n in range(100))
        if {"+", "/"} <= set(sign(ID, NOW, body, key=KEY))
    )
    signature = sign(ID, NOW, body, key=KEY)
    other = signature.replace("+", "-").replace("/", "_")
    assert verify(delivery(signature=signature), body, keys=(KEY,), now=NOW).id == ID
    assert refused(delivery(signature=other), body) is Reason.NO_MATCH


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(" ".join([JUNK] * 8 + [GOOD]), id="W42-nine"),
        pytest.param(" ".join([JUNK] * 10_000 + [GOOD]), id="W42-ten-thousand"),
        pytest.param(f"{JUNK}\t{GOOD}", id="W44-tab"),
        pytest.param(f"{JUNK}  {GOOD}", id="W44-double-space"),
        pytest.param(f" {GOOD}", id="W44-leading-space"),
        pytest.param(f"{GOOD} ", id="W44-trailing-space"),
        pytest.param(f"{JUNK}\u00a0{GOOD}", id="W44-no-break-space"),
    ],
)
def test_signature_list_refused_whole(signature: str) -> None:
    assert refused(delivery(signature=signature)) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("message_id", ["a.1", "msg.1", "a b", "m" * 129, "m/1"])
def test_w47_no_id_can_shift_the_boundary(message_id: str) -> None:
    content = f"{message_id}.{NOW}.".encode() + BODY
    headers = delivery(id=message_id, signature="v1," + b64(mac(content)))
    assert refused(headers) is Reason.BAD_ID


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(BODY[:-1] + b" ", id="W48-last-byte"),
        pytest.param(b" " + BODY, id="W48-byte-more"),
        pytest.param(BODY[:-1], id="W48-byte-less"),
        pytest.param(json.dumps(json.loads(BODY)).encode(), id="W49-escapes"),
        pytest.param(
            json.dumps(json.loads(BODY), ensure_ascii=False, separators=(",", ":")).encode(),
            id="W49-spaces",
        ),
        pytest.param(
            json.dumps(dict(reversed(json.loads(BODY).items())), ensure_ascii=False).encode(),
            id="W49-key-order",
        ),
        pytest.param(base64.b64encode(BODY), id="W50-still-base64"),
        pytest.param(b"", id="W51-empty"),
        pytest.param(b"\xef\xbb\xbf" + BODY, id="W52-byte-order-mark"),
        pytest.param(b"\xff" + BODY, id="W53-not-utf8"),
        pytest.param(BODY.decode().encode("utf-16"), id="W54-utf-16"),
    ],
)
def test_body_refused(body: bytes) -> None:
    assert body != BODY
    assert refused(delivery(), body) is Reason.NO_MATCH


@pytest.mark.parametrize("keys", [(), (OTHER_KEY,), (OTHER_KEY, bytes(32))])
def test_without_the_signing_key(keys: tuple[bytes, ...]) -> None:
    assert refused(delivery(), keys=keys) is Reason.NO_MATCH


@pytest.mark.parametrize("length", [24, 32, 63, 64])
def test_keys_load(length: int) -> None:
    key = bytes(range(length))
    assert load_keys(["whsec_" + b64(key)]) == (key,)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_AA==",
        SECRET[6:],
        "whsk_" + SECRET[6:],
        SECRET + "\n",
        " " + SECRET,
        SECRET.rstrip("="),
        SECRET + "=",
        SECRET[:-2] + "1=",
        "whsec_" + "_" * 44,
        "whsec_" + SECRET[6:].replace("A", "_", 1),
        "whsec_" + b64(bytes(23)),
        "whsec_" + b64(bytes(65)),
        "whsec_" + "é" * 44,
        "whsec_" + "A" * 45,
    ],
)
def test_unusable_secret(secret: str) -> None:
    with pytest.raises(KeyRejectedError) as caught:
        load_keys([secret])
    assert len(secret) < 8 or secret[6:].strip() not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("secrets", [[], [SECRET] * 4, [SECRET, ""], [None], [SECRET.encode()]])
def test_unusable_set_of_secrets(secrets: list[Any]) -> None:
    with pytest.raises(KeyRejectedError):
        load_keys(secrets)


def test_keys_keep_their_order() -> None:
    other = "whsec_" + b64(OTHER_KEY)
    assert load_keys([SECRET, other, SECRET]) == (KEY, OTHER_KEY, KEY)


@pytest.mark.parametrize("message_id", ["", "a.b", "a\nb", "m" * 129])
def test_sign_refuses_an_id_that_verify_would(message_id: str) -> None:
    with pytest.raises(ValueError, match="message id"):
        sign(message_id, NOW, BODY, key=KEY)
