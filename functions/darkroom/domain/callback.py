"""A callback: the notification of a client about one event of a prediction, in several attempts.

The entity, its pure changes, the schedule of its attempts, and its status as shown.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from darkroom.domain.prediction import Prediction, State
from darkroom.domain.strict_json import canonical
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.domain.timings import Timings

EVENTS = ("start", "output", "logs", "completed")
"""Events that a client may ask for. All of them are the default when it names a webhook and no
filter.

The provider's changelog of 2023-02-10 and its request schema name all four, its guide only outputs
and the end. The larger set is safer, since a receiver must tolerate additional events.
"""
PAUSES_S = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each of the ten attempts, about 75 hours in all. This is the example schedule of
the Standard Webhooks specification."""
SPREAD = 0.05
"""Relative jitter of a delay, so that the clients of one outage spread out."""
LONGEST_RETRY_AFTER_S = 86_400.0
"""The longest delay that a client may request by Retry-After."""
FIRST_WAIT_S, LONGEST_WAIT_S = 15.0, 3600.0
"""Bounds of the wait for an endpoint; it is about as long as the time waited so far."""
KEPT_MS = 30 * 86_400_000
"""Lifetime of a callback's row, from its event or from its redelivery request."""
FROZEN_KEPT = 60_000
"""Maximum bytes of the stored status at an event."""
HISTORY_KEPT = 10
EARLY_MS = 500
"""Tolerance for early messages, because the clocks of two hosts differ."""
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
"""Hosts of this machine that a callback's URL may name if the embedded cloud allows it."""
GONE = 410
"""The client does not want this callback any more."""

_EVENT = re.compile(r"start|output|completed|(output|logs)-[0-9]{6,12}")


class CallbackState(StrEnum):
    """Every state except `pending` is final until the client requests a redelivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """No attempt is left, or the client does not want any."""
    DISABLED = "disabled"
    """The endpoint is disabled."""
    SUPERSEDED = "superseded"
    """The prediction ended before this callback was delivered."""
    EXPIRED = "expired"
    """The lifetime of the row has ended."""


@immutable
class Attempt:
    """Result of one attempt of a callback."""

    at: int
    duration_ms: int
    status: int | None = None
    error: str | None = None

    @property
    def taken(self) -> bool:
        """Whether the client accepted the callback."""
        return taken(self.status)


@immutable
class Callback:
    """One callback to a client: an event of a prediction, and the history of its attempts."""

    prediction: str
    event: str
    created_at: int
    expires_at: int
    state: CallbackState = CallbackState.PENDING
    attempts: int = 0
    next_at: int = 0
    """Earliest time of the next attempt; for one in progress, the time at which it counts as
    lost."""
    last_status: int | None = None
    last_error: str | None = None
    due_at: int | None = None
    """Time at which the sweep enqueues it; None removes it from the index."""
    frozen: str | None = None
    """The status at the event; None if the record itself is final."""
    history: tuple[Attempt, ...] = ()
    """The last ten attempts, oldest first."""

    @property
    def pending(self) -> bool:
        """Whether another attempt is due."""
        return self.state is CallbackState.PENDING

    @property
    def owed_since(self) -> int:
        """Time of the event, or of the last redelivery request."""
        return 1000 * self.expires_at - KEPT_MS

    def owed_at(self, now: int) -> bool:
        """Whether an attempt may be made at this time."""
        return self.pending and now >= self.next_at - EARLY_MS

    def claimed(self, until: int) -> Callback:
        """Return the callback with an attempt in progress, which counts as lost at `until`."""
        return replace(self, next_at=until, due_at=until)

    def closed(self, state: CallbackState) -> Callback:
        """Return the callback without a further attempt."""
        return replace(self, state=state, next_at=0, due_at=None)

    def scheduled(self, at: int, grace_ms: int = 0) -> Callback:
        """Return the callback with its next attempt at this time. The sweep enqueues it after the
        grace."""
        return replace(self, next_at=at, due_at=at + grace_ms)

    def asked_again(self, now: int, timings: Timings) -> Callback:
        """Return the callback with a new series of attempts, whatever the result of the last
        one."""
        return replace(
            self,
            state=CallbackState.PENDING,
            attempts=0,
            next_at=0,
            due_at=now + int(timings.callback_grace_s * 1000),
            expires_at=(now + KEPT_MS) // 1000,
        )


def caused(record: Prediction, event: str, now: int, timings: Timings) -> Callback:
    """Return the callback for an event of a prediction."""
    return Callback(
        prediction=record.id,
        event=event,
        created_at=now,
        expires_at=(now + KEPT_MS) // 1000,
        due_at=now + int(timings.callback_grace_s * 1000),
        frozen=None if record.state.terminal else capture_status(record),
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
    """Return the callback after an attempt: pending with the time of the next one, or final.

    `disabled`: this was the last attempt that its endpoint gets.
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
    """Whether this can be an event's name: `start`, `output`, `completed`, `logs-000007`."""
    return _EVENT.fullmatch(text) is not None


