"""Records and snapshots for tests of the domain: defaults, with the relevant values overridden."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from darkroom.domain.lifecycle import due, first_attempt
from darkroom.domain.prediction import Prediction
from darkroom.domain.snapshot import Snapshot
from darkroom.domain.timings import Timings

from tests.support.fakes import START

ID = "a" * 26
PID = "p" * 26
TIMINGS = Timings(due_slack_s=0)
"""Production's, except for times that tests specify exactly."""


def accepted(**changes: Any) -> Prediction:
    """Return a record as submit writes it, with its first create in flight."""
    record = Prediction(
        id=ID,
        tenant="acme",
        created_at=START,
        model="owner/name",
        version=None,
        input={"prompt": "a corgi"},
        deadline=START + 1_800_000,
        typical_ms=2000,
        expires_at=START // 1000 + 90 * 86_400,
        updated_at=START,
        create=first_attempt(START, 3.0, TIMINGS),
    )
    record = replace(record, **changes)
    return replace(record, due_at=due(record, TIMINGS))


def snapshot(status: str = "starting", **changes: Any) -> Snapshot:
    """Return the provider's record of one prediction."""
    return Snapshot(**{"provider_id": PID, "status": status, **changes})
