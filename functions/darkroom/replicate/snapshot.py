"""Tolerant reading of Replicate's JSON of a prediction: from a webhook, an answer or the list."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from darkroom.domain import lenient_json, outputs, strict_json
from darkroom.domain.link import without_link_tokens
from darkroom.domain.snapshot import FINAL, ShownInput, Snapshot
from darkroom.domain.times import milliseconds

if TYPE_CHECKING:
    from darkroom.domain.prediction import Json, JsonObject

STATUSES = FINAL | {"starting", "processing"}
RUNNING = "processing"
"""Replacement for an undocumented status, which counts as still running."""
LOGS_KEPT = 32_000
"""Bytes of the logs' tail that a record keeps, since an item may not exceed 400 KB."""
ERROR_KEPT = 4_000
OUTPUT_KEPT = 64_000
"""Bytes of output JSON that a record keeps. Outputs are URLs of some 120 characters."""
METRICS_KEPT = 4_000
DEEPEST_KEPT = 400
"""Maximum levels of a stored output. Python compares, writes and reads about a thousand, fewer if
the stack is deep, and each later step must be able to do what the first one did."""
WORDS_KEPT = 200
"""Characters of an input's string that are kept as evidence; the values of an enum are shorter."""
VALUES_KEPT = 100
"""Values of a shown input that are kept as evidence."""

_PROVIDER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OURS = frozenset({"id", "status", "output", "webhook", "version", "model"})
"""Fields that must be unique; two values of one of these make the answer invalid."""


class BadSnapshotError(ValueError):
    """Not a prediction as the provider describes one. The text names the field, never its value."""


def read_snapshot(body: object) -> Snapshot:
    """Parse a prediction's JSON. Raises BadSnapshotError for anything else.

    Only `id` and `status` are required. Timestamps have different numbers of fraction digits in the
    provider's endpoints; they are kept as text and parsed leniently. An undocumented status counts
    as still running.
    """
    if not isinstance(body, dict):
        raise BadSnapshotError("not an object")
    twice = lenient_json.doubled(body) & _OURS
    if twice:
        raise BadSnapshotError(min(twice))
    provider_id = body.get("id")
    if not isinstance(provider_id, str) or not _PROVIDER_ID.fullmatch(provider_id):
        raise BadSnapshotError("id")
    status = body.get("status")
    if not isinstance(status, str) or not status:
        raise BadSnapshotError("status")
    output = body.get("output")
    kept = None if output is None else _output(output)
    logs = _text(body, "logs") or ""
    urls = body.get("urls")
    return Snapshot(
        provider_id=provider_id,
        status=status if status in STATUSES else RUNNING,
        output=kept,
        output_refused=output is not None and kept is None,
        error=_error(body.get("error")),
        logs=_tail(without_link_tokens(logs), LOGS_KEPT),
        log_size=len(logs),
        metrics=_metrics(body.get("metrics")),
        created_at=milliseconds(_text(body, "created_at")),
        started_at=_time_text(body, "started_at"),
        completed_at=_time_text(body, "completed_at"),
        data_removed=body.get("data_removed") is True,
        stream_url=_https(urls.get("stream")) if isinstance(urls, dict) else None,
        webhook=_text(body, "webhook"),
        version=_text(body, "version"),
        model=_text(body, "model"),
        input=_shown_input(body.get("input")),
    )


def _canonical(value: object, most: int | None = None) -> str | None:
    """Return canonical JSON; None if it exceeds `most` bytes, or contains values that are not
    JSON."""
    try:
        text = strict_json.canonical(value)
        size = len(text.encode())
    except (ValueError, RecursionError):
        return None
    return text if most is None or size <= most else None


def _said(value: object) -> str | None:
    """Return the canonical JSON of a value from the provider, for storage."""
    text = _canonical(value)
    return None if text is None else without_link_tokens(text)


def _kept(value: object, most: int) -> Json | None:
    """Return a value from the provider for storage, with the keys of each object sorted, and
    without link tokens. None if it is too large or too deep."""
    text = _canonical(value, most)
    if text is None or strict_json.is_deeper(value, DEEPEST_KEPT):
        return None
    return json.loads(without_link_tokens(text))


def _output(value: object) -> Json | None:
    """Return the output. If it is too large, its URLs are kept, since they were paid for;
    the rest may be anything."""
    whole = _kept(value, OUTPUT_KEPT)
    if whole is not None:
        return whole
    urls = outputs.urls_alone(value)
    return None if urls is None else _kept(urls, OUTPUT_KEPT)


def _metrics(value: object) -> JsonObject | None:
    """Return the metrics. If they are too large, the value that determines the price is
    kept."""
    if not isinstance(value, dict):
        return None
    whole: JsonObject | None = _kept(value, METRICS_KEPT)
    if whole is not None:
        return whole
    measured = value.get("predict_time")
    return _kept({"predict_time": measured}, METRICS_KEPT) if measured is not None else None


def _shown_input(value: object) -> ShownInput | None:
    if not isinstance(value, dict):
        return None
    kept: dict[str, bool | str] = {}
    for name, shown in value.items():
        short = isinstance(shown, str) and len(shown) <= WORDS_KEPT
        if (short or isinstance(shown, bool)) and len(kept) < VALUES_KEPT:
            kept[name] = shown
    return ShownInput(_digest(value), kept)


def _digest(value: object) -> str | None:
    """Return the digest of a value's canonical JSON; None if it has none."""
    try:
        return strict_json.digest(value)
    except (ValueError, RecursionError):
        return None


def _text(body: dict[str, Any], name: str) -> str | None:
    """Return a string that UTF-8 can encode; lone surrogates become question marks."""
    value = body.get(name)
    return _writable(value) if isinstance(value, str) else None


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _tail(text: str, most: int) -> str:
    return text.encode()[-most:].decode("utf-8", "ignore")


def _time_text(body: dict[str, Any], name: str) -> str | None:
    text = _text(body, name)
    return text if milliseconds(text) is not None else None


def _error(value: object) -> str | None:
    if value is None:
        return None
    text = without_link_tokens(value) if isinstance(value, str) else _said(value)
    return _writable(text or "unreadable").encode()[:ERROR_KEPT].decode("utf-8", "ignore")


def _https(value: object) -> str | None:
    fits = isinstance(value, str) and value[:8].lower().startswith(("https://", "http://"))
    return _writable(str(value)) if fits and len(str(value)) <= 2_000 else None
