"""The effect of Replicate's answer to a create on the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.backoff import Backoff
from darkroom.domain.lifecycle import (
    CreateRefused,
    CreateRejected,
    CreateUnknown,
    ProviderReported,
)
from darkroom.domain.link import without_link_tokens
from darkroom.ports import Answered, NoAnswer, NotSent
from darkroom.replicate.snapshot import BadSnapshotError, read_snapshot

if TYPE_CHECKING:
    from darkroom.domain.lifecycle import CreateOutcome
    from darkroom.domain.timings import Timings

FORBIDDEN = 403
_PARKING = frozenset({401, 402, FORBIDDEN})
_UNSURE = frozenset({408, 409, 425})
"""4xx statuses that do not prove that nothing was or will be created."""
_LONGEST_PAUSE_S = 60.0
_LONGEST_RETRY_AFTER_S = 86_400.0
"""Later than any deadline."""


def classify(
    answer: Answered | NotSent | NoAnswer,
    attempt: int,
    now: int,
    timings: Timings,
    jitter: float,
) -> CreateOutcome:
    """Interpret the end of a create. `jitter` is uniform in [0, 1).

    Returns `CreateRefused` only if the provider certainly created nothing, and `CreateUnknown` for
    every doubt.
    """
    match answer:
        case NotSent():
            return CreateRefused(attempt, now + _pause(attempt, timings, jitter))
        case NoAnswer():
            return CreateUnknown(attempt)
        case Answered(status=status) if status in _PARKING:
            parked = status != FORBIDDEN or not answer.token_works
            return CreateRefused(attempt, now + int(timings.parked_retry_s * 1000), parked=parked)
        case Answered(status=429):
            if answer.retry_after_s is None:
                return CreateRefused(attempt, now + _pause(attempt, timings, jitter))
            wait = min(max(0.0, answer.retry_after_s), _LONGEST_RETRY_AFTER_S) * 1000
            return CreateRefused(attempt, now + int(wait) + 1 + int(1000 * jitter))
        case Answered(status=status) if 400 <= status < 500 and status not in _UNSURE:
            return CreateRejected(attempt, _detail(answer.body))
        case Answered(status=status) if 200 <= status < 300:
            try:
                return ProviderReported(read_snapshot(answer.body))
            except BadSnapshotError:
                return CreateUnknown(attempt)
        case _:
            return CreateUnknown(attempt)


def _pause(attempt: int, timings: Timings, jitter: float) -> int:
    backoff = Backoff(timings.refused_retry_s, _LONGEST_PAUSE_S, least=0.5)
    return int(1000 * backoff.pause_s(attempt, jitter))


def _detail(body: object) -> str:
    detail = body.get("detail") if isinstance(body, dict) else None
    said = detail if isinstance(detail, str) else "the request was refused"
    return f"The provider refused the request: {without_link_tokens(said)[:1000].strip()}"
