"""In-memory doubles of the ports, for tests that need thousands of runs or injected faults.

Fakes are used instead of mocks for three reasons: a test reads like a user's view; a fake has
state, so a repeated or reordered call has its real effect; and each fake passes the same suite that
its adapter passes against moto (tests/adapters), so it cannot diverge from AWS. They are never more
lenient than AWS: items have a size limit, conditions are checked against stored items, reads return
copies, a test can let indexes lag and transactions conflict, and expired items may still exist.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from darkroom.aws.deliveries import delivery_shard, share_due
from darkroom.aws.dynamodb import TRIES
from darkroom.aws.items import (
    RELAY,
    expired,
    list_items,
    list_of,
    prediction_item,
    prediction_of,
    read_due,
    read_prediction,
    read_predictions,
)
from darkroom.domain import media, repeats, row_keys
from darkroom.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    IdempotencyKeyUsedError,
    LimitReachedError,
    ProviderIdTakenError,
    ProviderUnavailableError,
    TransferFailedError,
    UnavailableError,
    UnreadableRecordError,
)
from darkroom.domain.inputs import is_output, path_below
from darkroom.domain.money import OPEN_MODELS_A_DAY, OTHER, Limits, day_rows
from darkroom.domain.receivers import Receivers
from darkroom.domain.times import rfc3339
from darkroom.ports import (
    ALWAYS,
    Answered,
    ApiKey,
    CallbackAnswer,
    Due,
    DueRecord,
    IdPage,
    Month,
    NoAnswer,
    NotSent,
    PresignedForm,
    ProviderPage,
    RunTime,
    SecretVersion,
    StoredObject,
)
from darkroom.replicate.snapshot import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from darkroom.domain.callback import Callback
    from darkroom.domain.money import LedgerEntry
    from darkroom.domain.prediction import Prediction
    from darkroom.domain.snapshot import Snapshot
    from darkroom.ports import IdempotencyKey, Span

START = 1_800_000_000_000
LARGEST_ITEM = 400 * 1024
PAGE = 100
"""Predictions in one page of the provider's list."""
LARGEST_METADATA = 2048


class ItemTooLargeError(Exception):
    """DynamoDB's ValidationException for an item over 400 KB."""


class Crash(BaseException):
    """The process dies here, so no handler may catch it."""


@dataclass
class FakeClock:
    """Milliseconds that advance only on request."""

    now: int = START

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


def item_size(item: dict[str, Any]) -> int:
    """Return approximately DynamoDB's size: names and values, without the type tags' JSON."""
    return len(json.dumps(item, ensure_ascii=False, default=lambda raw: "x" * len(raw)).encode())


