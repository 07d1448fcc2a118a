"""POST /hooks/replicate/{id}: authentication, effects, and the rejection of all other webhooks.

Case numbers W1 to W62 are those of tests/cases.py. The verifier's own table
(tests/unit/domain/test_signature.py) has more of W18 to W47; here each results in the one constant
401, without any change.
"""

from __future__ import annotations

import base64
import hmac
import json
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain import link
from darkroom.domain.errors import UnavailableError
from darkroom.domain.prediction import State

from tests.support import events
from tests.support.app import is_problem
from tests.support.fakes import START

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction

    from tests.support.app import App

REFUSAL = {
    "title": "Unauthenticated",
    "detail": "The webhook could not be verified.",
    "status": 401,
}


@dataclass
class Hooked:
    """A submitted prediction, and the body of the webhook of its success."""

    app: App
    record: Prediction
    body: str

    def event(self, body: bytes | str | None = None, **more: Any) -> dict[str, Any]:
        return self.app.hook(self.record.id, self.body if body is None else body, **more)

    def changed(self, **fields: Any) -> str:
        """Return the body with other values."""
        return json.dumps({**json.loads(self.body), **fields})

    @property
    def now(self) -> Prediction:
        return self.app.world.record(self.record.id)


@pytest.fixture
def hooked(app: App) -> Hooked:
    record = app.world.accept()
    provider_id = str(record.provider_id)
    app.world.succeed(provider_id)
    app.world.store.stream.clear()
    return Hooked(app, record, json.dumps(app.world.provider.body(provider_id)))


def is_refused(hooked: Hooked, event: dict[str, Any]) -> bool:
    """Assert 401 with the constant body, and no change."""
    before = hooked.app.kept()
    answer = hooked.app.webhook(event)
    return (answer.status, answer.json) == (401, REFUSAL) and hooked.app.kept() == before


def is_bad(hooked: Hooked, event: dict[str, Any]) -> bool:
    """Authentic but no prediction: assert 400, and no change."""
    before = hooked.app.kept()
    return is_problem(hooked.app.webhook(event), 400) and hooked.app.kept() == before


def is_accepted(hooked: Hooked, event: dict[str, Any]) -> bool:
    answer = hooked.app.webhook(event)
    return (answer.status, answer.json) == (200, {}) and hooked.now.state is State.STORING


# Headers


def test_a_signed_webhook_is_written_down_then_acknowledged(hooked: Hooked) -> None:
    assert is_accepted(hooked, hooked.event())


def test_w6_header_names_in_mixed_case(hooked: Hooked) -> None:
    event = hooked.event()
    event["headers"] = {name.title(): value for name, value in event["headers"].items()}
    assert is_accepted(hooked, event)


def test_w8_headers_of_payload_1(hooked: Hooked) -> None:
    event = hooked.event()
    many = {name: [value] for name, value in event["headers"].items()}
    assert is_accepted(hooked, events.in_payload_1(event, many))


def test_the_provider_may_sign_with_the_previous_key_and_with_several(hooked: Hooked) -> None:
    hooked.app.world.secrets.webhook = (b"n" * 32, b"w" * 32)
    junk = "v1," + base64.b64encode(bytes(32)).decode()
    event = hooked.event(key=b"w" * 32)
    good = event["headers"]["webhook-signature"]
    event["headers"]["webhook-signature"] = " ".join([junk] * 7 + [good])
    assert is_accepted(hooked, event)


def test_a_rotated_key_is_read_again_once(hooked: Hooked) -> None:
    hooked.app.world.secrets.rotated = (b"n" * 32,)
    assert is_accepted(hooked, hooked.event(key=b"n" * 32))
    assert hooked.app.world.secrets.refreshes == 1


