"""Callbacks to clients: which events there are, when each attempt is made, what it shows."""

from __future__ import annotations

import json
import re
from dataclasses import replace
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
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
"""This machine, as a callback's URL may name it where the embedded cloud calls it."""
GONE = 410
"""The client wants this callback no more."""

_EVENT = re.compile(r"start|output|completed|(output|logs)-[0-9]{6,12}")


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