def superseded(record: Prediction, event: str) -> bool:
    """Whether the prediction's end makes this event pointless.

    A receiver infers the event from the status, so an older status after `completed` would mislead
    it. A client that did not ask for `completed` gets its events, however late.
    """
    over = record.state.terminal and event != "completed"
    return over and "completed" in record.webhook_events


def next_attempt(
    attempts: int, now: int, timings: Timings, *, jitter: float, retry_after_s: float | None = None
) -> int | None:
    """Return the time of the next attempt after `attempts` failed ones; None if that was the last.

    `jitter` is uniform in [0, 1). The delay is never shorter than the client's Retry-After, up to a
    day.
    """
    if attempts >= len(PAUSES_S):
        return None
    pause = PAUSES_S[attempts] * timings.callback_scale * (1 + SPREAD * (2 * jitter - 1))
    asked = min(max(0.0, retry_after_s or 0.0), LONGEST_RETRY_AFTER_S)
    return now + max(1, int(1000 * max(pause, asked)))


def next_turn(now: int, since: int, not_before: int, timings: Timings, *, jitter: float) -> int:
    """Return the time at which a callback that has waited for its endpoint since `since` is tried
    again.

    The number of other waiting callbacks is unknown. If each waits again for about as long as it
    has waited, they spread over the time that all of them need, and none is read often. `jitter` is
    uniform in [0, 1); it also separates callbacks with the same `not_before`.
    """
    first, longest = (
        int(s * 1000 * timings.callback_scale) for s in (FIRST_WAIT_S, LONGEST_WAIT_S)
    )
    pause = max(first, min(longest, now - since))
    return max(not_before + int(first * jitter), now + int(pause * (0.5 + jitter)), now + 1)


def taken(status: int | None) -> bool:
    """Whether the client accepted the callback: 2xx only, so redirects do not count."""
    return status is not None and 200 <= status < 300


# The status at the event


def capture_status(record: Prediction) -> str:
    """Serialize the fields of a running record that may change later, to show them at each attempt.

    The result contains none of our URLs, since those are signed at each attempt. It is JSON of at
    most 60 kB: logs that need more, once escaped, lose their beginning.
    """
    logs = record.logs
    while True:
        text = json.dumps(
            {
                "state": record.state.value,
                "logs": logs,
                "started_at": record.started_at,
                "metrics": None if record.metrics is None else canonical(record.metrics),
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


def restore_status(record: Prediction, frozen: str) -> Prediction:
    """Restore the record as it was when `frozen` was serialized."""
    then = json.loads(frozen)
    create = replace(record.create, attempt=then.pop("attempt"))
    then["state"] = State(then["state"])
    then["metrics"] = then["metrics"] and json.loads(then["metrics"])
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
