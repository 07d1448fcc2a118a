"""Equality of two states of the proof's world: times are relative to now, histories are
excluded."""

from __future__ import annotations

import hashlib
import marshal
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from darkroom.domain.prediction import Prediction
from darkroom.domain.repeats import REFUSED_S

from tests.proof.upstream import TICK_MS

if TYPE_CHECKING:
    from darkroom.domain.receivers import Endpoint
    from darkroom.domain.repeats import Repeats

    from tests.proof.cloud import Cloud
    from tests.proof.table import Predictions
    from tests.proof.upstream import Up

_TIME_NAMES = (
    "created_at",
    "due_at",
    "deadline",
    "finished_at",
    "next_poll_at",
    "next_store_at",
    "cancel_requested_at",
    "told_logs_at",
    "told_output_at",
    "next_cancel_at",
    "create.started_at",
    "create.until",
    "create.not_before",
)
_TIMES = attrgetter(*_TIME_NAMES)
_TOLD = frozenset({"output", "files", "create"})
"""Included in another form, see _record."""
_LEFT_OUT = frozenset(
    [
        "tenant",
        "model",
        "version",
        "input",
        "uploads",
        "webhook",
        "webhook_events",
        "typical_ms",
        "expires_at",
        "fingerprint",
        "cache_key",
        "price",
        "ledger",
        "task_token",
        "updated_at",
        "logs",
        "error",
        "metrics",
        "started_at",
        "completed_at",
        "stream_url",
    ]
)
"""Excluded: values that follow from the request (and thus from the id and the order of submits),
texts that no rule reads, and updated_at, which no rule reads either."""
_NAMES = [f.name for f in fields(Prediction) if f.name not in _LEFT_OUT | _TOLD | set(_TIME_NAMES)]
_REST = attrgetter(*_NAMES, "create.attempt", "create.state", "create.parked")


def canonical_key(cloud: Cloud) -> bytes:
    """Return a key. Two worlds with one key behave alike from here on, and pass or fail the same
    checks."""
    now = cloud.clock.now
    store, up = cloud.store, cloud.upstream
    state = (
        [
            (_record(store, item, now), _lagging(store.before.get(id_), item, now))
            for id_, item in store.items.items()
        ],
        [(_record(store, old, now), _record(store, new, now)) for old, new in store.stream],
        sorted(store.owners.items()),
        [
            (
                *(row.prediction, row.event, row.state.value, row.attempts),
                *(_since(row.due_at, now), max(0, row.next_at - now)),
            )
            for row in cloud.deliveries.rows.values()
        ],
        sorted(cloud.outputs.objects),
        [
            [
                [(m.body, max(0, m.visible_at - now), m.receives) for m in messages]
                for messages in (queue.messages, queue.dead)
            ]
            for queue in cloud.queues.values()
        ],
        sorted(cloud.bus.events),
        sorted(cloud.client.posts),
        [
            (
                *(u.id, u.status, bool(u.told), u.cut_off, u.in_time, u.grown, u.gets),
                *(u.created_at - now, u.ends_by - now, _since(u.completed_at, now)),
                _since(u.extra_since, now),
                _billed(cloud, u, now),
                _shown_before(cloud, u, now),
            )
            for u in up.ups.values()
        ],
        [(h.id, h.status, h.at - now, h.signed, h.grown) for h in up.hooks],
        [(request["webhook"], until - now) for request, until in up.late],
        [
            (id_, [(p.attempt, p.sure, max(0, p.not_before - now)) for p in posts])
            for id_, posts in sorted(up.posts.items())
        ],
        cloud.submitted,
        sorted(cloud.accepted),
        sorted(cloud.asked),
        sorted(cloud.wished),
        cloud.gap,
        (cloud.refusals, cloud.mended),
        sorted(cloud.owed),
        sorted(cloud.store.keys),
        [_equals(row, now) for row in cloud.store.rows.values()],
        cloud.firsts,
        sorted(cloud.controls.schemas),
        sorted(cloud.controls.results.items()),
        sorted((name, max(0, tat // 1000 - now)) for name, tat in cloud.controls.buckets.items()),
        cloud.secrets.turn,
        sorted(cloud.tasks.answers),
        sorted(cloud.parked.bodies),
        sorted(cloud.client.gone),
        [
            (
                [_endpoint(end, now) for end in tenants.endpoints.values()],
                [(refusal.times, refusal.last_at - now) for refusal in tenants.refused.values()],
                [end - now for end in tenants.busy if end > now],
            )
            for tenants in cloud.controls.receiving.values()
        ],
    )
    # Version 0 of marshal has no references, so equal values give equal bytes.
    return hashlib.blake2b(marshal.dumps(state, 0), digest_size=12).digest()


def _equals(row: Repeats, now: int) -> Any:
    """The rows that may answer a repetition without a key; only recent ones do."""
    made = [
        (made.prediction, made.at - now, made.count, made.early)
        for made in row.made
        if made.at >= now - REFUSED_S * 1000
    ]
    refused = row.refused and row.refused_at >= now - REFUSED_S * 1000
    return made, (row.refused, row.refused_at - now) if refused else None


def _billed(cloud: Cloud, up: Up, now: int) -> tuple[int, int]:
    """The values on which the bill of a run depends, and whether it ran at all."""
    metered = cloud.config.price == "second" and up.status == "processing"
    return up.run_ms, (up.started_at or 0) - now if metered else int(up.started_at is not None)


def _shown_before(cloud: Cloud, up: Up, now: int) -> tuple[str, int] | None:
    """The status that a list that is a tick old still shows."""
    if cloud.config.listing != "old" or now >= up.changed_at + TICK_MS:
        return None
    return up.before, up.changed_at - now


def _endpoint(end: Endpoint, now: int) -> tuple[Any, ...]:
    times = _since(end.failing_since, now), max(0, end.next_at - now), _since(end.disabled_at, now)
    return (*times, end.failures, end.strikes)


def _since(at: int | None, now: int) -> int | None:
    return None if at is None else at - now


def _lagging(before: dict[str, Any] | None, item: dict[str, Any], now: int) -> int | None:
    """The due time that a lagging index shows of the item, if it differs."""
    if before is None or "due_at" not in before or before["due_at"] == item.get("due_at"):
        return None
    return max(0, int(before["due_at"]["N"]) - now)


def _record(store: Predictions, item: dict[str, Any] | None, now: int) -> Any:
    if item is None:
        return None
    fixed, times = store.told(item, _told)
    return fixed, [at - now for at in times]


def _told(record: Prediction) -> tuple[bytes, list[int]]:
    """Return the values that do not change with the clock, and the times that do."""
    times = [at or None for at in _TIMES(record)]
    rest = [str(value) if isinstance(value, str) else value for value in _REST(record)]
    files = [file.sha256 for file in record.files]
    set_ = [at is not None for at in times]
    fixed = marshal.dumps((set_, rest, record.output is not None, files), 0)
    return fixed, [at for at in times if at is not None]
