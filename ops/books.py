"""Compares the ledger rows of months and days with the sum of their predictions."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import from_item
from darkroom.domain import row_keys
from darkroom.domain.money import OTHER, committed, day_rows, months

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from darkroom.domain.prediction import Prediction

PREFIXES = (row_keys.MONTH, row_keys.USAGE, row_keys.TAGGED)
Rows = dict[str, dict[str, int]]


class LedgerAudit:
    """Sums up the records, to compare the sums with the ledger rows.

    A row that did not change while the records were read must equal the sum of these records,
    because each entry is written in one transaction with its record. Other rows are skipped.
    """

    def __init__(self, before: Rows) -> None:
        self._before = before
        self._sums: dict[str, Counter[str]] = defaultdict(Counter)
        self._kept_s = 0

    def add(self, record: Prediction) -> None:
        """Add a record to the sums."""
        self._kept_s = max(self._kept_s, record.expires_at - record.created_at // 1000)
        for name in months(record):
            row = self._sums[name]
            row["committed"] += committed(record)
            row["spent"] += record.cost or 0
            row["in_flight"] += not record.state.terminal
        if record.counted:
            for name in day_rows(record):
                row = self._sums[name]
                row[f"n:{record.model}"] += 1
                row[f"c:{record.model}"] += record.cost or 0

    def differences(self, after: Rows, now_s: float) -> Iterator[tuple[str, str]]:
        """Yield row key and text for each difference. Rows older than the oldest retained record
        are skipped, since some of their records have expired."""
        for name in sorted({*self._before, *after, *self._sums}):
            held = after.get(name, {})
            if self._before.get(name, {}) != held or not self._whole(name, now_s):
                continue
            sums = _as_counted(self._sums.get(name, Counter()), held)
            for what in sorted({*held, *sums}):
                if held.get(what, 0) != sums[what]:
                    text = f"{what} is {held.get(what, 0)}, its predictions come to {sums[what]}"
                    yield name, text

    def _whole(self, name: str, now_s: float) -> bool:
        period = name.split("#")[2]
        begins = datetime.fromisoformat(f"{period}-01"[:10]).replace(tzinfo=UTC).timestamp()
        return bool(begins + self._kept_s > now_s)


def _as_counted(sums: Counter[str], held: dict[str, int]) -> Counter[str]:
    """Move sums of models that the row does not name to `OTHER`, if the row has that entry."""
    if f"n:{OTHER}" not in held:
        return sums
    counted: Counter[str] = Counter()
    for what, number in sums.items():
        counted[what if what in held else f"{what[:2]}{OTHER}"] += number
    return counted


def rows(items: Iterable[dict[str, Any]]) -> Rows:
    """Return the rows of months and days among the items of the Controls table."""
    found = (from_item(item) for item in items if item["pk"]["S"].startswith(PREFIXES))
    return {
        row["pk"]: {name: row[name] for name in row if name not in {"pk", "expires_at", "open"}}
        for row in found
    }
