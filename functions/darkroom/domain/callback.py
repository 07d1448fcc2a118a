"""A callback: one event of a prediction that its client is told, attempt by attempt.

The entity and its pure changes, when each attempt is made, and what it shows.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from darkroom.domain.prediction import Prediction, State

if TYPE_CHECKING:
    from darkroom.domain.timings import Timings

EVENTS = ("start", "output", "logs", "completed")
"""What a client may ask for, and what it gets when it names a webhook and no filter.

The provider's changelog and request schema say all four; its guide says outputs
and the end. The larger set is the safe one: a receiver must bear more than it waits for.
"""
PAUSES_S = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each of the ten attempts, about 75 hours in all: the schedule that the Standard
Webhooks specification gives as its example."""
SPREAD = 0.05
"""A pause is longer or shorter by up to this share, so that the clients of one outage spread."""
LONGEST_RETRY_AFTER_S = 86_400.0
"""A client may put an attempt off by so much, and no more."""
FIRST_WAIT_S, LONGEST_WAIT_S = 15.0, 3600.0
"""What waits for its endpoint comes again after about as long as it has waited, within these."""
KEPT_MS = 30 * 86_400_000
"""Life of a callback's row, from its event or from when it was asked for again."""
FROZEN_KEPT = 60_000
"""Bytes of a frozen event, at most."""
HISTORY_KEPT = 10
EARLY_MS = 500
"""A message may come so much before its time: the clocks of two hosts differ."""
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
"""This machine, as a callback's URL may name it where the embedded cloud calls it."""
GONE = 410
"""The client wants this callback no more."""

_EVENT = re.compile(r"start|output|completed|(output|logs)-[0-9]{6,12}")


class CallbackState(StrEnum):
    """All but `pending` are final, until the client asks for another delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """No attempt is left, or the client wants none."""
    DISABLED = "disabled"
    """Its endpoint is."""
    SUPERSEDED = "superseded"
    """The prediction ended first."""
    EXPIRED = "expired"
    """The time of its record is over."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt of a callback went."""

    at: int
    duration_ms: int
    status: int | None = None
    error: str | None = None

    @property
    def taken(self) -> bool:
        """Whether the client took the callback."""
        return taken(self.status)


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback owed to a client: a prediction's event, and how its attempts went."""

    prediction: str
    event: str
    created_at: int
    expires_at: int
    state: CallbackState = CallbackState.PENDING
    attempts: int = 0
    next_at: int = 0
    """The next attempt's earliest time; of one under way, when it counts as lost."""
    last_status: int | None = None
    last_error: str | None = None
    due_at: int | None = None
    """When the sweep enqueues it; None leaves the index."""
    frozen: str | None = None
    """The status at the event; None where the record itself is final."""
    history: tuple[Attempt, ...] = ()
    """The last ten attempts, oldest first."""

    @property
    def pending(self) -> bool:
        """Whether an attempt is still to come."""
        return self.state is CallbackState.PENDING

    @property
    def owed_since(self) -> int:
        """When it was caused, or last asked for again."""
        return 1000 * self.expires_at - KEPT_MS

    def owed_at(self, now: int) -> bool:
        """Whether an attempt may be made at this time."""
        return self.pending and now >= self.next_at - EARLY_MS

    def claimed(self, until: int) -> Callback:
        """Return it with an attempt under way, which counts as lost at `until`."""
        return replace(self, next_at=until, due_at=until)

    def closed(self, state: CallbackState) -> Callback:
        """Return it without any further attempt."""
        return replace(self, state=state, next_at=0, due_at=None)

    def scheduled(self, at: int, grace_ms: int = 0) -> Callback:
        """Return it with its next attempt at this time. The sweep enqueues it after the grace."""
        return replace(self, next_at=at, due_at=at + grace_ms)

    def asked_again(self, now: int, timings: Timings) -> Callback:
        """Return it with its attempts begun afresh, whatever became of the earlier ones."""
        return replace(
            self,
            state=CallbackState.PENDING,
            attempts=0,
            next_at=0,
            due_at=now + int(timings.callback_grace_s * 1000),
            expires_at=(now + KEPT_MS) // 1000,
        )


