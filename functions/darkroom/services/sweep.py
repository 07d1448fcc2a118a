"""The clock: takes up every record whose time has come, whatever was lost on the way."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from darkroom.domain import inputs, link
from darkroom.domain.errors import ProviderIdTaken, ProviderUnavailable
from darkroom.domain.lifecycle import (
    URGENCIES,
    DeadlinePassed,
    Heard,
    Looked,
    Missing,
    Urgency,
    create_state,
    effects,
    urgency,
)
from darkroom.domain.prediction import CreateState, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction
    from darkroom.domain.snapshot import Snapshot
    from darkroom.ports import DeliveryStore, Due, Found, Provider, Queue, Secrets
    from darkroom.services.carry_out import CarryOut
    from darkroom.services.changes import Changes

LIMIT = 500
"""Records and deliveries taken up in one tick, at most."""
RESERVE_MS = 10_000
"""Nothing new is begun with less time than this left."""
LIST_FROM = 10
"""From so many polls on, the provider's list is read instead: a hundred records a call."""
CLOCK_SKEW_MS = 60_000
"""The provider's clock may differ from ours by so much when its list is searched."""


@dataclass(slots=True)
class Tick:
    """What one tick did, by kind of work, for the log and for metrics."""

    done: Counter[str] = field(default_factory=Counter)
    left: int = 0
    """Due records that the tick's time did not suffice for: the next tick takes them up."""
    taken: list[tuple[str, str]] = field(default_factory=list)
    """Records that this tick claimed, by id, and for what."""
    failed: dict[str, Exception] = field(default_factory=dict)
    """What the work on a record raised, by its id."""
    oldest_due_s: int = 0
    """For how long the record that was due first has been waiting."""
    oldest_storing_s: int = 0
    """How long ago the provider was done with the oldest due record that is not stored yet."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The sweep use case. Two may run at once: a record is claimed before anything is done."""

    changes: Changes
    provider: Provider
    carry_out: CarryOut
    deliveries: DeliveryStore
    deliver: Queue
    secrets: Secrets

    def __call__(self, remaining_ms: Callable[[], int]) -> Tick:
        """One bounded tick: storing first, then ends, polls, creates, deliveries.

        A record whose work raises stays claimed and is taken up again; the tick goes on with the
        others and tells of it in `failed`.
        """
        now = self.changes.clock()
        tick = Tick()
        keys = {key.id: key for key in self.changes.store.due(now, LIMIT)}
        records = self.changes.store.get_many(keys)
        _note_ages(tick, records, now)
        records.sort(key=lambda record: URGENCIES.index(urgency(record)))
        look = _Look(self, records, now)
        for number, record in enumerate(records):
            if remaining_ms() < RESERVE_MS:
                tick.left = len(records) - number
                break
            try:
                self._one(keys[record.id], look, tick)
            except Exception as error:  # noqa: BLE001 - one bad record must not stop the others
                tick.failed[record.id] = error
        self._deliveries(now, tick, remaining_ms)
        return tick

    def _one(self, key: Due, look: _Look, tick: Tick) -> None:
        until = self.changes.clock() + int(self.changes.timings.claim_s * 1000)
        record = self.changes.store.claim(key, until)
        if record is None:
            return
        kind = urgency(record)
        tick.done[kind.value] += 1
        tick.taken.append((record.id, kind.value))
        match kind:
            case Urgency.STORING:
                self.carry_out(record, effects(None, record))
            case Urgency.EFFECTS:
                self.carry_out(record, effects(None, record))
                self.changes.store.mark_effects_done(record)
            case Urgency.POLL:
                self._poll(record, look)
            case _:
                self._create(record, look, tick)

    def _poll(self, record: Prediction, look: _Look) -> None:
        now = self.changes.clock()
        if record.cancel_requested_at is None and now >= record.deadline:
            record = self.changes.apply(record, DeadlinePassed()).record
        if record.state.rank >= State.STORING.rank:
            return
        provider_id = str(record.provider_id)
        try:
            if record.cancel_requested_at is not None:
                snapshot = self.provider.cancel(provider_id)
            else:
                snapshot = look.listed(provider_id) or self.provider.get(provider_id)
        except ProviderUnavailable:
            # Still claimed: it is due again when the claim runs out.
            return
        self.changes.apply(record, Heard(snapshot, polled=True) if snapshot else Missing())

    def _create(self, record: Prediction, look: _Look, tick: Tick) -> None:
        if create_state(record.create, self.changes.clock()) is CreateState.REFUSED:
            if self.changes.clock() >= record.deadline:
                self.changes.apply(record, DeadlinePassed())
            else:
                self.carry_out(record, effects(None, record))
            return
        try:
            found = look.found()
        except ProviderUnavailable:
            return
        tick.done["looked"] += 1
        self._settle(record, found)

    def _settle(self, record: Prediction, found: Found) -> None:
        """Bind an unknown create by evidence, or write down what the search showed."""
        keys = self.secrets.link_keys()
        linked = [s for s in found.snapshots if links_to(s.webhook, record, keys)]
        for snapshot in linked:
            # The first is bound; a second one, of an earlier attempt, is recorded as an extra.
            record = self._bind(record, snapshot)
        if linked:
            return
        alike = [s for s in found.snapshots if s.webhook is None and could_be(s, record)]
        unowned = [s for s in alike if not self._owned_by_another(s, record)]
        match unowned:
            case [only] if (
                self.changes.dedicated_account and found.complete and same_input(only, record)
            ):
                self._bind(record, only, adopted=True)
            case _:
                self.changes.apply(record, Looked(silent=found.complete and not unowned))

    def _owned_by_another(self, snapshot: Snapshot, record: Prediction) -> bool:
        if not self.changes.dedicated_account:
            return False
        return self.changes.store.owner_of(snapshot.provider_id) not in {None, record.id}

    def _bind(self, record: Prediction, snapshot: Snapshot, *, adopted: bool = False) -> Prediction:
        try:
            news = Heard(snapshot, polled=True, adopted=adopted)
            return self.changes.apply(record, news).record
        except ProviderIdTaken:
            return self.changes.apply(record, Looked(silent=False)).record

    def _deliveries(self, now: int, tick: Tick, remaining_ms: Callable[[], int]) -> None:
        until = now + int(self.changes.timings.claim_s * 1000)
        for prediction, event, due_at in self.deliveries.due(now, LIMIT):
            if remaining_ms() < RESERVE_MS:
                break
            if self.deliveries.claim(prediction, event, due_at, until):
                self.deliver.send({"prediction": prediction, "event": event})
                tick.done["deliveries"] += 1


