"""Initial records and rows of the suites of several stores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from darkroom.domain.callback import Callback
from darkroom.domain.money import LedgerEntry
from darkroom.domain.prediction import (
    CreateAttempt,
    CreateState,
    Prediction,
)

T = 1_800_000_000_000


def name(number: int) -> str:
    return f"{number:026d}"


def record(number: int = 1, **changes: Any) -> Prediction:
    new = Prediction(
        id=name(number),
        tenant="acme",
        created_at=T,
        model="owner/name",
        version=None,
        input={},
        deadline=T + 60_000,
        typical_ms=1000,
        expires_at=T // 1000 + 86_400,
        updated_at=T,
        due_at=T + 5000,
        create=CreateAttempt(1, CreateState.IN_FLIGHT, T, T + 13_000),
    )
    return replace(new, **changes)


def following(before: Prediction, **changes: Any) -> Prediction:
    return replace(before, revision=before.revision + 1, **changes)


MONTH = "SPEND#acme#2027-01"


def enter(
    committed: int = 0, spent: int = 0, in_flight: int = 1, **limits: int
) -> list[LedgerEntry]:
    return [LedgerEntry(MONTH, committed, spent, in_flight, **limits)]


OWED = Callback(
    prediction="0" * 25 + "1",
    event="completed",
    created_at=T,
    expires_at=T // 1000 + 60,
    due_at=T + 1000,
)