@dataclass
class FakePredictions:
    """PredictionStore in a dictionary of items, with the stream of its changes.

    While it is `lagging`, each item's index entries are those of one write ago. The next
    `conflicts` attempts to write conflict with another transaction.
    """

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    keys: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    rows: dict[str, repeats.Repeats] = field(default_factory=dict)
    """Rows of equal requests without a key."""
    stream: list[tuple[dict[str, Any] | None, dict[str, Any]]] = field(default_factory=list)
    months: dict[str, Month] = field(default_factory=dict)
    days: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    opened: dict[str, set[str]] = field(default_factory=dict)
    """The names of open models in each of `days`."""
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The rows of lists, by their keys; they never change, and relay does not get them."""
    clock: Callable[[], int] = field(default_factory=FakeClock)
    before: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    """Each item as it was one write ago, None if it did not exist."""
    lagging: bool = False
    conflicts: int = 0

    def __contains__(self, id_: str) -> bool:
        return id_ in self.items

    def __len__(self) -> int:
        return len(self.items)

    def insert(
        self,
        record: Prediction,
        key: IdempotencyKey | repeats.RepeatEntry | None = None,
        entries: Sequence[LedgerEntry] = (),
    ) -> None:
        rows = list(list_items(record))
        if (key or entries or rows) and self._transaction_fails():
            raise UnavailableError("Too many requests of the same kind at this moment; try again.")
        if isinstance(key, repeats.RepeatEntry):
            self._check_equals(key, record)
        elif key and self.keys.get(key.id, ("",))[0] != record.id:
            self.check_key(key, record.created_at)
        if record.id in self.items:
            if self._read(record.id) != record:
                raise AlreadyExistsError(record.id)
            return
        months = {entry.row: self._month(entry) for entry in entries}
        self._write(record.id, prediction_item(record))
        self.listed |= {row["id"]["S"]: row for row in rows}
        self.months |= months
        if isinstance(key, repeats.RepeatEntry):
            before = self.rows.get(key.row, repeats.Repeats())
            made = (key.made, *before.made)[: repeats.KEPT]
            refused = before.refused - int(key.redeems)
            self.rows[key.row] = replace(before, made=made, refused=refused)
        elif key:
            self.keys[key.id] = (record.id, record.fingerprint, key.expires_at)

    def check_key(self, key: IdempotencyKey, now: int) -> None:
        used = self.keys.get(key.id)
        if used and used[2] > now // 1000:
            raise IdempotencyKeyUsedError(used[0], used[1])

    def _check_equals(self, entry: repeats.RepeatEntry, record: Prediction) -> None:
        row = self.rows.get(entry.row, repeats.Repeats())
        latest = row.made[0] if row.made else None
        if entry.redeems:
            allowed = row.refused > 0
        elif entry.received_at is not None:
            allowed = latest is None or not latest.early or latest.at < entry.received_at
        else:
            allowed = (latest and latest.prediction) == (entry.seen and entry.seen.prediction)
        if not allowed and latest is None:
            raise UnavailableError("An equal request is being refused at this moment; try again.")
        if not allowed and latest and latest.prediction != record.id:
            raise IdempotencyKeyUsedError(latest.prediction, record.fingerprint)

    def repeats_in(self, row: str) -> repeats.Repeats:
        return self.rows.get(row, repeats.Repeats())

    def answer_again(self, row: str, place: int, made: repeats.Made, count: int) -> bool:
        before = self.repeats_in(row)
        if before.made[place : place + 1] != (made,):
            return False
        again = list(before.made)
        again[place] = replace(made, count=count)
        self.rows[row] = replace(before, made=tuple(again))
        return True

    def note_refusal(self, row: str, now: int) -> None:
        before = self.repeats_in(row)
        fresh = before.refused_at >= now - repeats.REFUSED_S * 1000
        refused = (before.refused if fresh else 0) + 1
        self.rows[row] = replace(before, refused=refused, refused_at=now)

    def month(self, row: str) -> Month:
        return self.months.get(row, Month())

    def get(self, id_: str) -> Prediction | None:
        return self._read(id_) if self._lives(id_) else None

    def glance(self, id_: str) -> Prediction | None:
        item = (self.before if self.lagging else self.items).get(id_)
        if item is None or expired(item, self.clock() / 1000):
            return None
        return read_prediction(deepcopy(item))

    def get_many(
        self, ids: Iterable[str], unreadable: list[UnreadableRecordError] | None = None
    ) -> Iterator[Prediction]:
        found = [deepcopy(self.items[id_]) for id_ in ids if self._lives(id_)]
        return read_predictions(found, unreadable)

    def remove_expired(self) -> None:
        """Delete expired records, as DynamoDB's TTL does some time after the end of retention."""
        for id_ in [id_ for id_ in self.items if not self._lives(id_)]:
            self.before[id_] = self.items.pop(id_)
        now_s = self.clock() / 1000
        self.listed = {id_: row for id_, row in self.listed.items() if not expired(row, now_s)}

    def _lives(self, id_: str) -> bool:
        return id_ in self.items and not expired(self.items[id_], self.clock() / 1000)

    def _transaction_fails(self) -> bool:
        """Whether a transaction conflicted at every attempt."""
        met = min(self.conflicts, TRIES)
        self.conflicts -= met
        return met == TRIES

    def _write_fails(self) -> bool:
        """Whether a single write conflicted with a transaction; it is not retried."""
        met = min(self.conflicts, 1)
        self.conflicts -= met
        return bool(met)

    def _month(self, entry: LedgerEntry) -> Month:
        """Return the month after the entry. Raises LimitReachedError."""
        now = self.months.get(entry.row)
        if now and entry.below is not None and now.committed > entry.below:
            raise LimitReachedError(entry, now.committed, now.spent, now.in_flight)
        if now and entry.most_in_flight is not None and now.in_flight >= entry.most_in_flight:
            raise LimitReachedError(entry, now.committed, now.spent, now.in_flight)
        now = now or Month()
        return Month(
            now.committed + entry.committed,
            now.spent + entry.spent,
            now.in_flight + entry.in_flight,
        )

    def commit(
        self, record: Prediction, *, claims: str | None = None, entries: Sequence[LedgerEntry] = ()
    ) -> None:
        current = self._read(record.id) if record.id in self.items else None
        lost = current is None or current.revision != record.revision - 1
        met = self._transaction_fails() if claims or entries else self._write_fails()
        if lost or met:
            if current == record:
                return
            raise ConflictError(current)
        if claims:
            owner = self.owners.get(claims, record.id)
            if owner != record.id:
                raise ProviderIdTakenError(None, owner)
            self.owners[claims] = record.id
        months = {entry.row: self._month(entry) for entry in entries}
        self._write(record.id, prediction_item(record))
        if entries:
            self.months |= months
            self._count(record)

    def owner_of(self, provider_id: str) -> str | None:
        return self.owners.get(provider_id)

    def due(self, now: int, limit: int) -> list[Due]:
        keys = [
            Due(id_, int(item["due_at"]["N"]))
            for id_, item in self._indexed()
            if {"due_at", "due_shard"} <= item.keys() and int(item["due_at"]["N"]) <= now
        ]
        return sorted(keys, key=lambda key: key.due_at)[:limit]

    def look(self, keys: Iterable[Due]) -> list[DueRecord]:
        return [read_due(key, self.items[key.id]) for key in keys if key.id in self.items]

    def claim(self, key: Due, until: int) -> Prediction | None:
        item = self.items.get(key.id)
        if item is None or item.get("due_at") != {"N": str(key.due_at)} or self._write_fails():
            return None
        self._write(key.id, {**item, "due_at": {"N": str(until)}})
        return self._read(key.id)

    def watch(self, record: Prediction, until: int) -> bool:
        item = self.items.get(record.id)
        if item is None or item["revision"] != {"N": str(record.revision)} or self._write_fails():
            return False
        noted = int(item.get("watched_until", {"N": "0"})["N"])
        if noted >= until:
            return False
        self._write(record.id, {**item, "watched_until": {"N": str(until)}, RELAY: {"BOOL": False}})
        return True

    def mark_effects_done(self, record: Prediction) -> None:
        item = self.items.get(record.id)
        met = self._write_fails() if record.counted else self._transaction_fails()
        if item is None or item["revision"] != {"N": str(record.revision)}:
            return
        if met and record.counted:
            return
        if met:
            raise UnavailableError(
                "The day of usage is written too often at this moment; try again."
            )
        kept = {name: value for name, value in item.items() if name not in {"due_at", "due_shard"}}
        yes, no = {"BOOL": True}, {"BOOL": False}
        marked: dict[str, Any] = {"effects_done": yes, "counted": yes, RELAY: no}
        marked["revision"] = {"N": str(record.revision + 1)}
        if not record.counted:
            self._count(record)
        self._write(record.id, {**kept, **marked})

    def _count(self, record: Prediction) -> None:
        days, name = day_rows(record), record.model
        if record.cost is None:
            full = any(
                name not in self.days.get(day, {})
                and len(self.opened.get(day, ())) >= OPEN_MODELS_A_DAY
                for day in days
            )
            if full:
                name = OTHER
            else:
                for day in days:
                    self.opened.setdefault(day, set()).add(name)
        for day in days:
            row = self.days.setdefault(day, {})
            number, cost = row.get(name, (0, 0))
            row[name] = (number + 1, cost + (record.cost or 0))

    def recent_ids(self, tenant: str, since: int, limit: int) -> list[str]:
        page = self.list_ids(tenant, None, limit)
        created = {id_: int(item["created_at"]["N"]) for id_, item in self._indexed()}
        return [id_ for id_ in page.ids if created[id_] >= since]

    def list_ids(
        self,
        tenant: str,
        after: tuple[int, str] | None,
        limit: int,
        span: Span = ALWAYS,
        name: str | None = None,
    ) -> IdPage:
        if span.first > span.last:
            raise ValueError("BETWEEN: the upper bound is below the lower one")
        if after is not None and not span.first <= after[0] <= span.last:
            raise ValueError("the starting key is outside the query's boundaries")
        rows = sorted(
            (
                (int(item["created_at"]["N"]), prediction_of(id_))
                for id_, item in [*self._indexed(), *self._indexed_lists()]
                if item["tenant"] == {"S": list_of(tenant, name)}
            ),
            reverse=not span.oldest_first,
        )
        rows = [row for row in rows if span.first <= row[0] <= span.last]
        if after is not None:
            rows = [row for row in rows if (row > after if span.oldest_first else row < after)]
        page = rows[:limit]
        more = page[-1] if len(rows) >= limit and page else None
        return IdPage([id_ for _, id_ in page], more)

    def _indexed(self) -> Iterable[tuple[str, dict[str, Any]]]:
        """Return the items as the indexes show them."""
        shown = self.before if self.lagging else self.items
        return [(id_, item) for id_, item in shown.items() if item]

    def _indexed_lists(self) -> Iterable[tuple[str, dict[str, Any]]]:
        return [] if self.lagging else self.listed.items()

    def _read(self, id_: str) -> Prediction:
        return read_prediction(deepcopy(self.items[id_]))

    def _write(self, id_: str, item: dict[str, Any]) -> None:
        if item_size(item) > LARGEST_ITEM:
            raise ItemTooLargeError(id_)
        old = self.items.get(id_)
        if old == item:
            return
        self.before[id_] = old
        self.items[id_] = deepcopy(item)
        self.stream.append((old, deepcopy(item)))