def _note_ages(tick: Tick, records: list[Prediction], now: int) -> None:
    # As read now: the index may still show what another tick has claimed.
    due = [record.due_at for record in records if record.due_at is not None]
    tick.oldest_due_s = max(0, now - min(due, default=now)) // 1000
    done = [r.finished_at or r.updated_at for r in records if r.state is State.STORING]
    tick.oldest_storing_s = max(0, now - min(done, default=now)) // 1000


class _Look:
    """The provider's list, read at most once in a tick, and only if somebody needs it."""

    def __init__(self, sweep: Sweep, records: list[Prediction], now: int) -> None:
        self._provider = sweep.provider
        self._found: Found | None = None
        self._failed: ProviderUnavailable | None = None
        unknown = [r for r in records if urgency(r) is Urgency.CREATE]
        polls = [r for r in records if urgency(r) is Urgency.POLL]
        self._bulk = len(polls) >= LIST_FROM
        begun = [r.created_at for r in (unknown + polls if self._bulk else unknown)]
        self._since = min(begun, default=now) - CLOCK_SKEW_MS

    def found(self) -> Found:
        """The list since the oldest record in question. Raises ProviderUnavailable."""
        if self._failed:
            raise self._failed
        if self._found is None:
            try:
                self._found = self._provider.find(self._since)
            except ProviderUnavailable as failed:
                self._failed = failed
                raise
        return self._found

    def listed(self, provider_id: str) -> Snapshot | None:
        """The record from the list, where there are so many polls that the list is cheaper."""
        if not self._bulk:
            return None
        return next((s for s in self.found().snapshots if s.provider_id == provider_id), None)


def links_to(webhook: str | None, record: Prediction, keys: tuple[bytes, ...]) -> bool:
    """True if the URL is the record's own webhook, by its id and its token."""
    path, _, token = (webhook or "").partition("?t=")
    ours = path.endswith(f"/hooks/replicate/{record.id}")
    return ours and link.check(token, record.id, record.created_at, keys=keys)


def could_be(snapshot: Snapshot, record: Prediction) -> bool:
    """True unless version, input or time rule out that the record's create made this.

    The provider may add defaults to an input, and shows uploads under URLs of its own.
    """
    early = snapshot.created_at is not None and (
        snapshot.created_at < record.created_at - CLOCK_SKEW_MS
    )
    other_version = record.version is not None and snapshot.version not in {None, record.version}
    other_model = snapshot.model is not None and snapshot.model != record.model
    if early or other_version or other_model:
        return False
    if snapshot.input is None or snapshot.data_removed:
        return True
    ours = json.loads(record.input)
    theirs = json.loads(snapshot.input)
    tops = {inputs.steps(pointer)[0] for pointer in record.uploads}
    return all(theirs.get(name) == value for name, value in ours.items() if name not in tops)


def same_input(snapshot: Snapshot, record: Prediction) -> bool:
    """True if the inputs are surely equal: what could merely be ours must not be bound.

    An input with uploads never is: the provider shows those under URLs of its own.
    """
    return bool(json.loads(snapshot.input or "null") == json.loads(record.input))
