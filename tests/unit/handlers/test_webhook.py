"""POST /hooks/replicate/{id}: what is believed, what it changes, and how the rest is refused.

Case numbers W1 to W62 are those of the project's list of bad webhook deliveries. The verifier's
own table (tests/unit/domain/test_signature.py) has more of W18 to W47; here each is seen to come
out as the one constant 401, with nothing changed.
"""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain import link
from darkroom.domain.errors import Unavailable
from darkroom.domain.prediction import State

from tests import events
from tests.unit.handlers.test_submit import is_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction

    from tests.unit.handlers.conftest import App

REFUSAL = {
    "title": "Unauthenticated",
    "detail": "The webhook could not be verified.",
    "status": 401,
}


@dataclass
class Hooked:
    """A submitted prediction, and the body of the webhook that ends it well."""

    app: App
    record: Prediction
    body: str

    def event(self, body: bytes | str | None = None, **more: Any) -> dict[str, Any]:
        return self.app.hook(self.record.id, self.body if body is None else body, **more)

    def changed(self, **fields: Any) -> str:
        """The body with other values."""
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
    """401 with the constant body, and nothing has changed."""
    answer = hooked.app.webhook(event)
    unchanged = hooked.now == hooked.record and not hooked.app.world.store.stream
    return (answer.status, answer.json) == (401, REFUSAL) and unchanged


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
    "W18-text": lambda h: {**h, "webhook-timestamp": "hello"},
    "W19-float": lambda h: {**h, "webhook-timestamp": h["webhook-timestamp"] + ".0"},
    "W20-exponent": lambda h: {**h, "webhook-timestamp": "18e8"},
    "W22-plus": lambda h: {**h, "webhook-timestamp": "+" + h["webhook-timestamp"]},
    "W23-other-digits": lambda h: {**h, "webhook-timestamp": "١٨٠٠٠٠٠٠٠٠"},
    "W24-negative": lambda h: {**h, "webhook-timestamp": "-1"},
    "W25-nan": lambda h: {**h, "webhook-timestamp": "nan"},
    "W26-5000-digits": lambda h: {**h, "webhook-timestamp": "1" * 5000},
    "W31-no-comma": lambda h: {**h, "webhook-signature": h["webhook-signature"][3:]},
    "W32-tag-alone": lambda h: {**h, "webhook-signature": "v1,"},
    "W33-cut": lambda h: {**h, "webhook-signature": h["webhook-signature"][:11]},
    "W37-bytes-after": lambda h: {**h, "webhook-signature": h["webhook-signature"] + "AA"},
    "W41-v2": lambda h: {**h, "webhook-signature": "v2" + h["webhook-signature"][2:]},
    "W41-v1a": lambda h: {**h, "webhook-signature": "v1a" + h["webhook-signature"][2:]},
    "W42-10000": lambda h: {**h, "webhook-signature": " ".join(["v1,AAAA"] * 10_000)},
    "W44-tab": lambda h: {**h, "webhook-signature": "v1,AAAA\t" + h["webhook-signature"]},
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


def test_w27_milliseconds(hooked: Hooked) -> None:
    assert is_refused(hooked, hooked.event(timestamp=hooked.app.world.clock()))


@pytest.mark.parametrize("off", [-300, 300])
def test_w30_the_edge_of_the_tolerance(hooked: Hooked, off: int) -> None:
    event = hooked.event(timestamp=hooked.app.world.clock() // 1000 + off)
    assert is_accepted(hooked, event)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(b"x" * 32, id="another"),
        pytest.param(b"whsec_" + base64.b64encode(b"w" * 32), id="W45-undecoded"),
        pytest.param(b"\0", id="W45-almost-empty"),
    ],
)
def test_another_key(hooked: Hooked, key: bytes) -> None:
    assert is_refused(hooked, hooked.event(key=key))


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
    event = {**hooked.event(), "isBase64Encoded": True}
    assert is_problem(hooked.app.webhook(event), 400)
    assert hooked.now == hooked.record


@pytest.mark.parametrize("body", [None, ""], ids=["null", "empty"])
def test_w51_no_body(hooked: Hooked, body: str | None) -> None:
    assert is_refused(hooked, {**hooked.event(), "body": body})


def hostile(body: str) -> dict[str, bytes]:
    """Bodies that may well be signed and still are no prediction."""
    return {
        "W51-empty": b"",
        "W52-byte-order-mark": b"\xef\xbb\xbf" + body.encode(),
        "W53-not-utf-8": body.encode().replace(b"corgi", b"c\xffrgi"),
        "W54-utf-16": body.encode("utf-16"),
        "W55-nan": body.replace('"logs": ""', '"logs": NaN').encode(),
        "W55-infinity": body.replace('"logs": ""', '"logs": Infinity').encode(),
        "W55-1e999": body.replace('"logs": ""', '"logs": 1e999').encode(),
        "W56-duplicate-keys": body.replace('"logs"', '"status": "failed", "logs"').encode(),
        "W57-depth-100000": b'{"a":' * 100_000,
        "W57-depth-100000-closed": b"[" * 100_000 + b"]" * 100_000,
        "W62-unknown-status": body.replace("succeeded", "exploded").encode(),
        "array": b"[]",
        "null": b"null",
        "text": b'"succeeded"',
        "not-json": b"hello",
        "no-id": body.replace('"id"', '"di"').encode(),
        "id-number": body.replace('"id": "', '"id": 7, "x": "').encode(),
        "id-too-long": body.replace('"id": "', '"id": "' + "p" * 100).encode(),
        "surrogate": body.replace("a corgi", "\\ud800").encode(),
    }


@pytest.mark.parametrize("case", hostile(""))
def test_unsigned_it_is_refused_before_it_is_read(hooked: Hooked, case: str) -> None:
    body = hostile(hooked.body)[case]
    assert is_refused(hooked, hooked.event(body, key=b"x" * 32))


@pytest.mark.parametrize("case", hostile(""))
def test_signed_it_is_a_400_that_changes_nothing(hooked: Hooked, case: str) -> None:
    body = hostile(hooked.body)[case]
    assert body != hooked.body.encode()
    assert is_problem(hooked.app.webhook(hooked.event(body)), 400)
    assert hooked.now == hooked.record


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


def test_w60_a_prediction_at_another_records_url_changes_neither(
    hooked: Hooked, capsys: pytest.CaptureFixture[str]
) -> None:
    other = hooked.app.world.accept()
    event = hooked.app.hook(other.id, hooked.body)
    assert hooked.app.webhook(event).status == 200
    assert hooked.now == hooked.record
    assert hooked.app.world.record(other.id) == other
    assert '"WebhookMisdirected":[1.0]' in capsys.readouterr().out


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
    assert hooked.now.state in {State.STORING, State.FAILED, State.SUCCEEDED}
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
        raise Unavailable("Replicate's webhook secret is not set.")

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
