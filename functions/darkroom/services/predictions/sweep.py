"""The sweep: handles every record that is due, whatever message or webhook was lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from darkroom.domain import evidence
from darkroom.domain.errors import ProviderIdTakenError, ProviderUnavailableError
from darkroom.domain.lifecycle import (
    URGENCIES,
    DeadlinePassed,
    LastClockPassed,
    ListSearched,
    ProviderNotFound,
    ProviderReported,
    Urgency,
    create_state,
    effects,
    last_clock,
    urgency,
)
from darkroom.domain.prediction import CreateState, State
from darkroom.domain.values import immutable
from darkroom.services.predictions.listing import Listing, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from darkroom.domain.prediction import Prediction
    from darkroom.domain.snapshot import Snapshot
    from darkroom.ports import DueRecord, Provider
    from darkroom.services.callbacks.owed import EnqueueOwed
    from darkroom.services.predictions.changes import Changes
    from darkroom.services.predictions.listing import Reading
    from darkroom.services.predictions.run_effects import RunEffects

LIMIT = 2_000
"""Maximum records of a kind that one tick handles."""
SEEN = 6_000
"""Due records from which it chooses, so that a tenant with thousands does not hide the others."""
AT_ONCE = 1_000
"""Due records whose projections are in memory at a time."""
MINUTE_MS = 60_000
RESERVE_MS = 10_000
"""Nothing new is started with less time than this left."""
ASKED = 1_200
"""Maximum predictions and list pages that one tick reads. The provider allows 3,000 calls a minute,
and creates and cancels have priority."""
SHARES: dict[Urgency, float] = {
    Urgency.STORING: 0.35,
    Urgency.EFFECTS: 0.2,
    Urgency.POLL: 0.25,
    Urgency.CREATE: 0.2,
}
"""Share of a tick's time for each kind of work, as long as there is such work."""


@dataclass(slots=True)
class Tick:
    """Results of one tick by kind of work, for the log and for metrics."""

    done: Counter[str] = field(default_factory=Counter)
    left: int = 0
    """Due records for which the tick had no time; the next tick handles them."""
    taken: list[tuple[str, str]] = field(default_factory=list)
    """Records that this tick claimed: id and kind of work."""
    failed: dict[str, Exception] = field(default_factory=dict)
    """Errors of the work on records, by record id."""
    unreadable: int = 0
    """Pages of the provider's list with an unreadable item."""
    oldest_due_s: int = 0
    """Delay of the record that has been due for longest."""
    oldest_storing_s: int = 0
    """Time since the provider finished the oldest due record that is not stored yet."""