@dataclass
class ContendedPredictions(FakePredictions):
    """Runs the next of the `rivals` just before a record is written."""

    rivals: list[Callable[[], object]] = field(default_factory=list)

    def commit(
        self, record: Prediction, *, claims: str | None = None, entries: Sequence[LedgerEntry] = ()
    ) -> None:
        if self.rivals:
            self.rivals.pop(0)()
        super().commit(record, claims=claims, entries=entries)


@dataclass
class FakeDeliveries:
    """DeliveryStore in a dictionary."""

    rows: dict[tuple[str, str], Callback] = field(default_factory=dict)
    lanes: dict[tuple[str, str], str] = field(default_factory=dict)
    clock: Callable[[], int] = field(default_factory=FakeClock)

    def put(self, delivery: Callback) -> bool:
        key = (delivery.prediction, delivery.event)
        if key in self.rows:
            return False
        self.rows[key] = delivery
        return True

    def get(self, prediction: str, event: str) -> Callback | None:
        row = self.rows.get((prediction, event))
        return row if row and self._lives(row) else None

    def _lives(self, row: Callback) -> bool:
        return row.expires_at > self.clock() // 1000

    def of(self, prediction: str, limit: int) -> list[Callback]:
        rows = self.rows.items()
        found = sorted((k for k, r in rows if k[0] == prediction and self._lives(r)), reverse=True)
        return [replace(self.rows[key], frozen=None) for key in found[:limit]]

    def write(self, delivery: Callback, *, seen: Callback, lane: str = "") -> bool:
        key = (delivery.prediction, delivery.event)
        row = self.rows.get(key)
        if row is None or _token(row) != _token(seen):
            return False
        self.rows[key], self.lanes[key] = delivery, lane
        return True

    def due(self, now: int, limit: int) -> list[tuple[str, str, int]]:
        shards: dict[int, list[tuple[str, str, int]]] = {}
        for key, row in self.rows.items():
            if row.due_at is not None and row.due_at <= now:
                shard = delivery_shard(row, self.lanes.get(key, ""))
                shards.setdefault(shard, []).append((*key, row.due_at))
        oldest = [sorted(found, key=lambda key: key[2])[:limit] for found in shards.values()]
        return share_due(oldest, limit)

    def claim(self, prediction: str, event: str, due_at: int, until: int) -> bool:
        row = self.rows.get((prediction, event))
        if row is None or row.due_at != due_at:
            return False
        self.rows[prediction, event] = replace(row, due_at=until)
        return True