def caused(record: Prediction, event: str, now: int, timings: Timings) -> Callback:
    """Return the callback that an event of a prediction causes."""
    return Callback(
        prediction=record.id,
        event=event,
        created_at=now,
        expires_at=(now + KEPT_MS) // 1000,
        due_at=now + int(timings.callback_grace_s * 1000),
        frozen=None if record.state.terminal else freeze(record),
    )


def after_attempt(
    callback: Callback,
    attempt: Attempt,
    now: int,
    timings: Timings,
    *,
    jitter: float,
    retry_after_s: float | None = None,
    disabled: bool = False,
) -> Callback:
    """Return what an attempt makes of a callback: pending with the time of the next one, or over.

    `disabled` says that the attempt was the last that its endpoint gets.
    """
    noted = replace(
        callback,
        attempts=callback.attempts + 1,
        last_status=attempt.status,
        last_error=attempt.error,
        history=(*callback.history, attempt)[-HISTORY_KEPT:],
    )
    at = next_attempt(noted.attempts, now, timings, jitter=jitter, retry_after_s=retry_after_s)
    if attempt.taken:
        return noted.closed(CallbackState.DELIVERED)
    if disabled:
        return noted.closed(CallbackState.DISABLED)
    if at is None or attempt.status == GONE:
        return noted.closed(CallbackState.FAILED)
    return noted.scheduled(at)


def is_event(text: str) -> bool:
    """Whether this could be a delivery's name: `start`, `output`, `completed`, `logs-000007`."""
    return _EVENT.fullmatch(text) is not None


def superseded(record: Prediction, event: str) -> bool:
    """Whether the prediction's end makes this event pointless.

    A receiver infers the event from the status, so after `completed` an older status would mislead
    it. Who did not ask for `completed` gets what it asked for, however late.
    """
    over = record.state.terminal and event != "completed"
    return over and "completed" in record.webhook_events


def next_attempt(
    attempts: int, now: int, timings: Timings, *, jitter: float, retry_after_s: float | None = None
) -> int | None:
    """When to try again after `attempts` failed ones, or None where that was the last.

    `jitter` is uniform in [0, 1). What the client asked for by Retry-After is never undercut,
    up to a day.
    """
    if attempts >= len(PAUSES_S):
        return None
    pause = PAUSES_S[attempts] * timings.callback_scale * (1 + SPREAD * (2 * jitter - 1))
    asked = min(max(0.0, retry_after_s or 0.0), LONGEST_RETRY_AFTER_S)
    return now + max(1, int(1000 * max(pause, asked)))


def next_turn(now: int, since: int, not_before: int, timings: Timings, *, jitter: float) -> int:
    """When a delivery comes again that has been waiting for its endpoint since then.

    Nothing tells how many wait beside it. If each waits about as long again as it has waited, they
    spread over the time that all of them need, and none is looked at often. `jitter` is uniform in
    [0, 1): it also parts those that wait for the same `not_before`.
    """
    first, longest = (
        int(s * 1000 * timings.callback_scale) for s in (FIRST_WAIT_S, LONGEST_WAIT_S)
    )
    pause = max(first, min(longest, now - since))
    return max(not_before + int(first * jitter), now + int(pause * (0.5 + jitter)), now + 1)


def taken(status: int | None) -> bool:
    """Whether the client took the callback: 2xx and nothing else, redirects neither."""
    return status is not None and 200 <= status < 300


# The status at the event


def freeze(record: Prediction) -> str:
    """What a record that is not over shows of itself now and may show otherwise later.

    No URL of ours is in it, since those are made at each attempt. JSON of at most 60 kB: logs that
    need more, once escaped, lose their beginning.
    """
    logs = record.logs
    while True:
        text = json.dumps(
            {
                "state": record.state.value,
                "logs": logs,
                "started_at": record.started_at,
                "metrics": record.metrics,
                "provider_id": record.provider_id,
                "stream_url": record.stream_url,
                "attempt": record.create.attempt,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
        if len(text.encode()) <= FROZEN_KEPT or not logs:
            return text
        logs = logs[-(len(logs) // 2) :] if len(logs) > 1 else ""


def thaw(record: Prediction, frozen: str) -> Prediction:
    """The record as it was when `frozen` was made."""
    then = json.loads(frozen)
    create = replace(record.create, attempt=then.pop("attempt"))
    then["state"] = State(then["state"])
    return replace(
        record,
        **then,
        create=create,
        output=None,
        files=(),
        error=None,
        code=None,
        completed_at=None,
    )
