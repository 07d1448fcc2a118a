"""The fakes' tables under load: a sorted index, and the age of the records that are due."""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import DUE_ATTRIBUTES, DUE_SHARDS, RELAY, read_due, read_prediction
from darkroom.domain.lifecycle import urgency
from darkroom.ports import Due

from tests.support.fakes import LARGEST_ITEM, FakePredictions, ItemTooLargeError, item_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from darkroom.domain.money import LedgerEntry
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import DueRecord, IdempotencyKey

    from tests.support.fakes import FakeClock

KEPT = 20_000
"""Number of recently written or read items whose records are cached; some 10 kB each."""
WATCH_MS = 5_000
"""Minimum interval between two writes for polls of one prediction."""
SMALL = 64 * 1024
"""Items with shorter texts are not measured, because that would take most of a run's time."""


class Records:
    """The records in items, each read once, since items are never changed in place."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[int, tuple[dict[str, Any], Prediction]] = {}

    def of(self, item: dict[str, Any]) -> Prediction:
        """Return the record in the item."""
        known = self._known.get(id(item))
        return known[1] if known else self.note(item, read_prediction(item))

    def note(self, item: dict[str, Any], record: Prediction) -> Prediction:
        """Cache the record of an item; the oldest entry is dropped."""
        self._known[id(item)] = (item, record)
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return record


@dataclass
class Ages:
    """The time that each due record waits until a write changes its due time.

    A claim does not count: it only hides the record from other sweeps.
    """

    clock: Callable[[], int]
    waiting: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """By id: due since, kind and tenant."""
    most: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    by_tenant: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    total: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    number: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def moved(self, record: Prediction) -> None:
        """Note that the record was written: it is done, or due again at its new time."""
        self._note(record.id)
        if record.due_at is None:
            self.waiting.pop(record.id, None)
            return
        kind = urgency(record.state, bound=record.provider_id is not None).value
        self.waiting[record.id] = (record.due_at, kind, record.tenant)

    def end(self) -> None:
        """Count the records that still wait."""
        for id_ in self.waiting:
            self._note(id_)

    def done(self, id_: str) -> None:
        """Note that nothing is due any more."""
        self._note(id_)
        self.waiting.pop(id_, None)

    def _note(self, id_: str) -> None:
        since, kind, tenant = self.waiting.get(id_, (1 << 60, "", ""))
        age = self.clock() - since
        if age > 0:
            self.most[kind] = max(self.most[kind], age)
            self.by_tenant[tenant] = max(self.by_tenant[tenant], age)
            self.total[kind] += age
            self.number[kind] += 1


@dataclass
class CrowdPredictions(FakePredictions):
    """FakePredictions whose `due` costs time for what it returns, not for the whole table."""

    clock: FakeClock | None = None
    changed: Callable[[dict[str, Any] | None, dict[str, Any]], None] = lambda _old, _new: None
    """The stream, behind the mapping's filter."""

    def __post_init__(self) -> None:
        assert self.clock is not None
        self.ages = Ages(self.clock)
        self.records = Records(KEPT)
        self.watched: dict[str, int] = {}
        """Time at which a poll of the prediction was last stored."""
        self.watched_early = 0
        """Writes for polls before `WATCH_MS` had passed."""
        self._shards: list[list[tuple[int, str]]] = [[] for _ in range(DUE_SHARDS)]

    def insert(
        self,
        record: Prediction,
        key: IdempotencyKey | None = None,
        entries: Sequence[LedgerEntry] = (),
    ) -> None:
        super().insert(record, key, entries)
        self._moved(record)

    def commit(
        self, record: Prediction, *, claims: str | None = None, entries: Sequence[LedgerEntry] = ()
    ) -> None:
        super().commit(record, claims=claims, entries=entries)
        self._moved(record)

    def _moved(self, record: Prediction) -> None:
        self.ages.moved(record)
        self.records.note(self.items[record.id], record)

    def claim(self, key: Due, until: int) -> Prediction | None:
        item = self.items.get(key.id)
        if item is None or item.get("due_at") != {"N": str(key.due_at)}:
            return None
        claimed = {**item, "due_at": {"N": str(until)}}
        record = self.records.note(claimed, replace(self.records.of(item), due_at=until))
        self._write(key.id, claimed)
        return record

    def watch(self, record: Prediction, until: int) -> bool:
        now, item = self.ages.clock(), self.items[record.id]
        if now - self.watched.get(record.id, 0) < WATCH_MS:
            self.watched_early += 1
        if not super().watch(record, until):
            return False
        self.watched[record.id] = now
        written = self.items[record.id]
        self.records.note(written, replace(self.records.of(item), watched_until=until))
        return True

    def mark_effects_done(self, record: Prediction) -> None:
        super().mark_effects_done(record)
        if "due_at" not in self.items[record.id]:
            self.ages.done(record.id)

    def due(self, now: int, limit: int) -> list[Due]:
        keys = [
            Due(id_, at)
            for number in range(DUE_SHARDS)
            for at, id_ in self._shards[number][: self._due(number, now, limit)]
        ]
        return sorted(keys, key=lambda key: key.due_at)[:limit]

    def look(self, keys: Iterable[Due]) -> list[DueRecord]:
        # Like the adapter: all items are fetched before any is read.
        found = {key.id: (key, self._projected(key.id)) for key in keys if key.id in self.items}
        return [read_due(key, item) for key, item in found.values()]

    def _projected(self, id_: str) -> dict[str, Any]:
        item = self.items[id_]
        return {name: dict(item[name]) for name in DUE_ATTRIBUTES if name in item}

    def _due(self, number: int, now: int, limit: int) -> int:
        return min(limit, bisect.bisect_right(self._shards[number], (now, "~")))

    def due_now(self, now: int) -> int:
        """Return the number of due records, claimed or not."""
        return sum(self._due(number, now, 1 << 60) for number in range(DUE_SHARDS))

    def _read(self, id_: str) -> Prediction:
        return self.records.of(self.items[id_])

    def _write(self, id_: str, item: dict[str, Any]) -> None:
        texts = (item.get(name, {}) for name in ("input", "output", "logs"))
        large = any(len(value) > SMALL for text in texts for value in text.values())
        if large and item_size(item) > LARGEST_ITEM:
            raise ItemTooLargeError(id_)
        old = self.items.get(id_)
        if old == item:
            return
        if old and "due_at" in old:
            shard = self._shards[int(old["due_shard"]["N"])]
            shard.pop(bisect.bisect_left(shard, (int(old["due_at"]["N"]), id_)))
        if "due_at" in item:
            shard = self._shards[int(item["due_shard"]["N"])]
            bisect.insort(shard, (int(item["due_at"]["N"]), id_))
        self.items[id_] = item
        if item.get(RELAY) != {"BOOL": False}:
            self.changed(old, item)