def _token(row: Callback) -> tuple[str, int, int]:
    return row.state, row.attempts, row.next_at


@dataclass
class FakeControls:
    """Controls in dictionaries."""

    keys: dict[str, ApiKey] = field(default_factory=dict)
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: dict[str, RunTime] = field(default_factory=dict)
    versions: dict[str, SecretVersion] = field(default_factory=dict)
    receiving: dict[str, Receivers] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    tenants: dict[str, Limits] = field(default_factory=dict)
    buckets: dict[str, int] = field(default_factory=dict)
    days: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """The store's, because both are rows of the Controls table."""
    clock: Callable[[], int] = field(default_factory=FakeClock)
    ends: dict[str, int] = field(default_factory=dict)
    """Time in seconds from which a result or an endpoint counts as absent, by its key."""

    def api_key(self, key_id: str) -> ApiKey | None:
        return self.keys.get(key_id)

    def cached_schema(self, model: str, version: str) -> dict[str, Any] | None:
        return deepcopy(self.schemas.get(f"{model}:{version}"))

    def cache_schema(self, model: str, version: str, schema: dict[str, Any]) -> None:
        self.schemas[f"{model}:{version}"] = deepcopy(schema)

    def run_times(self) -> dict[str, RunTime]:
        return dict(self.seen)

    def note_run_time(self, model: str, run_time: RunTime, drop: str | None = None) -> None:
        self.seen[model] = run_time
        if drop is not None:
            self.seen.pop(drop, None)

    def limits(self, tenant: str) -> Limits:
        return self.tenants.get(tenant, Limits())

    def take(self, name: str, now_us: int, interval_us: int, burst: int) -> int:
        tat = max(self.buckets.get(name, 0), now_us)
        last = now_us + (burst - 1) * interval_us
        if tat > last and tat != now_us:
            return tat - last
        self.buckets[name] = tat + interval_us
        return 0

    def usage(
        self, tenant: str, days: Iterable[str], tag: str | None = None
    ) -> dict[str, dict[str, tuple[int, int]]]:
        rows = {day: self.days.get(row_keys.usage(tenant, day, tag)) for day in days}
        return {day: dict(row) for day, row in rows.items() if row is not None}

    def _lives(self, key: str) -> bool:
        return key not in self.ends or self.ends[key] > self.clock() // 1000

    def cached_result(self, key: str) -> str | None:
        return self.results.get(key) if self._lives(key) else None

    def cache_result(self, key: str, prediction: str, expires_at: int) -> None:
        assert START // 1000 < expires_at < START, "a row whose time is over, or in milliseconds"
        self.results[key] = prediction
        self.ends[key] = expires_at

    def secret_version(self, tenant: str) -> SecretVersion:
        return self.versions.get(tenant, SecretVersion())

    def receivers(self, tenant: str) -> Receivers:
        return deepcopy(self.receiving.get(tenant, Receivers()))

    def put_receivers(self, tenant: str, receivers: Receivers) -> bool:
        known = self.receiving.get(tenant)
        if known is not None and known.revision != receivers.revision - 1:
            return False
        self.receiving[tenant] = deepcopy(receivers)
        return True


