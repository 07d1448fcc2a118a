"""When two states of the proof's world are the same: times count from now, histories do not."""

from __future__ import annotations

import hashlib
import marshal
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from darkroom.domain.prediction import Prediction

if TYPE_CHECKING:
    from tests.proof.cloud import Cloud

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
"""Told in another form, see _record."""
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
        "updated_at",
        "logs",
        "error",
        "metrics",
        "started_at",
        "completed_at",
        "stream_url",
    ]
)
"""What follows from the request (and so from the id and the order of submits), texts that no rule
reads, and updated_at, which no rule reads back."""
_NAMES = [f.name for f in fields(Prediction) if f.name not in _LEFT_OUT | _TOLD | set(_TIME_NAMES)]
_REST = attrgetter(*_NAMES, "create.attempt", "create.state", "create.parked")


def canonical_key(cloud: Cloud) -> bytes:
    """Two worlds with one key behave alike from here on, and pass or fail the same checks."""
    now = cloud.clock.now
    store, up = cloud.store, cloud.upstream

    def told(item: dict[str, Any] | None) -> Any:
        return _record(store.read(item), now) if item else None

    state = (
        [(told(item), told(store.before.get(id_))) for id_, item in store.items.items()],
        [(told(old), told(new)) for old, new in store.stream],
        sorted(store.owners.items()),
        [
            (
                *(row.prediction, row.event, row.state, row.attempts),
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
                *(u.id, u.status, bool(u.told), u.cut_off, u.in_time),
                *(u.created_at - now, u.ends_by - now, _since(u.completed_at, now)),
                _since(u.extra_since, now),
            )
            for u in up.ups.values()
        ],
        [(hook.id, hook.status, hook.at - now) for hook in up.hooks],
        [(request["webhook"], until - now) for request, until in up.late],
        [
            (id_, [(p.attempt, p.sure, max(0, p.not_before - now)) for p in posts])
            for id_, posts in sorted(up.posts.items())
        ],
        cloud.submitted,
        sorted(cloud.accepted),
        sorted(cloud.wished),
        cloud.gap,
        sorted(cloud.owed),
        sorted(cloud.store.keys),
        sorted(cloud.controls.schemas),
        [
            (end.failing_since and end.failing_since - now, end.disabled_at is None)
            for end in cloud.controls.endpoints.values()
        ],
    )
    # Version 0 of marshal has no references: equal values give equal bytes.
    return hashlib.blake2b(marshal.dumps(state, 0), digest_size=12).digest()


def _since(at: int | None, now: int) -> int | None:
    return None if at is None else at - now


def _record(record: Prediction, now: int) -> Any:
    times = [at - now if at else None for at in _TIMES(record)]
    rest = [str(value) if isinstance(value, str) else value for value in _REST(record)]
    files = [file.sha256 for file in record.files]
    return (times, rest, record.output is not None, files)
