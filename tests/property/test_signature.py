"""The webhook verifier with arbitrary input, and compared with the reference implementation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from darkroom.domain.signature import (
    KeyRejectedError,
    SignatureRejectedError,
    SignedMessage,
    load_keys,
    sign,
    verify,
)
from hypothesis import assume, event, given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = 1_795_000_000

message_ids = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)
junk_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=50),
    st.text(alphabet=st.characters(exclude_categories=()), max_size=200),
    st.lists(st.text(max_size=20), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)


def headers(message_id: str, timestamp: str, signature: str) -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }


header_names = st.sampled_from(
    ["webhook-id", "webhook-timestamp", "webhook-signature", "Webhook-Id", "WEBHOOK-SIGNATURE"]
)


@given(
    changes=st.dictionaries(st.one_of(header_names, st.text(max_size=20)), junk_values, max_size=4),
    body=st.binary(max_size=100),
    now=st.one_of(st.just(float(NOW)), st.floats(), st.integers()),
)
def test_nothing_but_the_refusal_escapes(
    changes: dict[str, object], body: bytes, now: float
) -> None:
    signature = sign("msg_1", NOW, body, key=KEY)
    given_headers: dict[str, object] = {**headers("msg_1", str(NOW), signature), **changes}
    try:
        verify(given_headers, body, keys=(KEY,), now=now)
    except SignatureRejectedError:
        event("refused")
    else:
        event("accepted")


entry = st.one_of(
    st.from_regex(r"v[0-9]a?,[A-Za-z0-9+/]{0,44}={0,2}", fullmatch=True),
    st.text(alphabet=st.characters(min_codepoint=9, max_codepoint=255), max_size=50),
)


@given(
    before=st.lists(entry, max_size=4),
    after=st.lists(entry, max_size=4),
    separator=st.sampled_from([" ", " ", " ", "  ", "\t", ","]),
    body=st.binary(max_size=50),
)
def test_signature_lists(before: list[str], after: list[str], separator: str, body: bytes) -> None:
    """Only a list of valid entries with one space between is accepted for the valid one in it."""
    entries = [*before, sign("msg_1", NOW, body, key=KEY), *after]
    text = separator.join(entries)
    clean = (
        len(text.split(" ")) <= 8
        and len(text) <= 1024
        and all(part and part.isascii() and part.isprintable() for part in text.split(" "))
        and "=," not in text
        and entries[len(before)] in text.split(" ")
    )
    try:
        verify(headers("msg_1", str(NOW), text), body, keys=(KEY,), now=NOW)
    except SignatureRejectedError:
        assert not clean
    else:
        assert clean


@given(message_id=message_ids, body=st.binary(max_size=200), age=st.floats(-300, 300))
def test_what_we_sign_we_accept(message_id: str, body: bytes, age: float) -> None:
    signature = sign(message_id, NOW, body, key=KEY)
    found = verify(
        headers(message_id, str(NOW), signature), body, keys=(bytes(32), KEY), now=NOW + age
    )
    assert found == SignedMessage(message_id, NOW)


@given(
    message_id=message_ids,
    body=st.binary(min_size=1, max_size=100),
    part=st.sampled_from(["id", "timestamp", "mac", "body"]),
    position=st.integers(0),
    flip=st.integers(1, 255),
)
def test_one_byte_changed_is_refused(
    message_id: str, body: bytes, part: str, position: int, flip: int
) -> None:
    timestamp = str(NOW)
    mac = base64.b64decode(sign(message_id, NOW, body, key=KEY)[3:])

    def change(data: bytes) -> bytes:
        at = position % len(data)
        return data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]

    if part == "id":
        message_id = change(message_id.encode()).decode("latin-1")
    elif part == "timestamp":
        timestamp = change(timestamp.encode()).decode("latin-1")
    elif part == "mac":
        mac = change(mac)
    else:
        body = change(body)
    signature = "v1," + base64.b64encode(mac).decode()
    with pytest.raises(SignatureRejectedError):
        verify(headers(message_id, timestamp, signature), body, keys=(KEY,), now=NOW)


@given(
    message_id=st.one_of(message_ids, st.text(max_size=10)),
    offset=st.integers(-295, 295),
    spelling=st.sampled_from(["{}", "{}", "{}.0", "+{}", "0{}", " {}", "{}\n"]),
    lead=st.lists(entry, max_size=2),
    payload=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=10), max_size=3),
    tamper=st.booleans(),
)
def test_what_we_accept_the_reference_accepts(
    message_id: str,
    offset: int,
    spelling: str,
    lead: list[str],
    payload: dict[str, Any],
    tamper: bool,
) -> None:
    """One-sided on purpose: the reference also accepts values that this project rejects.

    Excluded: an entry that the reference cannot parse makes it raise before it reaches the valid
    one; ours skips it. (Bodies here are clean JSON, as the reference parses them.)
    """
    now = time.time()
    timestamp = spelling.format(int(now) + offset)
    body = json.dumps(payload).encode()
    content = f"{message_id}.{timestamp}.".encode("utf-8", "replace") + body
    reference = Webhook(SECRET)
    signature = sign("x", 1, b"", key=KEY) if tamper else _signature(content)
    given_headers = headers(message_id, timestamp, " ".join([*lead, signature]))
    try:
        ours = verify(given_headers, body, keys=load_keys([SECRET]), now=now)
    except SignatureRejectedError:
        event("refused")
        return
    event("accepted")
    assume(all(_reference_can_parse(each) for each in lead))
    assert reference.verify(body, given_headers) == payload
    assert ours.id == message_id


def _signature(content: bytes) -> str:
    # A MAC without `sign`, which rejects the ids that this test tries.
    return "v1," + base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()


def _reference_can_parse(text: str) -> bool:
    try:
        version, encoded = text.split(",")
        return version != "v1" or bool(base64.b64decode(encoded) or True)
    except ValueError:
        return False


@given(secret=st.one_of(st.text(max_size=100), st.binary(max_size=70)))
def test_a_secret_loads_as_the_reference_reads_it_or_not_at_all(secret: str | bytes) -> None:
    text = secret if isinstance(secret, str) else "whsec_" + base64.b64encode(secret).decode()
    try:
        (key,) = load_keys([text])
    except KeyRejectedError:
        event("refused")
        return
    assert 24 <= len(key) <= 64
    body = b"{}"
    now = int(time.time())
    signed = headers("msg_1", str(now), sign("msg_1", now, body, key=key))
    assert Webhook(text).verify(body, signed) == {}