@dataclass
class FakeQueue:
    """Queue: `messages` are the waiting ones, each with its delay."""

    messages: list[tuple[dict[str, str], int]] = field(default_factory=list)
    visibility_changes: list[tuple[str, int]] = field(default_factory=list)
    """Receipts of messages that were hidden again, and for how many seconds."""
    groups: list[str] = field(default_factory=list)
    """The group of each message ever sent, in order."""

    def __len__(self) -> int:
        return len(self.messages)

    @property
    def ready(self) -> bool:
        """Whether a message without a delay waits."""
        return any(delay == 0 for _, delay in self.messages)

    def send(self, message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        self.messages.append((dict(message), min(delay_s, 900)))
        self.groups.append(group)

    def change_visibility(self, receipt: str, seconds: int) -> None:
        if not 0 <= seconds <= 43_200:
            raise ValueError(seconds)
        self.visibility_changes.append((receipt, seconds))

    def take(self) -> list[dict[str, str]]:
        """Remove and return all waiting messages, whatever their delay."""
        taken = [message for message, _ in self.messages]
        self.messages.clear()
        return taken


@dataclass
class FakeDeadLetters:
    """DeadLetters: `(body, reason)` of the stored messages."""

    parked: list[tuple[str, str]] = field(default_factory=list)

    def park(self, body: str, reason: str) -> None:
        self.parked.append((body, reason))


@dataclass
class FakeTasks:
    """Tasks: an answer removes the token from `waiting`."""

    waiting: set[str] = field(default_factory=set)
    answers: list[tuple[str, str, str]] = field(default_factory=list)
    """`(token, "" or the error's name, output or cause)`."""
    beats: list[str] = field(default_factory=list)

    def succeed(self, token: str, output: str) -> bool:
        return self._answer(token, "", output)

    def fail(self, token: str, error: str, cause: str) -> bool:
        return self._answer(token, error, cause)

    def heartbeat(self, token: str) -> bool:
        self.beats.append(token)
        return token in self.waiting

    def _answer(self, token: str, error: str, text: str) -> bool:
        if token not in self.waiting:
            return False
        self.waiting.remove(token)
        self.answers.append((token, error, text))
        return True


@dataclass
class FakeBus:
    """EventBus: `events` are `(detail_type, detail)` in order."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def publish(self, detail_type: str, detail: dict[str, Any]) -> None:
        self.events.append((detail_type, deepcopy(detail)))

    @property
    def types(self) -> list[str]:
        return [kind for kind, _ in self.events]


@dataclass
class FakeOutputs:
    """OutputStore in a dictionary; an object is visible only when complete."""

    objects: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key in self.objects

    def write_once(self, key: str, content_type: str, chunks: Iterator[bytes]) -> StoredObject:
        data = b"".join(chunks)
        earlier = key in self.objects
        content_type, data = self.objects.setdefault(key, (content_type, data))
        return StoredObject(len(data), hashlib.sha256(data).hexdigest(), earlier)

    def write(self, key: str, content_type: str, chunks: Iterator[bytes]) -> None:
        self.objects[key] = (content_type, b"".join(chunks))

    def copy(self, source: str, key: str) -> str | None:
        self.objects[key] = self.objects[source]
        return hashlib.sha256(self.objects[key][1]).hexdigest()

    def digest(self, key: str) -> str | None:
        return hashlib.sha256(self.objects[key][1]).hexdigest() if key in self.objects else None

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def get(self, key: str) -> Iterator[bytes]:
        yield self.objects[key][1]

    def whole(self, key: str, most: int) -> bytes | None:
        _, data = self.objects.get(key, ("", None))
        return data if data is not None and len(data) <= most else None


@dataclass
class FakeUploads:
    """UploadStore in a dictionary."""

    clock: Callable[[], int] = field(default_factory=FakeClock)
    objects: dict[str, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)

    def put(self, key: str, content_type: str, data: bytes, metadata: dict[str, str]) -> None:
        if not all(value.isascii() for value in metadata.values()):
            raise ValueError("S3's metadata is ASCII")
        if sum(len(name) + len(value) for name, value in metadata.items()) > LARGEST_METADATA:
            raise ValueError("S3's metadata is 2 kB at most")
        head = {
            "content_type": content_type,
            "bytes": len(data),
            "created_at": self.clock(),
            "etag": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "metadata": dict(metadata),
        }
        self.objects[key] = (data, head)

    def head(self, key: str) -> dict[str, Any] | None:
        return deepcopy(self.objects[key][1]) if key in self.objects else None

    def begin(self, key: str) -> dict[str, Any] | None:
        head = self.head(key)
        return head and {**head, "start": self.objects[key][0][: media.START]}

    def copy(self, source: str, key: str) -> bool:
        if source in self.objects:
            data, head = self.objects[source]
            self.objects[key] = data, {**head, "created_at": self.clock()}
        return source in self.objects

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def keys(self, prefix: str, after: str, limit: int) -> list[str]:
        found = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        return found[:limit]


@dataclass
class FakeForms:
    """UploadForms: `post` does what S3 does with a presigned form."""

    uploads: FakeUploads
    forms: dict[str, tuple[str, dict[str, str], int]] = field(default_factory=dict)

    def form(
        self, key: str, content_type: str, metadata: dict[str, str], most: int, seconds: int
    ) -> PresignedForm:
        self.forms[key] = (content_type, metadata, most)
        fields = {"key": key, "Content-Type": content_type, "policy": f"{seconds} s"}
        return PresignedForm("https://uploads.test", fields)

    def post(self, key: str, data: bytes) -> int:
        content_type, metadata, most = self.forms[key]
        if not 1 <= len(data) <= most:
            return 400
        self.uploads.put(key, content_type, data, metadata)
        return 204


class FakeSigner:
    """Signer whose URLs contain the key."""

    def output_url(self, key: str) -> str:
        return f"https://outputs.test/{key}?signed"

    def upload_url(self, key: str) -> str:
        host = "outputs" if is_output(key) else "uploads"
        return f"https://{host}.test/{key}?signed"

    def output_key(self, url: str) -> str | None:
        key = path_below(url, "https://outputs.test/")
        return key if key is not None and is_output(key) else None


@dataclass
class FakeSecrets:
    """Secrets; `rotated` are the webhook keys after a refresh."""

    webhook: tuple[bytes, ...] = (b"w" * 32,)
    rotated: tuple[bytes, ...] | None = None
    link: tuple[bytes, ...] = (b"l" * 32,)
    callback: tuple[bytes, ...] = (b"c" * 32,)
    refreshes: int = 0

    def replicate_token(self) -> str:
        return "r8_fake"

    def webhook_keys(self, *, refresh: bool = False) -> tuple[bytes, ...]:
        if refresh:
            self.refreshes += 1
            self.webhook = self.rotated or self.webhook
        return self.webhook

    def link_keys(self) -> tuple[bytes, ...]:
        return self.link

    def callback_keys(self) -> tuple[bytes, ...]:
        return self.callback


@dataclass
class FakeDownload:
    """Chunks of one response. The announced `length` and type need not be correct."""

    data: bytes
    length: int | None
    breaks: bool = False
    content_type: str | None = None

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self.data), 65_536):
            yield self.data[start : start + 65_536]
        if self.breaks:
            raise TransferFailedError("the download broke off")


@dataclass
class SlowDownload(FakeDownload):
    """Takes time on a simulated clock, byte by byte, and is aborted at the end of its budget."""

    clock: FakeClock = field(default_factory=FakeClock)
    seconds: float = 0.0
    """From the first byte to the last."""
    budget_s: float = 60.0
    passed: Callable[[], None] = lambda: None
    """Called after time has passed, so that a test can end the process at a time."""

    def chunks(self) -> Iterator[bytes]:
        pause = self.seconds / len(self.data)
        for number in range(len(self.data)):
            if (number + 1) * pause > self.budget_s:
                raise TransferFailedError("the download broke off: Deadline")
            yield self.data[number : number + 1]
            self.clock.advance(pause)
            self.passed()


@dataclass
class GeneratedDownload(FakeDownload):
    """A PNG of any size, whose picture data is generated while it is read."""

    filling: int = 0

    def chunks(self) -> Iterator[bytes]:
        header, end = self.data[:33], self.data[33:]
        yield header + self.filling.to_bytes(4, "big") + b"IDAT"
        piece = bytes(256 * 1024)
        for start in range(0, self.filling, len(piece)):
            yield piece[: self.filling - start]
        yield bytes(4) + end


@dataclass
class FakeFetcher:
    """Fetcher over a dictionary of URLs; a value that is an error is raised."""

    pages: dict[str, bytes | FakeDownload | TransferFailedError] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)

    def serves(self, url: str) -> bool:
        return urlsplit(url).hostname == "replicate.delivery"

    @contextmanager
    def open(self, url: str) -> Iterator[FakeDownload]:
        self.fetched.append(url)
        found = self.pages.get(url, TransferFailedError("status 404"))
        if isinstance(found, TransferFailedError):
            raise found
        yield found if isinstance(found, FakeDownload) else FakeDownload(found, len(found))


@dataclass
class FakeCallbacks:
    """CallbackSender that answers `status`, or fails if it is None; `first` are answered before
    it."""

    status: int | None = 200
    first: list[int | None] = field(default_factory=list)
    retry_after_s: float | None = None
    posts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def post(self, url: str, headers: dict[str, str], body: bytes) -> CallbackAnswer:
        self.posts.append((url, headers, body))
        status = self.first.pop(0) if self.first else self.status
        if status is None:
            raise TransferFailedError("no answer")
        return CallbackAnswer(status, self.retry_after_s)


@dataclass
class FakeProvider:
    """A double of Replicate, seen from Darkroom.

    `answers` are used in turn for creates: None creates and answers; "drop" creates and does not
    answer; "hang" does neither; "refuse" fails to connect; "die" is a crash of Darkroom before
    anything is created, "die late" one after it; anything else is returned unchanged. `down` makes
    reads fail. `echo` shows the webhook in GET and list.
    """

    clock: FakeClock
    answers: list[Any] = field(default_factory=list)
    down: bool = False
    echo: bool = True
    list_complete: bool = True
    token_good: bool = True
    hidden: set[str] = field(default_factory=set)
    upstream: dict[str, dict[str, Any]] = field(default_factory=dict)
    creates: list[dict[str, Any]] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)

    def create(self, **request: Any) -> Any:
        self.creates.append(deepcopy(request))
        wanted = self.answers.pop(0) if self.answers else None
        if wanted == "hang":
            return NoAnswer()
        if wanted == "refuse":
            return NotSent()
        if wanted == "die":
            raise Crash
        if wanted not in (None, "drop", "die late"):
            return wanted
        body = self.make(**request)
        if wanted == "die late":
            raise Crash
        return NoAnswer() if wanted == "drop" else Answered(201, deepcopy(body))

    def make(self, **request: Any) -> dict[str, Any]:
        """Create upstream, whatever the answer is."""
        provider_id = f"p{len(self.upstream):025d}"
        body = {
            "id": provider_id,
            "status": "starting",
            "model": request["model"],
            "version": request["version"] or "hidden",
            "input": json.loads(json.dumps(request["input_"])),
            "output": None,
            "logs": "",
            "error": None,
            "created_at": rfc3339(self.clock()),
            "webhook": request["webhook"],
        }
        self.upstream[provider_id] = body
        return body

    def finish(self, provider_id: str, status: str = "succeeded", output: Any = None) -> None:
        """End one upstream prediction."""
        self.upstream[provider_id].update(
            status=status, output=output, completed_at=rfc3339(self.clock())
        )

    def body(self, provider_id: str) -> dict[str, Any]:
        """Return the prediction as in a webhook."""
        return deepcopy(self.upstream[provider_id])

    def get(self, provider_id: str) -> Snapshot | None:
        self._up()
        self.reads.append(provider_id)
        if provider_id not in self.upstream or provider_id in self.hidden:
            return None
        return self._seen(provider_id)

    def page(
        self, created_after: int, created_before: int | None = None, cursor: str | None = None
    ) -> ProviderPage:
        self._up()
        self.reads.append("list")
        since, until = rfc3339(created_after), rfc3339(created_before or 10**13)
        found = [
            self._seen(provider_id)
            for provider_id, body in self.upstream.items()
            if since <= (body["created_at"] or since) < until and provider_id not in self.hidden
        ][::-1]
        first = int(cursor or 0)
        more = str(first + PAGE) if len(found) > first + PAGE else None
        return ProviderPage(found[first : first + PAGE], self.list_complete, more)

    def token_works(self) -> bool:
        return self.token_good

    def cancel(self, provider_id: str) -> Snapshot | None:
        self._up()
        self.cancels.append(provider_id)
        if provider_id not in self.upstream:
            return None
        if self.upstream[provider_id]["status"] in {"starting", "processing"}:
            self.finish(provider_id, "canceled")
        return self._seen(provider_id)

    def input_schema(self, model: str, version: str) -> dict[str, Any] | None:
        self._up()
        self.reads.append("schema")
        return self.schemas.get(f"{model}:{version}")

    def _seen(self, provider_id: str) -> Snapshot:
        body = self.body(provider_id)
        if not self.echo:
            body.pop("webhook")
        return read_snapshot(body)

    def _up(self) -> None:
        if self.down:
            raise ProviderUnavailableError("down")
