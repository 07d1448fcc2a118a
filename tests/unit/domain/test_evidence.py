"""Evidence against a listed prediction, and what is no evidence."""

from __future__ import annotations

from typing import Any

import pytest
from darkroom.domain.evidence import (
    CLOCK_SKEW_MS,
    RuledOut,
    holds_our_id,
    named_record,
    ruled_out,
    same_input,
)
from darkroom.domain.times import rfc3339
from darkroom.replicate.snapshot import read_snapshot

from tests.support.fakes import START
from tests.support.records import ID, accepted

VERSION = "a" * 64
OURS = f"https://darkroom.test/hooks/replicate/{ID}?t=abc"
SENT = {
    "prompt": "a corgi",
    "image": "data:image/png;base64,AAAA",
    "go_fast": True,
    "num": 2**60,
    "aspect_ratio": "16:9",
}
CHOICES = {"aspect_ratio": frozenset({"1:1", "16:9"})}


def why(**shown: Any) -> RuledOut | None:
    """Return the reason why a listed prediction is not the record's; `shown` are fields of the
    list."""
    record = accepted(input=SENT)
    body = {"id": "p1", "status": "starting", "created_at": rfc3339(START), **shown}
    return ruled_out(read_snapshot(body), record, public_host="darkroom.test", choices=CHOICES)


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"created_at": None},
        {"created_at": rfc3339(START - CLOCK_SKEW_MS)},
        {"created_at": rfc3339(START + 10**9)},
        {"model": "owner/name", "version": "hidden"},
        {"model": "replicate-internal/name-x", "version": "d-c6559c"},
        {"model": "odd"},
        {"webhook": None},
        {"webhook": "***"},
        {"webhook": OURS},
        {"webhook": "https://darkroom.test/"},
        {"webhook": "https://DARKROOM.test/hooks/"},
        {"input": None},
        {"input": {}},
        {"input": {"prompt": "***", "image": "https://replicate.delivery/x.png"}},
        {"input": {"prompt": "a cat", "num": 1, "seed": 7, "unknown": True}},
        {"input": {"go_fast": "yes", "aspect_ratio": "square"}},
        {"input": {"aspect_ratio": "1:1"}, "data_removed": True},
        {"input": SENT},
    ],
    ids=str,
)
def test_a_difference_in_what_is_shown_is_no_evidence(shown: dict[str, Any]) -> None:
    assert why(**shown) is None


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ({"created_at": rfc3339(START - CLOCK_SKEW_MS - 1)}, RuledOut.EARLY),
        ({"model": "owner/other"}, RuledOut.MODEL),
        ({"webhook": "https://elsewhere.test/x"}, RuledOut.WEBHOOK),
        ({"webhook": OURS.replace(ID, "b" * 26)}, RuledOut.WEBHOOK),
        ({"webhook": "HTTPS://x.test/hooks/replicate/" + "b" * 26}, RuledOut.WEBHOOK),
        ({"input": {"go_fast": False}}, RuledOut.SWITCH),
        ({"input": {"aspect_ratio": "1:1"}}, RuledOut.CHOICE),
    ],
    ids=str,
)
def test_proof_is_a_short_list(shown: dict[str, Any], reason: RuledOut) -> None:
    assert why(**shown) is reason


@pytest.mark.parametrize("shown", ["hidden", "b" * 63, "", None, "x" * 64, VERSION])
def test_only_another_hash_is_another_version(shown: str | None) -> None:
    record = accepted(input=SENT, version=VERSION)
    body = {"id": "p1", "status": "starting", "version": shown, "model": "owner/other"}
    snapshot = read_snapshot(body)
    assert ruled_out(snapshot, record, public_host="x", choices={}) is None


def test_another_hash_is_another_version() -> None:
    record = accepted(input=SENT, version=VERSION)
    snapshot = read_snapshot({"id": "p1", "status": "starting", "version": "b" * 64})
    assert ruled_out(snapshot, record, public_host="x", choices={}) is RuledOut.VERSION


def test_our_id_in_the_webhook_outweighs_all_else() -> None:
    shown: dict[str, Any] = {"webhook": OURS, "model": "owner/other", "created_at": rfc3339(0)}
    assert why(**shown) is None


@pytest.mark.parametrize(
    ("webhook", "ours", "named"),
    [
        (OURS, True, ID),
        (OURS.partition("?")[0], True, ID),
        (OURS.replace("https://darkroom.test", "***"), True, ID),
        (OURS.replace("/", "%2F"), True, ID),
        (OURS.upper(), True, ID),
        (f"***{ID}***", True, None),
        (OURS.replace(ID, "b" * 26), False, "b" * 26),
        ("https://darkroom.test/", False, None),
        (None, False, None),
    ],
)
def test_an_id_is_found_in_whatever_form_the_url_is_shown(
    webhook: str | None, ours: bool, named: str | None
) -> None:
    snapshot = read_snapshot({"id": "p1", "status": "starting", "webhook": webhook})
    assert holds_our_id(snapshot, accepted()) is ours
    assert named_record(webhook) == named


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        (SENT, True),
        (dict(reversed(SENT.items())), True),
        ({**SENT, "seed": 1}, False),
        ({**SENT, "image": "https://x.test/"}, False),
        (None, False),
        ("text", False),
    ],
)
def test_only_an_input_to_the_letter_is_the_same(shown: Any, same: bool) -> None:
    record = accepted(input=SENT)
    snapshot = read_snapshot({"id": "p1", "status": "starting", "input": shown})
    assert same_input(snapshot, record) is same