@immutable
class Sweep:
    """The sweep use case. Two may run concurrently, since a record is claimed before any work."""

    changes: Changes
    provider: Provider
    run_effects: RunEffects
    owed: EnqueueOwed
    public_host: str
    """The host of our webhook URLs."""
    choices: Callable[[str], Mapping[str, Collection[str]]]
    """Returns the enum values of a model's schema, by input; empty if unknown."""

    def __call__(self, remaining_ms: Callable[[], int], *, part: int = 0, parts: int = 1) -> Tick:
        """Run one bounded tick over the records created in the `part`-th of `parts` of every
        minute.

        Callbacks come first, then storing, ends, polls and creates, each with its share of the
        time, and within each the tenants in turn. A record whose work raises stays claimed until it
        is due again; the tick continues with the others and reports it in `failed`.
        """
        now = self.changes.clock()
        tick = Tick()
        if part == 0:
            tick.done += Counter(deliveries=self.owed(remaining_ms, RESERVE_MS))
        due = self._due(now, part, parts)
        _note_ages(tick, due, now)
        kinds = [
            _fairly(each for each in due if each.urgency is kind)[:LIMIT] for kind in URGENCIES
        ]
        tick.left = len(due) - sum(map(len, kinds))
        patience = Patience(ASKED // parts, lambda: remaining_ms() - RESERVE_MS)
        look = self._listing(chain.from_iterable(kinds), patience)
        spare = max(0, remaining_ms() - RESERVE_MS)
        floor = float(spare)
        late: list[list[DueRecord]] = []
        for kind, work in zip(URGENCIES, kinds, strict=True):
            floor -= spare * SHARES[kind]
            late.append(self._work(work, look, tick, remaining_ms, RESERVE_MS + int(floor)))
        for work in late:
            tick.left += len(self._work(work, look, tick, remaining_ms, RESERVE_MS))
        tick.unreadable = look.list.unreadable
        return tick

    def _due(self, now: int, part: int, parts: int) -> list[DueRecord]:
        keys = self.changes.store.due(now, max(SEEN, LIMIT * parts))
        due: list[DueRecord] = []
        for start in range(0, len(keys), AT_ONCE):
            seen = self.changes.store.look(keys[start : start + AT_ONCE])
            due += [each for each in seen if _part_of(each.created_at, parts) == part]
        return due

    def _listing(self, due: Iterable[DueRecord], patience: Patience) -> _Look:
        polled, unknown = {}, {}
        for each in due:
            if each.urgency is Urgency.CREATE:
                unknown[each.key.id] = each.created_at
            elif each.urgency is Urgency.POLL and not (each.canceling or each.asked_again):
                polled[str(each.provider_id)] = each.created_at
        listing = Listing(
            self.provider, self.changes.clock, patience, polled=polled, unknown=unknown
        )
        return _Look(listing, patience)

    def _work(
        self,
        work: list[DueRecord],
        look: _Look,
        tick: Tick,
        remaining_ms: Callable[[], int],
        least_ms: int,
    ) -> list[DueRecord]:
        """Handle records while more than `least_ms` is left. Returns the rest."""
        for number, due in enumerate(work):
            if remaining_ms() < least_ms:
                return work[number:]
            try:
                self._one(due, look, tick)
            except Exception as error:  # noqa: BLE001 - one bad record must not stop the others
                tick.failed[due.key.id] = error
        return []

    def _one(self, due: DueRecord, look: _Look, tick: Tick) -> None:
        now = self.changes.clock()
        if due.urgency is Urgency.POLL and not look.patience.usable and not self._ends(due, now):
            # Not claimed, so it is due again as soon as the provider answers.
            tick.left += 1
            return
        until = now + int(self.changes.timings.claim_s * 1000)
        record = self.changes.store.claim(due.key, until)
        if record is None:
            return
        kind = urgency(record.state, bound=record.provider_id is not None)
        tick.done[kind.value] += 1
        tick.taken.append((record.id, kind.value))
        if not record.state.terminal and now >= last_clock(record, self.changes.timings):
            self._end(record, look)
            return
        match kind:
            case Urgency.STORING:
                self.run_effects(record, effects(None, record))
            case Urgency.EFFECTS:
                self.run_effects(record, effects(None, record))
                self.changes.store.mark_effects_done(record)
            case Urgency.POLL:
                self._poll(record, look)
            case _:
                self._create(record, look, tick)

    def _end(self, record: Prediction, look: _Look) -> None:
        """End a record after its final deadline: as the provider reports now, or else on our
        own."""
        if record.provider_id is not None and record.state.rank < State.STORING.rank:
            with suppress(ProviderUnavailableError):
                record = self.changes.apply(record, self._news(record, look)).record
            if record.state is State.STORING:
                # Its files may still exist; they are copied, or their absence ends it.
                return
        self.changes.apply(record, LastClockPassed())

    def _ends(self, due: DueRecord, now: int) -> bool:
        """Whether one of our own clocks ends it, which needs no answer from the provider."""
        if not due.canceling and now >= due.deadline:
            return True
        return now >= last_clock(due, self.changes.timings)

    def _poll(self, record: Prediction, look: _Look) -> None:
        now = self.changes.clock()
        if record.cancel_requested_at is None and now >= record.deadline:
            record = self.changes.apply(record, DeadlinePassed()).record
        if record.state.rank >= State.STORING.rank:
            return
        try:
            news = self._news(record, look)
        except ProviderUnavailableError:
            # Still claimed, so it is due again when the claim expires.
            return
        self.changes.apply(record, news)

    def _news(self, record: Prediction, look: _Look) -> ProviderReported | ProviderNotFound:
        """Return the provider's report of a bound record. Raises ProviderUnavailableError."""
        provider_id = str(record.provider_id)
        canceling = record.cancel_requested_at is not None
        if not canceling and not record.asked_again:
            listed = look.list.listed(provider_id)
            if listed is not None:
                return ProviderReported(listed, polled=True)
        ask = self.provider.cancel if canceling else self.provider.get
        snapshot = look.patience.ask(lambda: ask(provider_id), counted=not canceling)
        return (
            ProviderReported(snapshot, polled=True, whole=True) if snapshot else ProviderNotFound()
        )

    def _create(self, record: Prediction, look: _Look, tick: Tick) -> None:
        now = self.changes.clock()
        if create_state(record.create, now) is CreateState.REFUSED:
            if now >= record.deadline:
                self.changes.apply(record, DeadlinePassed())
            else:
                self.run_effects(record, effects(None, record))
            return
        tick.done["looked"] += 1
        linked = look.list.linked(record.id)
        if linked and record.create.attempt == 1:
            # It was sent only once, so there is no second one to find.
            self._bind(record, linked)
            return
        try:
            reading = look.list.of_unknown()
        except ProviderUnavailableError:
            # The time limit for giving up applies whether the list can be read or not.
            self.changes.apply(record, ListSearched(silent=False, begun_at=now))
            return
        self._settle(record, reading, look)

    def _settle(self, record: Prediction, reading: Reading, look: _Look) -> None:
        """Bind an unknown create by evidence, or record the result of the search."""
        ours = reading.linked.get(record.id, [])
        ours = ours + [s for s in reading.others if evidence.holds_our_id(s, record)]
        if not ours and not reading.complete(record.created_at):
            ours = look.list.around(record.id)
        for snapshot in ours:
            # The first is bound; a second one, from an earlier attempt, is recorded as an extra.
            record = self._bind(record, snapshot)
        if ours:
            return
        alike = [s for s in reading.others if self._could_be(s, record)]
        unowned = [s for s in alike if not self._owned_by_another(s, record)]
        match unowned:
            case [only] if (
                self.changes.dedicated_account
                and reading.complete(record.created_at)
                and evidence.same_input(only, record)
            ):
                self._bind(record, only, adopted=True)
            case _:
                silent = reading.complete(record.created_at) and not unowned
                self.changes.apply(record, ListSearched(silent=silent, begun_at=reading.begun_at))

    def _could_be(self, snapshot: Snapshot, record: Prediction) -> bool:
        choices = self.choices(record.model)
        reason = evidence.ruled_out(snapshot, record, public_host=self.public_host, choices=choices)
        return reason is None

    def _owned_by_another(self, snapshot: Snapshot, record: Prediction) -> bool:
        if not self.changes.dedicated_account:
            return False
        return self.changes.store.owner_of(snapshot.provider_id) not in {None, record.id}

    def _bind(self, record: Prediction, snapshot: Snapshot, *, adopted: bool = False) -> Prediction:
        try:
            news = ProviderReported(snapshot, polled=True, adopted=adopted)
            return self.changes.apply(record, news).record
        except ProviderIdTakenError:
            now = self.changes.clock()
            return self.changes.apply(record, ListSearched(silent=False, begun_at=now)).record


@immutable
class _Look:
    """A tick's knowledge of the provider, and its remaining budget of calls."""

    list: Listing
    patience: Patience


def _part_of(created_at: int, parts: int) -> int:
    """Return the number of the sweep that handles records created at this time.

    Each has its own seconds of every minute. Records created together are on the same pages of the
    provider's list, which are then read by only one sweep.
    """
    return created_at % MINUTE_MS * parts // MINUTE_MS


def _fairly(due: Iterable[DueRecord]) -> list[DueRecord]:
    """Order by turns: the oldest of each tenant, then the second of each, and so on."""
    by_tenant: dict[str, list[DueRecord]] = defaultdict(list)
    for each in due:
        by_tenant[each.tenant].append(each)
    turns = zip_longest(*by_tenant.values())
    return [each for each in chain.from_iterable(turns) if each is not None]


def _note_ages(tick: Tick, due: list[DueRecord], now: int) -> None:
    # As read now, since the index may still show what another tick has claimed.
    tick.oldest_due_s = max(0, now - min((each.due_at for each in due), default=now)) // 1000
    done = [each.finished_at or each.due_at for each in due if each.urgency is Urgency.STORING]
    tick.oldest_storing_s = max(0, now - min(done, default=now)) // 1000