CHANGED_HEADERS: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "W1-no-id": lambda h: without(h, "id"),
    "W2-no-timestamp": lambda h: without(h, "timestamp"),
    "W3-no-signature": lambda h: without(h, "signature"),
    "W4-empty-id": lambda h: {**h, "webhook-id": ""},
    "W4-empty-timestamp": lambda h: {**h, "webhook-timestamp": ""},
    "W4-empty-signature": lambda h: {**h, "webhook-signature": ""},
    "W5-blank-id": lambda h: {**h, "webhook-id": " "},
    "W5-blank-timestamp": lambda h: {**h, "webhook-timestamp": "\t"},
    "W5-blank-signature": lambda h: {**h, "webhook-signature": "   "},
    "W7-svix-names": lambda h: {k.replace("webhook-", "svix-"): v for k, v in h.items()},
    "W10-two-ids": lambda h: {**h, "webhook-id": ["msg_1", "msg_1"]},
    "W11-two-casings": lambda h: {**h, "Webhook-Id": h["webhook-id"]},
    "W12-null": lambda _: None,
    "W13-joined-ids": lambda h: {**h, "webhook-id": "msg_1,msg_1"},
    "W13-joined-times": lambda h: {
        **h,
        "webhook-timestamp": ",".join([h["webhook-timestamp"]] * 2),
    },
    "W13-joined-signatures": lambda h: {
        **h,
        "webhook-signature": ",".join([h["webhook-signature"]] * 2),
    },
    "W14-line-break": lambda h: {**h, "webhook-id": "msg_1\r\nx: y"},
    "W14-nul": lambda h: {**h, "webhook-id": "msg_1\0"},
    "W15-not-ascii": lambda h: {**h, "webhook-signature": h["webhook-signature"] + "é"},
    "W16-8-kB": lambda h: {**h, "webhook-signature": "v1," + "A" * 8192},
    "W17-10-kB-of-headers": lambda h: {**h, "x-1": "x" * 9000, "webhook-signature": "v1,A" * 500},
}


def without(headers: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in headers.items() if key != f"webhook-{name}"}


