"""Repeated requests without a key: which of them make a prediction, and which find one.

The rules are in `domain.repeats`. Only requests that send their retry count, or whose API key has a
dedupe window, have a row; all others cost nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from darkroom.domain import row_keys, strict_json
from darkroom.domain.errors import IdempotencyKeyUsedError
from darkroom.domain.repeats import KEPT_S, Made, RepeatEntry, Repeats

if TYPE_CHECKING:
    from darkroom.ports import PredictionStore
    from darkroom.services.predictions.submit import NewPrediction

logger = logging.getLogger(__name__)

TRIES = 3
"""Attempts to update a row that others change at the same moment."""


def enter(
    store: PredictionStore, request: NewPrediction, fingerprint: str, id_: str, now: int
) -> RepeatEntry | None:
    """Return the entry of the request's prediction among equal requests; None without a row.

    Raises IdempotencyKeyUsedError if an earlier request has made its prediction.
    """
    count, dedupe_s = request.retry_count, request.dedupe_s
    if request.idempotency_key is not None or (count is None and not dedupe_s):
        return None
    row = _row(request, fingerprint)
    expires_at = now // 1000 + KEPT_S
    if not count and not dedupe_s:
        # A first attempt, whatever the row contains.
        received_at = now if request.received_at is None else request.received_at
        return RepeatEntry(row, Made(id_, now), expires_at, received_at=received_at)
    seen = store.repeats_in(row)
    recent = seen.latest(now - dedupe_s * 1000) if dedupe_s else None
    if recent is not None:
        raise IdempotencyKeyUsedError(recent.prediction, fingerprint)
    if not count:
        return RepeatEntry(row, Made(id_, now), expires_at, seen=seen.latest(0))
    if seen.awaits_refused(now):
        return RepeatEntry(row, Made(id_, now, count), expires_at, redeems=True)
    _answer(store, row, seen, count, now, fingerprint)
    return RepeatEntry(row, Made(id_, now, count, early=True), expires_at, seen=seen.latest(0))


def _answer(
    store: PredictionStore, row: str, seen: Repeats, count: int, now: int, fingerprint: str
) -> None:
    """Raise IdempotencyKeyUsedError with the prediction that answers a repetition, and record that
    it does. Returns if there is none."""
    answered = ""
    for _ in range(TRIES):
        made = seen.answer_to(count, now)
        if made is None:
            return
        answered = made.prediction
        again = made.count >= count
        if again or store.answer_again(row, seen.made.index(made), made, count):
            break
        seen = store.repeats_in(row)
    raise IdempotencyKeyUsedError(answered, fingerprint)


def note_refusal(store: PredictionStore, request: NewPrediction, now: int) -> None:
    """Count a rejected first attempt, so that its repetition makes a prediction. Never raises,
    since the rejection itself is the answer."""
    keyed = request.idempotency_key is not None or request.dedupe_s
    if keyed or request.retry_count != 0:
        return
    try:
        store.note_refusal(_row(request), now)
    except Exception:
        logger.exception("a refusal is not counted")


def _row(request: NewPrediction, fingerprint: str | None = None) -> str:
    """Return the row of equal requests.

    A library repeats exactly the same request, so no file needs to be compared, and a request that
    is rejected at once is found as well. An application may upload its files again, so a dedupe
    window compares files by content.
    """
    same: dict[str, Any] = {"tenant": request.tenant}
    if request.dedupe_s:
        same["fingerprint"] = fingerprint
    else:
        same |= {
            "reference": request.reference,
            "input": request.input,
            "webhook": request.webhook,
            "events": sorted(request.webhook_events),
            "cache": request.cache,
            "cancel_after": request.cancel_after_s,
            **request.said,
        }
    return row_keys.REPEAT + strict_json.digest(same)
