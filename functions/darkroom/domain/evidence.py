"""Decides whether a prediction in the provider's list could come from a record's create.

A create whose answer was lost may be repeated only if nothing in the list could be its prediction.
A provider may *show* a request differently than it was sent: data URIs as URLs, names omitted,
numbers rounded, texts masked. A difference is therefore no evidence; only the short list in
`ruled_out` excludes a listed prediction.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import unquote

from darkroom.domain import strict_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from darkroom.domain.prediction import Prediction
    from darkroom.domain.snapshot import Snapshot

CLOCK_SKEW_MS = 90_000
"""The provider's clock may be off by a minute, and two of our own processes may differ by half a
minute."""

_VERSION = re.compile(r"[0-9a-f]{64}")
_HOOK = re.compile(r"/hooks/[^/?#]+/([0-9a-z]{26})(?:[/?#]|$)", re.IGNORECASE)
_HOST = re.compile(r"https?://([^/?#\s]+)", re.IGNORECASE)


class RuledOut(StrEnum):
    """Why a listed prediction cannot be the record's. Each reason is sufficient."""

    EARLY = "it was created before the record, by more than clocks may differ"
    VERSION = "it runs another version than the one that was sent"
    MODEL = "it runs another model of the owner whose model was asked for by name"
    WEBHOOK = "its webhook is another record's, or another host's"
    SWITCH = "it shows the opposite of a boolean that was sent"
    CHOICE = "it shows another of an enum's own values"


def holds_our_id(snapshot: Snapshot, record: Prediction) -> bool:
    """Whether the webhook contains the record's id, in whatever form the URL is shown.

    The id has 134 random bits, and the list is read with our own token, so no foreign prediction
    has it.
    """
    return snapshot.webhook is not None and record.id in unquote(snapshot.webhook).lower()


def named_record(webhook: str | None) -> str | None:
    """Return the record id in the path of one of our webhook URLs; None if there is none."""
    found = None if webhook is None else _HOOK.search(unquote(webhook))
    return found.group(1).lower() if found else None


def ruled_out(
    snapshot: Snapshot,
    record: Prediction,
    *,
    public_host: str,
    choices: Mapping[str, Collection[str]],
) -> RuledOut | None:
    """Return the reason why the record's create cannot have made this prediction, or None.

    `public_host` is the host of our webhook URLs; `choices` has the values of each enum in the
    model's schema, by the input's name. Values that are absent, masked, unknown, numbers, free
    texts or URLs are never a reason.
    """
    if _webhook_is_foreign(snapshot, record, public_host):
        return RuledOut.WEBHOOK
    if holds_our_id(snapshot, record):
        return None
    if snapshot.created_at is not None and snapshot.created_at < record.created_at - CLOCK_SKEW_MS:
        return RuledOut.EARLY
    if record.version is not None:
        shown = snapshot.version or ""
        if _VERSION.fullmatch(shown) and shown != record.version:
            return RuledOut.VERSION
    elif _other_model(snapshot.model, record.model):
        return RuledOut.MODEL
    return _input_differs(snapshot, record, choices)


def same_input(snapshot: Snapshot, record: Prediction) -> bool:
    """Whether the input is shown exactly as it was sent."""
    shown = snapshot.input.digest if snapshot.input else None
    return shown is not None and shown == strict_json.digest(record.input)


def _webhook_is_foreign(snapshot: Snapshot, record: Prediction, public_host: str) -> bool:
    if snapshot.webhook is None or holds_our_id(snapshot, record):
        return False
    if named_record(snapshot.webhook):
        return True
    host = _HOST.match(unquote(snapshot.webhook))
    return host is not None and "." in host.group(1) and host.group(1).lower() != public_host


def _other_model(shown: str | None, asked: str) -> bool:
    """Whether it is another model of the same owner. Internally, a model may have another owner."""
    owner, _, name = asked.partition("/")
    shown_owner, _, shown_name = (shown or "").partition("/")
    return shown_owner == owner and bool(shown_name) and shown_name != name


def _input_differs(
    snapshot: Snapshot, record: Prediction, choices: Mapping[str, Collection[str]]
) -> RuledOut | None:
    if snapshot.input is None or snapshot.data_removed:
        return None
    for name, shown in snapshot.input.values.items():
        ours = record.input.get(name)
        if not isinstance(ours, str | bool) or ours == shown:
            continue
        if isinstance(ours, bool) and isinstance(shown, bool):
            return RuledOut.SWITCH
        if {ours, shown} <= set(choices.get(name, ())):
            return RuledOut.CHOICE
    return None