@pytest.mark.parametrize("change", CHANGED_HEADERS.values(), ids=list(CHANGED_HEADERS))
def test_headers_that_prove_nothing(
    hooked: Hooked, change: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> None:
    event = hooked.event()
    assert is_refused(hooked, {**event, "headers": change(event["headers"])})


@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
def test_w9_w10_repeated_headers_of_payload_1(hooked: Hooked, name: str) -> None:
    event = hooked.event()
    many = {key: [value] for key, value in event["headers"].items()}
    many[f"webhook-{name}"].insert(0, "v1,AAAA")
    event = {**events.in_payload_1(event, many), "headers": event["headers"]}
    assert is_refused(hooked, event)


@pytest.mark.parametrize("off", [-301, 301, -86_400 * 365], ids=["W28", "W29", "last-year"])
def test_a_webhook_from_another_time(hooked: Hooked, off: int) -> None:
    assert is_refused(hooked, hooked.event(timestamp=hooked.app.world.clock() // 1000 + off))


@pytest.mark.parametrize("off", [-300, 300])
def test_w30_the_edge_of_the_tolerance(hooked: Hooked, off: int) -> None:
    event = hooked.event(timestamp=hooked.app.world.clock() // 1000 + off)
    assert is_accepted(hooked, event)


NOW = str(START // 1000)


def mac(body: bytes, id_: str = "msg_1", at: str = NOW, key: bytes = b"w" * 32) -> str:
    """Return a correct MAC over any headers, even those that `signature.sign` rejects."""
    content = f"{id_}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


@pytest.mark.parametrize(
    "at",
    [
        pytest.param("hello", id="W18-text"),
        pytest.param(f"{NOW}.0", id="W19-float"),
        pytest.param(f"{NOW}.9", id="W19-fraction"),
        pytest.param("1.8e9", id="W20-exponent"),
        pytest.param("1_800_000_000", id="W21-underscores"),
        pytest.param(f"+{NOW}", id="W22-plus"),
        pytest.param(f" {NOW}", id="W22-space"),
        pytest.param(f"000{NOW}", id="W22-zeros"),
        pytest.param(f"{NOW}\n", id="W22-line-break-behind"),
        pytest.param("١٨٠٠٠٠٠٠٠٠", id="W23-arabic-digits"),
        pytest.param("１８００００００００", id="W23-full-width-digits"),
        pytest.param(f"-{NOW}", id="W24-negative"),
        pytest.param("nan", id="W25-nan"),
        pytest.param("inf", id="W25-infinity"),
        pytest.param("-Infinity", id="W25-minus-infinity"),
        pytest.param("1" * 400, id="W26-400-digits"),
        pytest.param("1" * 5000, id="W26-5000-digits"),
        pytest.param(str(START), id="W27-milliseconds"),
    ],
)
def test_a_time_that_is_not_written_as_ours_is_though_signed(hooked: Hooked, at: str) -> None:
    signature = mac(hooked.body.encode(), at=at)
    sent = {"webhook-timestamp": at, "webhook-signature": signature}
    assert is_refused(hooked, hooked.event(headers=sent))


def test_w47_id_and_time_cannot_be_shifted_over_their_boundary(hooked: Hooked) -> None:
    """One MAC is correct for both readings, because the id ends with the time."""
    signed = mac(f"{NOW}.{hooked.body}".encode(), id_="a")
    assert signed == mac(hooked.body.encode(), id_=f"a.{NOW}")
    sent = {"webhook-id": f"a.{NOW}", "webhook-signature": signed}
    assert is_refused(hooked, hooked.event(headers=sent))


def respelled(good: str, by: int) -> str:
    """43 characters have two bits more than 32 bytes, so the last one has four spellings."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    last = alphabet.index(good[-2])
    other = f"{good[:-2]}{alphabet[last ^ by]}="
    assert base64.b64decode(other[3:]) == base64.b64decode(good[3:])
    return other


def flipped(good: str, byte: int) -> str:
    raw = bytearray(base64.b64decode(good[3:]))
    raw[byte] ^= 1
    return "v1," + base64.b64encode(raw).decode()


JUNK = "v1," + base64.b64encode(bytes(32)).decode()
SPELLINGS: dict[str, Callable[[str], str]] = {
    "W31-no-comma": lambda good: good[3:],
    "W32-tag-alone": lambda _: "v1,",
    "W33-first-eight": lambda good: good[:11],
    "W34-first-bit": lambda good: flipped(good, 0),
    "W34-last-bit": lambda good: flipped(good, 31),
    "W35-respelled-1": lambda good: respelled(good, 1),
    "W35-respelled-2": lambda good: respelled(good, 2),
    "W35-respelled-3": lambda good: respelled(good, 3),
    "W36-junk-inside": lambda good: f"{good[:20]}!{good[20:]}",
    "W36-line-break-inside": lambda good: f"{good[:20]}\n{good[20:]}",
    "W37-bytes-behind": lambda good: good + "AA",
    "W37-padding-behind": lambda good: good + "=",
    "W38-no-padding": lambda good: good.rstrip("="),
    "W40-hex": lambda good: "v1," + base64.b64decode(good[3:]).hex(),
    "W41-v2": lambda good: "v2" + good[2:],
    "W41-v1a": lambda good: "v1a" + good[2:],
    "W41-upper-case": lambda good: "V1" + good[2:],
    "W41-xx": lambda good: "xx" + good[2:],
    "W42-10000-then-the-good-one": lambda good: " ".join([*[JUNK] * 10_000, good]),
    "W44-tab": lambda good: f"{JUNK}\t{good}",
    "W44-two-spaces": lambda good: f"{JUNK}  {good}",
    "W44-leading-space": lambda good: f" {good}",
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=list(SPELLINGS))
def test_a_signature_in_any_other_spelling(hooked: Hooked, spell: Callable[[str], str]) -> None:
    event = hooked.event()
    event["headers"]["webhook-signature"] = spell(event["headers"]["webhook-signature"])
    assert is_refused(hooked, event)


def test_w39_the_url_safe_alphabet(hooked: Hooked) -> None:
    body = hooked.body.encode()
    ids = (f"msg_{number}" for number in range(1000))
    id_ = next(id_ for id_ in ids if {"+", "/"} <= set(mac(body, id_)))
    safe = mac(body, id_).replace("+", "-").replace("/", "_")
    sent = {"webhook-id": id_, "webhook-signature": safe}
    assert is_refused(hooked, hooked.event(headers=sent))
    assert is_accepted(
        hooked, hooked.event(headers={"webhook-id": id_, "webhook-signature": mac(body, id_)})
    )


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([JUNK] * 7, id="W42-last-of-eight"),
        pytest.param(["nonsense"], id="W43-no-comma"),
        pytest.param(["v1,", "v1,a,b", "v1a,!!!"], id="W43-malformed"),
    ],
)
def test_the_good_one_is_found_among_others(hooked: Hooked, before: list[str]) -> None:
    event = hooked.event()
    good = event["headers"]["webhook-signature"]
    event["headers"]["webhook-signature"] = " ".join([*before, good])
    assert is_accepted(hooked, event)


SECRET = base64.b64encode(b"w" * 32)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(b"x" * 32, id="another"),
        pytest.param(b"", id="W45-empty"),
        pytest.param(b"\0", id="W45-almost-empty"),
        pytest.param(SECRET, id="W45-undecoded"),
        pytest.param(b"whsec_" + SECRET, id="W45-undecoded-with-prefix"),
    ],
)
def test_another_key(hooked: Hooked, key: bytes) -> None:
    signature = mac(hooked.body.encode(), key=key)
    assert is_refused(hooked, hooked.event(headers={"webhook-signature": signature}))


@pytest.mark.parametrize("form", ["body-only", "no-time", "other-order"])
def test_w46_a_mac_over_something_else(hooked: Hooked, form: str) -> None:
    at = hooked.app.world.clock() // 1000
    text = {
        "body-only": hooked.body,
        "no-time": f"msg_1.{hooked.body}",
        "other-order": f"{at}.msg_1.{hooked.body}",
    }[form]
    mac = hmac.digest(b"w" * 32, text.encode(), "sha256")
    signature = "v1," + base64.b64encode(mac).decode()
    assert is_refused(hooked, hooked.event(headers={"webhook-signature": signature}))


# Body


def test_w48_one_byte_changed(hooked: Hooked) -> None:
    changed = hooked.body.replace("succeeded", "succeedee")
    assert is_refused(hooked, hooked.event(changed, signed=hooked.body.encode()))


def test_w49_the_same_json_in_another_spelling(hooked: Hooked) -> None:
    spelled = json.dumps(json.loads(hooked.body), separators=(",", ":"))
    assert is_refused(hooked, hooked.event(spelled, signed=hooked.body.encode()))


def test_w50_a_body_in_base64_is_decoded_before_it_is_verified(hooked: Hooked) -> None:
    event = hooked.event(hooked.body.encode())
    assert event["isBase64Encoded"]
    assert is_accepted(hooked, event)


def test_w50_base64_that_is_not_flagged_is_other_bytes(hooked: Hooked) -> None:
    event = {**hooked.event(hooked.body.encode()), "isBase64Encoded": False}
    assert is_refused(hooked, event)


def test_w50_flagged_but_not_base64(hooked: Hooked) -> None:
    assert is_bad(hooked, {**hooked.event(), "isBase64Encoded": True})


@pytest.mark.parametrize("body", [None, ""], ids=["null", "empty"])
def test_w51_no_body(hooked: Hooked, body: str | None) -> None:
    assert is_refused(hooked, {**hooked.event(), "body": body})


def hostile(body: str) -> dict[str, bytes]:
    """Bodies that may be signed but are no prediction."""
    return {
        "W51-empty": b"",
        "W52-byte-order-mark": b"\xef\xbb\xbf" + body.encode(),
        "W53-not-utf-8": body.encode().replace(b"corgi", b"c\xffrgi"),
        "W54-utf-16": body.encode("utf-16"),
        "W56-duplicate-keys": body.replace('"logs"', '"status": "failed", "logs"').encode(),
        "W57-depth-100000": b'{"a":' * 100_000,
        "W57-depth-100000-closed": b"[" * 100_000 + b"]" * 100_000,
        "array": b"[]",
        "null": b"null",
        "text": b'"succeeded"',
        "not-json": b"hello",
        "no-id": body.replace('"id"', '"di"').encode(),
        "id-number": body.replace('"id": "', '"id": 7, "x": "').encode(),
        "id-too-long": body.replace('"id": "', '"id": "' + "p" * 100).encode(),
    }


def odd(body: str) -> dict[str, bytes]:
    """Signed bodies of a running prediction with content that has no meaning for Darkroom."""
    running = body.replace("succeeded", "processing")
    return {
        "W55-nan": running.replace('"logs": ""', '"logs": NaN').encode(),
        "W55-infinity": running.replace('"logs": ""', '"logs": Infinity').encode(),
        "W55-1e999": running.replace('"logs": ""', '"logs": 1e999').encode(),
        "W56-duplicate-keys": running.replace('"logs"', '"x": 1, "x": 2, "logs"').encode(),
        "W57-depth-200": running.replace('"a corgi"', "[" * 200 + "]" * 200).encode(),
        "W62-unknown-status": body.replace("succeeded", "queued").encode(),
        "surrogate": running.replace("a corgi", "\\ud800").encode(),
    }


@pytest.mark.parametrize("case", odd(""))
def test_signed_what_means_nothing_to_us_costs_nothing_else(hooked: Hooked, case: str) -> None:
    assert hooked.app.webhook(hooked.event(odd(hooked.body)[case])).status == 200
    assert hooked.now.state is State.PROCESSING


@pytest.mark.parametrize("case", hostile(""))
def test_unsigned_it_is_refused_before_it_is_read(hooked: Hooked, case: str) -> None:
    body = hostile(hooked.body)[case]
    assert is_refused(hooked, hooked.event(body, key=b"x" * 32))


@pytest.mark.parametrize("case", hostile(""))
def test_signed_it_is_a_400_that_changes_nothing(hooked: Hooked, case: str) -> None:
    body = hostile(hooked.body)[case]
    assert body != hooked.body.encode()
    assert is_bad(hooked, hooked.event(body))


@pytest.mark.parametrize("letter", ["x", "é", "🐕", "\x00", '"'])
def test_w58_five_megabytes_of_logs_leave_a_record_that_fits(hooked: Hooked, letter: str) -> None:
    logs = letter * (5_000_000 // len(json.dumps(letter)))
    assert is_accepted(hooked, hooked.event(hooked.changed(logs=logs)))
    assert hooked.now.log_size == len(logs)
    assert logs.endswith(hooked.now.logs)


def test_w58_five_megabytes_of_output_end_the_record(hooked: Hooked) -> None:
    answer = hooked.app.webhook(hooked.event(hooked.changed(output=["x" * 5_000_000])))
    assert answer.status == 200
    assert (hooked.now.state, hooked.now.code) == (State.FAILED, "output_refused")


def test_a17_everything_at_its_largest_still_fits(app: App) -> None:
    record = app.world.accept({"prompt": "ä" * 120_000})
    provider_id = str(record.provider_id)
    body = app.world.provider.body(provider_id) | {
        "status": "processing",
        "logs": "🐕" * 100_000,
        "output": "語" * 40_000,
        "error": "語" * 100_000,
        "metrics": {"x" * 1000: "語" * 1000},
    }
    answer = app.webhook(app.hook(record.id, json.dumps(body)))
    assert answer.status == 200
    assert app.world.record(record.id).state is State.PROCESSING


def test_a_body_above_the_cap_is_refused(hooked: Hooked) -> None:
    assert is_refused(hooked, hooked.event(hooked.changed(logs="x" * 8_000_001)))


# Meaning


def test_w59_a_repetition_is_acknowledged_and_changes_nothing(hooked: Hooked) -> None:
    event = hooked.event()
    assert is_accepted(hooked, event)
    after = hooked.now
    answer = hooked.app.webhook(event)
    assert (answer.status, hooked.now) == (200, after)


def test_w59_a_repetition_after_the_tolerance_is_refused(hooked: Hooked) -> None:
    event = hooked.event()
    hooked.app.webhook(event)
    after = hooked.now
    hooked.app.world.clock.advance(301)
    assert hooked.app.webhook(event).json == REFUSAL
    assert hooked.now == after


def test_w60_a_prediction_at_another_records_url_changes_neither(hooked: Hooked) -> None:
    other = hooked.app.world.accept()
    event = hooked.app.hook(other.id, hooked.body)
    assert hooked.app.webhook(event).status == 200
    assert hooked.now == hooked.record
    assert hooked.app.world.record(other.id) == other
    assert '"WebhookMisdirected":[1.0]' in hooked.app.logs.getvalue()


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="none"),
        pytest.param("A" * 32, id="made-up"),
        pytest.param("é\0", id="odd"),
        pytest.param(link.token("a" * 26, 1, key=b"l" * 32), id="of-another-record"),
        pytest.param("x" * 100_000, id="long"),
    ],
)
def test_w61_a_signature_without_our_link_token_is_refused(hooked: Hooked, token: str) -> None:
    assert is_refused(hooked, hooked.event(token=token))


def test_w61_the_token_of_another_stage_is_refused(hooked: Hooked) -> None:
    record = hooked.record
    staging = link.token(record.id, record.created_at, key=b"s" * 32)
    assert is_refused(hooked, hooked.event(token=staging))


@pytest.mark.parametrize("id_", ["0" * 26, "..", "A" * 26, "x" * 3000, "a\0"])
def test_an_unknown_record_is_refused_like_a_forged_token(hooked: Hooked, id_: str) -> None:
    assert is_refused(hooked, hooked.app.hook(id_, hooked.body))


def test_w62_aborted_ends_the_prediction(hooked: Hooked) -> None:
    hooked.app.webhook(hooked.event(hooked.changed(status="aborted", output=None)))
    assert hooked.now.state is State.ABORTED


def test_w62_after_the_end_nothing_moves_it(hooked: Hooked) -> None:
    hooked.app.webhook(hooked.event(hooked.changed(status="canceled", output=None)))
    ended = hooked.now
    for status in ("starting", "processing", "succeeded", "failed"):
        assert hooked.app.webhook(hooked.event(hooked.changed(status=status))).status == 200
        assert hooked.now == ended


@pytest.mark.parametrize(
    "output",
    [
        pytest.param("data:image/png;base64,AAAA", id="data-uri"),
        pytest.param("http://169.254.169.254/latest/meta-data/", id="metadata"),
        pytest.param(["https://evil.example/a.png"], id="foreign-host"),
        pytest.param([f"https://replicate.delivery/{n}.png" for n in range(1000)], id="1000"),
        pytest.param({"a": {"b": [["https://replicate.delivery/x.png"]]}}, id="nested"),
        pytest.param([None, True, 1.5, {"": []}, "not a url"], id="not-urls"),
        pytest.param("ftp://example.com/x", id="ftp"),
        pytest.param([], id="none"),
    ],
)
def test_w62_outputs_of_any_shape_are_taken_in_without_an_outage(
    hooked: Hooked, output: Any
) -> None:
    assert hooked.app.webhook(hooked.event(hooked.changed(output=output))).status == 200
    hooked.app.world.run_stream()
    hooked.app.world.run_queues()
    # Without a file, the prediction is requested from the provider once more.
    assert hooked.now.state in {State.STORING, State.FAILED} or hooked.now.asked_again
    assert not hooked.app.world.outputs.objects


def test_only_an_outage_of_our_own_makes_the_provider_send_again(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_args: object, **_more: object) -> None:
        raise ConnectionError("dynamodb.eu-west-1.amazonaws.com is away")

    with monkeypatch.context() as outage:
        outage.setattr(type(hooked.app.world.store), "commit", down)
        answer = hooked.app.webhook(hooked.event())
    assert is_problem(answer, 500)
    assert "amazonaws" not in answer.text
    assert is_accepted(hooked, hooked.event())


def test_an_unset_secret_fails_closed(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    def unset(*_args: object, **_more: object) -> None:
        raise UnavailableError("Replicate's webhook secret is not set.")

    monkeypatch.setattr(type(hooked.app.world.secrets), "webhook_keys", unset)
    assert is_problem(hooked.app.webhook(hooked.event()), 503)
    assert hooked.now == hooked.record


def test_nothing_of_a_webhook_is_in_the_logs(
    hooked: Hooked, capsys: pytest.CaptureFixture[str]
) -> None:
    canary = hooked.changed(logs="CANARY", error="CANARY")
    link_token = hooked.event()["queryStringParameters"]["t"]
    for event in (
        hooked.event(canary),
        hooked.event(canary, key=b"x" * 32),
        hooked.event("CANARY"),
    ):
        hooked.app.webhook(event)
    printed = capsys.readouterr()
    logged = hooked.app.logs.getvalue() + printed.out + printed.err
    assert "no_match" in logged
    assert hooked.record.id in logged
    for secret in ("CANARY", link_token, "w" * 32):
        assert secret not in logged
