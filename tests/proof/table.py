"""The Predictions table of the proof: the fake with a lagging index, a stream behind the mapping's
filter, writes that conflict with transactions, and caches."""

from __future__ import annotations

import marshal
from contextlib import contextmanager
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from darkroom.aws.dynamodb import TRIES
from darkroom.aws.items import RELAY, prediction_item, read_due, read_prediction
from darkroom.domain.prediction import Prediction
from darkroom.ports import Due, DueRecord

from tests.proof import versions
from tests.support.fakes import FakePredictions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from darkroom.domain.money import LedgerEntry
    from darkroom.ports import IdempotencyKey

KEPT_ITEMS = 10_000
"""Maximum cached items per process, with the records read from them; some 10 kB each."""
PASSED_BY = {"BOOL": False}
"""Value of an item's mark that the stream mapping's filter excludes."""
_MAPS = "uploads", "metadata"
_JSON = attrgetter("input", "output", "metrics")
_FIELDS = attrgetter(
    *(f.name for f in fields(Prediction) if f.name not in {*_MAPS, "input", "output", "metrics"})
)


class Predictions(FakePredictions):
    """The fake without copies, since items are never changed in place here.

    Equal items are one object, so that each is created, read and reported once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, dict[str, Any] | None] = {}
        """Each item as it was one write ago, which a lagging index still shows."""
        self.on_write: Callable[[Prediction | None, Prediction], None] = lambda _old, _new: None
        self.on_done: Callable[[], None] = lambda: None
        """Called when a write is complete with its whole transaction."""
        self.on_entries: Callable[[Sequence[LedgerEntry]], None] = lambda _entries: None
        """Raises if a month's row cannot be written."""
        self.shape: Callable[[dict[str, Any]], dict[str, Any]] = lambda item: item
        """Returns the item as the release of the writing function would write it."""
        self.strangers: list[Due] = []
        """Additional due items, which cannot be read."""
        self.forget()

    def forget(self) -> None:
        """Clear the caches."""
        self._items: dict[bytes, dict[str, Any]] = {}
        self._made: dict[Any, dict[str, Any]] = {}
        self._records: dict[int, tuple[dict[str, Any], Prediction]] = {}
        self._told: dict[int, tuple[dict[str, Any], Any]] = {}
        self.silent: dict[tuple[int, int], Any] = {}
        """Changes, by the identities of their images, for which relay did no I/O."""

    def due(self, now: int, limit: int, fault: str = "") -> list[Due]:
        shown = self.items if not fault else self.before
        found = [
            Due(id_, int(item["due_at"]["N"]))
            for id_, item in shown.items()
            if item and "due_at" in item and "due_shard" in item
        ]
        found += self.strangers
        return sorted((d for d in found if d.due_at <= now), key=lambda d: d.due_at)[:limit]

    @contextmanager
    def _meeting(self, fault: str) -> Iterator[None]:
        """Let the write conflict with other transactions at each attempt."""
        self.conflicts = TRIES if fault else 0
        try:
            yield
        finally:
            self.conflicts = 0

    def claim(self, key: Due, until: int, fault: str = "") -> Prediction | None:
        if key.id in versions.NEXT:
            # It is moved within the index before it turns out that this release cannot read it.
            return read_prediction(versions.NEXT[key.id])
        with self._meeting(fault):
            return super().claim(key, until)

    def look(self, keys: Iterable[Due], fault: str = "") -> list[DueRecord]:
        # Read without a lock, so it may be the state of one write ago.
        shown = {**(self.before if fault else self.items), **versions.NEXT}
        return [read_due(key, item) for key in keys if (item := shown.get(key.id))]

    def insert(
        self,
        record: Prediction,
        key: IdempotencyKey | None = None,
        entries: Sequence[LedgerEntry] = (),
    ) -> None:
        self.on_entries(entries)
        super().insert(record, key, entries)
        self.on_done()

    def commit(
        self,
        record: Prediction,
        *,
        claims: str | None = None,
        entries: Sequence[LedgerEntry] = (),
        fault: str = "",
    ) -> None:
        self.on_entries(entries)
        with self._meeting(fault):
            super().commit(record, claims=claims, entries=entries)
        self.on_done()

    def mark_effects_done(self, record: Prediction, fault: str = "") -> None:
        with self._meeting(fault):
            super().mark_effects_done(record)
        self.on_done()

    def item_of(self, record: Prediction) -> dict[str, Any]:
        """Return the record as an item, cached per record."""
        maps = (tuple(getattr(record, name).items()) for name in _MAPS)
        key = _FIELDS(record), marshal.dumps(_JSON(record), 0), *maps
        item = self._made.get(key)
        if item is None:
            item = self._made[key] = self._one(prediction_item(record))
        return item

    def _one(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return the object that represents all equal items."""
        return self._items.setdefault(marshal.dumps(item, 0), item)

    def read(self, item: dict[str, Any]) -> Prediction:
        """Return the record in an item, cached per item."""
        known = self._records.get(id(item))
        if known is None:
            known = self._records[id(item)] = (item, read_prediction(item))
        return known[1]

    def told(self, item: dict[str, Any], tell: Callable[[Prediction], Any]) -> Any:
        """Return `tell` of the record in an item, cached per item."""
        known = self._told.get(id(item))
        if known is None:
            known = self._told[id(item)] = (item, tell(self.read(item)))
        return known[1]

    def _read(self, id_: str) -> Prediction:
        return self.read(self.items[id_])

    def _write(self, id_: str, item: dict[str, Any]) -> None:
        if len(self._items) > KEPT_ITEMS:
            self.forget()
        item = self._one(self.shape(item))
        old = self.items.get(id_)
        if old == item:
            return
        new = self.read(item)
        self.on_write(self.read(old) if old else None, new)
        self.before[id_] = old
        self.items[id_] = item
        if item.get(RELAY) != PASSED_BY:
            self.stream.append((old, item))
