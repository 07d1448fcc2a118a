"""The state machine: pure functions with every rule of a prediction's life.

`advance` decides how an input changes a record, `effects` what a committed change causes, `due`
when the sweep must handle the record. None of them does I/O.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from darkroom.domain.backoff import Backoff
from darkroom.domain.money import cost_of, months
from darkroom.domain.outputs import file_texts, kept
from darkroom.domain.prediction import Code, CreateAttempt, CreateState, File, Prediction, State
from darkroom.domain.strict_json import canonical
from darkroom.domain.times import milliseconds, within
from darkroom.domain.times import rfc3339 as _rfc3339
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from typing import Protocol

    from darkroom.domain.outputs import FileText
    from darkroom.domain.prediction import Json
    from darkroom.domain.snapshot import Snapshot
    from darkroom.domain.timings import Timings
else:
    # Only the type checker reads these.
    Protocol = object

MAX_OUTPUTS = 100
"""Maximum number of files in one prediction, so that the work per record is bounded."""
TELL_PAUSE_MS = 500
"""Minimum interval between notifications of growing output, and of growing logs, as at the
provider."""
LOGS_PAUSE_MS = 15_000
"""Maximum interval between writes of growing logs, however large the record is."""
WRITTEN_IN_MS = 16
"""Before growing logs are written again, a record waits one millisecond per so many characters of
its size. Its logs therefore cost at most some 16 write units per second, whatever its size."""

# --- Inputs of the state machine -----------------------------------------------------------------


@immutable
class ProviderReported:
    """The provider's own record: from a webhook, a create's answer, a poll or the list."""

    snapshot: Snapshot
    polled: bool = False
    """The snapshot answers a request of ours, so the next poll is rescheduled even if nothing
    changed."""
    whole: bool = False
    """The request was for this prediction alone, so absent fields do not exist at all."""
    adopted: bool = False
    """It was matched by its input only."""


@immutable
class ProviderNotFound:
    """We asked for the id, and the provider does not know it."""


@immutable
class AttemptStarted:
    """A create is about to be POSTed; `budget_s` limits its wall-clock time."""

    budget_s: float


@immutable
class CreateRefused:
    """The attempt certainly created nothing and may be repeated from `not_before` on."""

    attempt: int
    not_before: int
    parked: bool = False


@immutable
class CreateUnknown:
    """The attempt may or may not have created a prediction."""

    attempt: int


@immutable
class CreateRejected:
    """The provider will never accept this request."""

    attempt: int
    error: str


@immutable
class ListSearched:
    """The provider's list was searched for an unknown create, without a match.

    `silent` is True if the whole list was read and nothing in it could be ours. `begun_at` is the
    start of the reading, because a list says nothing about later creates.
    """

    silent: bool
    begun_at: int


@immutable
class CancelRequested:
    """The client requests a cancel."""


@immutable
class CancelSent:
    """A cancel was sent to the provider, or could not be: check again later."""


@immutable
class DeadlinePassed:
    """The record's deadline has passed."""


@immutable
class LastClockPassed:
    """The record's final deadline has passed: it ends, whatever the provider says or does not
    say."""


@immutable
class Stored:
    """Every output is in our bucket."""

    files: tuple[File, ...]
    texts: tuple[FileText, ...] | None = None
    """The strings of the output that name the files; None for all that may."""


@immutable
class StoreDelayed:
    """Some files are missing, and another run may get them while the provider's copies exist."""

    reason: str
    files: tuple[File, ...] = ()
    """Files in our bucket so far, in any order."""


@immutable
class StoreFailed:
    """A copy failed permanently."""

    code: Code
    reason: str


CreateOutcome = ProviderReported | CreateRefused | CreateUnknown | CreateRejected
News = (
    CreateOutcome
    | ProviderNotFound
    | AttemptStarted
    | ListSearched
    | CancelRequested
    | CancelSent
    | DeadlinePassed
    | LastClockPassed
    | Stored
    | StoreDelayed
    | StoreFailed
)


# --- Transitions ---------------------------------------------------------------------------------


def advance(record: Prediction, news: News, now: int, timings: Timings) -> Prediction | None:
    """Return the record after the input, with the next revision; None if the input changes nothing.

    The result may only be written on the condition that the stored revision is still
    `record.revision`, so that every rule here holds for exactly the item that the write replaces.
    Snapshots are joined: repeated, reordered or late ones lead to the same record.
    """
    changed = _changed(record, news, now, timings)
    if changed is None:
        return None
    changed = replace(changed, revision=record.revision + 1, updated_at=now)
    if changed.state.terminal and not record.state.terminal:
        # With a ledger, the end is settled in a transaction that also counts the usage.
        changed = replace(
            _drop_transient_fields(record, changed, now), counted=bool(months(changed))
        )
    return replace(changed, due_at=_due_soon(record.due_at, due(changed, timings), timings))


def _drop_transient_fields(before: Prediction, record: Prediction, now: int) -> Prediction:
    """Replace the price by the cost, and drop the fields that only transitions and clocks use."""
    cost = cost_of(record, ran=before.state.rank >= State.PROCESSING.rank, now=now)
    return replace(
        record,
        cost=cost.micro,
        cost_assumed=cost.assumed,
        price=None,
        price_base=0,
        price_tiers=(),
        create=replace(record.create, started_at=0, until=0, not_before=0),
        makes_files=False,
        output_places=(),
        missing_since=0,
        asked_again=False,
        next_poll_at=0,
        next_cancel_at=0,
        next_store_at=0,
        log_size=0,
        watched_until=0,
    )


def _due_soon(held: int | None, wanted: int | None, timings: Timings) -> int | None:
    """Return the stored due time if it is near enough, because moving a record within an index
    costs two writes."""
    if held is None or wanted is None:
        return wanted
    return held if abs(held - wanted) <= timings.due_slack_s * 1000 else wanted


def _changed(record: Prediction, news: News, now: int, timings: Timings) -> Prediction | None:
    match news:
        case ProviderReported():
            return _apply_snapshot(record, news, now, timings)
        case CreateRefused() | CreateUnknown() | CreateRejected():
            return _create_answered(record, news, now)
        case AttemptStarted():
            return _start_attempt(record, news, now, timings)
        case ListSearched():
            return _apply_search(record, news, now, timings)
        case CancelRequested():
            return _cancel(record, now, timings, by_deadline=False)
        case DeadlinePassed():
            passed = now >= record.deadline
            return _cancel(record, now, timings, by_deadline=True) if passed else None
        case LastClockPassed():
            return _out_of_time(record, now, timings)
        case ProviderNotFound() | CancelSent():
            return _bound_upkeep(record, news, now, timings)
        case _:
            return _storing(record, news, now, timings)


def _ended(
    record: Prediction, state: State, now: int, error: str | None, code: Code | None
) -> Prediction:
    completed = record.completed_at or _rfc3339(now)
    return replace(record, state=state, error=error, code=code, completed_at=completed)


# Snapshots


def _apply_snapshot(
    record: Prediction, news: ProviderReported, now: int, timings: Timings
) -> Prediction | None:
    said = news.snapshot
    ours = record.provider_id in {None, said.provider_id}
    if not ours or (record.provider_id is None and record.state.terminal):
        # A second upstream prediction has our link: it is always recorded and canceled. One create
        # makes one prediction, so if no attempt is left over, it is a foreign one. A prediction
        # matched by input may belong to another record, so it uses up no attempt of ours.
        bound_by_proof = record.provider_id is not None and not record.adopted
        known = len(record.extra_provider_ids) + bound_by_proof
        if said.provider_id in record.extra_provider_ids or record.create.attempt <= known:
            return None
        extra = (*record.extra_provider_ids, said.provider_id)
        return replace(record, extra_provider_ids=extra, effects_done=False)
    if record.state.terminal or record.state is State.STORING:
        return None
    bound = record
    if record.provider_id is None:
        bound = replace(
            record,
            provider_id=said.provider_id,
            adopted=news.adopted,
            next_poll_at=_first_poll(record, now, timings),
        )
    told = _merged(replace(bound, missing_since=0), said)
    moved = _apply_status(told, news, now, timings)
    rests = moved == record or (not news.whole and _too_soon(record, moved, now))
    if not news.polled and rests:
        return None
    if news.polled and not moved.state.terminal and moved.state is not State.STORING:
        asked = _reschedule_poll(moved, now, timings)
        soon = moved.asked_again and moved.next_poll_at > now
        # A cancel's answer must not delay the last remaining poll.
        moved = replace(asked, next_poll_at=moved.next_poll_at) if soon else asked
    return _mark_notifications(record, moved, now)


def _too_soon(record: Prediction, moved: Prediction, now: int) -> bool:
    """Whether only the logs grew, and the record is too large to be written again so soon. The
    growth is included in the next write; an end is always written."""
    if moved != replace(record, logs=moved.logs, log_size=moved.log_size):
        return False
    values = [value for value in (record.input, record.output) if value is not None]
    size = sum(len(canonical(value)) for value in values) + len(moved.logs)
    return now - record.updated_at < min(LOGS_PAUSE_MS, size // WRITTEN_IN_MS)


def _mark_notifications(old: Prediction, new: Prediction, now: int) -> Prediction:
    """Record that this change notifies the client of growth, if enough time has passed."""
    if not new.webhook or new.state.terminal:
        return new
    if _should_notify("output", new.output != old.output, old.told_output_at, new, now):
        new = replace(new, told_output_at=now)
    if _should_notify("logs", new.log_size > old.log_size, old.told_logs_at, new, now):
        new = replace(new, told_logs_at=now)
    return new


def _should_notify(event: str, grew: bool, told_at: int, record: Prediction, now: int) -> bool:  # noqa: FBT001
    return grew and event in record.webhook_events and now - told_at >= TELL_PAUSE_MS


def _merged(record: Prediction, said: Snapshot) -> Prediction:
    """Merge in the values that exceed ours. Only the final snapshot may replace earlier values."""
    more_logs = said.log_size > record.log_size
    pick = _later if said.final else _first if record.asked_again else _longer
    last = said.final and not _shows_nothing(record, said)
    return replace(
        record,
        output=(_later if last else _longer)(record.output, said.output),
        logs=said.logs if more_logs else record.logs,
        log_size=max(said.log_size, record.log_size),
        metrics=pick(record.metrics, said.metrics),
        started_at=pick(record.started_at, said.started_at),
        completed_at=said.completed_at or record.completed_at,
        stream_url=said.stream_url or record.stream_url,
    )


def _longer(ours: Json | None, theirs: Json | None) -> Json | None:
    if ours is None or theirs is None:
        return _first(ours, theirs)
    # The text breaks ties, so that the merge does not depend on the order of arrival.
    return max(ours, theirs, key=lambda value: (len(text := canonical(value)), text))


def _first(ours: Json | None, theirs: Json | None) -> Json | None:
    # The final snapshot came already, though without files: any later one is older.
    return theirs if ours is None else ours


def _later(ours: Json | None, theirs: Json | None) -> Json | None:
    return ours if theirs is None else theirs


_NEXT = {
    "starting": State.SUBMITTED,
    "processing": State.PROCESSING,
    "succeeded": State.STORING,
    "failed": State.FAILED,
    "canceled": State.CANCELED,
    "aborted": State.ABORTED,
}


def _apply_status(
    record: Prediction, news: ProviderReported, now: int, timings: Timings
) -> Prediction:
    said = news.snapshot
    target = _NEXT[said.status]
    if target.rank <= record.state.rank:
        return record
    if target is State.STORING:
        return _succeeded_upstream(record, news, now, timings)
    if target is State.FAILED:
        error = said.error or "The model failed without saying why."
        return _ended(record, State.FAILED, now, error, Code.PROVIDER_FAILED)
    if target in {State.CANCELED, State.ABORTED}:
        late = record.cancel_by_deadline or target is State.ABORTED
        late = late or (record.cancel_requested_at is None and now >= record.deadline)
        return _stopped(record, target, now, by_deadline=late)
    poll = _first_poll(record, now, timings)
    return replace(record, state=target, next_poll_at=poll)


def _succeeded_upstream(
    record: Prediction, news: ProviderReported, now: int, timings: Timings
) -> Prediction:
    said = news.snapshot
    if said.data_removed and said.output is None:
        return _ended(
            record,
            State.FAILED,
            now,
            "The provider deleted the output before it could be copied.",
            Code.OUTPUT_EXPIRED,
        )
    named = file_texts(record.output, record.places)
    if said.output_refused or sum(text.declared for text in named) > MAX_OUTPUTS:
        return _ended(
            record, State.FAILED, now, "The output is larger than is stored.", Code.OUTPUT_REFUSED
        )
    if _shows_nothing(record, said):
        if not (record.asked_again and news.whole and now >= record.next_poll_at):
            # An abridged list item, or a webhook that is ahead of its output. Polled by its id a
            # little later, the provider shows everything.
            soon = now + int(timings.store_retry_s * 1000)
            return replace(
                record,
                state=State.PROCESSING,
                asked_again=True,
                next_poll_at=record.next_poll_at if record.asked_again else soon,
                completed_at=None,
            )
        if record.makes_files and not named:
            error = "The provider says that it succeeded, but shows no file."
            return _ended(record, State.FAILED, now, error, Code.OUTPUT_MISSING)
    return replace(
        record,
        state=State.STORING,
        completed_at=said.completed_at or _rfc3339(now),
        finished_at=within(milliseconds(said.completed_at), record.created_at, now),
        next_store_at=now,
    )


def _shows_nothing(record: Prediction, said: Snapshot) -> bool:
    """Whether a success shows no output, or no file if the model makes files."""
    if not record.makes_files:
        return said.output is None
    return not file_texts(said.output, record.places)


def _out_of_time(record: Prediction, now: int, timings: Timings) -> Prediction | None:
    """End a record that is past its final deadline, without any answer of the provider."""
    if record.state.terminal or now < last_clock(record, timings):
        return None
    if record.state is State.STORING:
        error = "The output could not be copied while it existed."
        return _ended(record, State.FAILED, now, error, Code.OUTPUT_EXPIRED)
    if record.provider_id is not None:
        error = "The provider did not say in time what became of this prediction."
        return _ended(record, State.FAILED, now, error, Code.PROVIDER_LOST)
    if record.create.state is CreateState.REFUSED:
        return _stopped(record, State.ABORTED, now, by_deadline=True)
    return _outcome_unknown(record, now)


class Clocked(Protocol):
    """The fields that a record's final deadline depends on."""

    @property
    def created_at(self) -> int: ...
    @property
    def deadline(self) -> int: ...
    @property
    def finished_at(self) -> int | None: ...


def last_clock(record: Clocked, timings: Timings) -> int:
    """Return the time at which the record ends at the latest, by our own clock and independent of
    anything that the provider said."""
    by = min(record.deadline, longest_life(record, timings))
    started = by if record.finished_at is None else max(by, record.finished_at)
    return started + int((timings.output_life_s + timings.store_grace_s) * 1000)


def longest_life(record: Clocked, timings: Timings) -> int:
    """Return the maximum end time of a prediction. A later deadline has no effect."""
    return record.created_at + int(timings.longest_life_s * 1000)


def _outcome_unknown(record: Prediction, now: int) -> Prediction:
    error = "The provider never said whether this prediction was created."
    return _ended(record, State.FAILED, now, error, Code.OUTCOME_UNKNOWN)


def _stopped(record: Prediction, state: State, now: int, *, by_deadline: bool) -> Prediction:
    if not by_deadline:
        # A requested cancel is not an error.
        return _ended(record, state, now, None, Code.CANCELED)
    point = "started" if state is State.ABORTED else "was done"
    error = f"The deadline passed before it {point}."
    return _ended(record, state, now, error, Code.DEADLINE_EXCEEDED)


# Creates


def create_state(create: CreateAttempt, now: int) -> CreateState:
    """Return the state of the attempt: one in flight becomes unknown after its time limit."""
    if create.state is CreateState.IN_FLIGHT and now >= create.until:
        return CreateState.UNKNOWN
    return create.state


def _start_attempt(
    record: Prediction, news: AttemptStarted, now: int, timings: Timings
) -> Prediction | None:
    may = (
        record.state is State.ACCEPTED
        and record.create.state is CreateState.REFUSED
        and now >= record.create.not_before
        and now < record.deadline
    )
    if not may:
        return None
    attempt = first_attempt(now, news.budget_s, timings)
    return replace(record, create=replace(attempt, attempt=record.create.attempt + 1))


def first_attempt(now: int, budget_s: float, timings: Timings) -> CreateAttempt:
    """Return attempt 1, in flight from `now`. It is stored before its POST is sent."""
    until = now + int((budget_s + timings.create_margin_s) * 1000)
    return CreateAttempt(attempt=1, state=CreateState.IN_FLIGHT, started_at=now, until=until)


def _create_answered(
    record: Prediction, news: CreateRefused | CreateUnknown | CreateRejected, now: int
) -> Prediction | None:
    create = record.create
    if (
        record.state is not State.ACCEPTED
        or create.state is CreateState.REFUSED
        or create.attempt != news.attempt
    ):
        return None
    match news:
        case CreateUnknown():
            if create.state is CreateState.UNKNOWN:
                return None
            asked = replace(create, state=CreateState.UNKNOWN, not_before=now)
            return replace(record, create=asked)
        case CreateRejected():
            return _ended(record, State.FAILED, now, news.error, Code.REJECTED)
        case _:
            return _refused(record, now, news.not_before, parked=news.parked)


def _refused(record: Prediction, now: int, not_before: int, *, parked: bool) -> Prediction:
    """Nothing exists upstream, so a requested cancel or a passed deadline ends the record at
    once."""
    create = replace(record.create, state=CreateState.REFUSED, not_before=not_before, parked=parked)
    refused = replace(record, create=create)
    if record.cancel_requested_at is not None:
        return _stopped(refused, State.CANCELED, now, by_deadline=False)
    if now >= record.deadline:
        return _stopped(refused, State.ABORTED, now, by_deadline=True)
    return refused


def _apply_search(
    record: Prediction, news: ListSearched, now: int, timings: Timings
) -> Prediction | None:
    create = record.create
    if record.state is not State.ACCEPTED or create_state(create, now) is not CreateState.UNKNOWN:
        return None
    if now >= create.started_at + int(timings.create_give_up_s * 1000):
        return _outcome_unknown(record, now)
    if news.silent and news.begun_at >= create.until + int(timings.create_silence_s * 1000):
        return _refused(record, now, now, parked=False)
    next_look = now + int(timings.unknown_poll_s * 1000)
    asked = replace(create, state=CreateState.UNKNOWN, not_before=next_look)
    return replace(record, create=asked)


# Cancel and deadline


def _cancel(
    record: Prediction, now: int, timings: Timings, *, by_deadline: bool
) -> Prediction | None:
    if record.state.rank >= State.STORING.rank or record.cancel_requested_at is not None:
        return None
    if record.state is State.ACCEPTED:
        if record.create.state is CreateState.REFUSED:
            state = State.ABORTED if by_deadline else State.CANCELED
            return _stopped(record, state, now, by_deadline=by_deadline)
        if by_deadline:
            # Something may exist upstream, so the deadline waits until that is known.
            return None
    retry = now + int(timings.cancel_retry_s * 1000)
    return replace(
        record, cancel_requested_at=now, cancel_by_deadline=by_deadline, next_cancel_at=retry
    )


# Polls


def _first_poll(record: Prediction, now: int, timings: Timings) -> int:
    return now + record.typical_ms + int(timings.first_poll_s * 1000)


def _next_poll(record: Prediction, now: int, timings: Timings) -> int:
    backoff = Backoff(timings.first_poll_s, timings.poll_max_s, factor=1.5)
    return now + int(backoff.pause_s(record.polls) * 1000)


def _reschedule_poll(record: Prediction, now: int, timings: Timings) -> Prediction:
    """Reschedule the next poll and the next cancel. The answer to a cancel contains the same
    snapshot as a poll, so it counts as one."""
    return replace(
        record,
        polls=record.polls + 1,
        next_poll_at=_next_poll(record, now, timings),
        next_cancel_at=now + int(timings.cancel_retry_s * 1000),
    )


def _bound_upkeep(
    record: Prediction, news: ProviderNotFound | CancelSent, now: int, timings: Timings
) -> Prediction | None:
    if record.provider_id is None or record.state.rank >= State.STORING.rank:
        return None
    if isinstance(news, CancelSent):
        retry = now + int(timings.cancel_retry_s * 1000)
        return replace(record, next_cancel_at=retry)
    # One 404 proves nothing; only an hour of nothing else is an end. A period without requests is
    # not part of that hour, so the first 404 after it starts a new one.
    unasked = now > record.next_poll_at + 2 * int(timings.poll_max_s * 1000)
    since = now if unasked else record.missing_since or now
    if now >= since + int(timings.output_life_s * 1000):
        error = "The provider no longer knows this prediction."
        return _ended(record, State.FAILED, now, error, Code.PROVIDER_LOST)
    return _reschedule_poll(replace(record, missing_since=since), now, timings)


# Storing


def _storing(
    record: Prediction,
    news: Stored | StoreDelayed | StoreFailed,
    now: int,
    timings: Timings,
) -> Prediction | None:
    if record.state is not State.STORING:
        return None
    match news:
        case Stored():
            texts = news.texts
            if texts is None:
                texts = tuple(file_texts(record.output, record.places))
            output = kept(record.output, texts)
            return replace(record, state=State.SUCCEEDED, files=news.files, output=output)
        case StoreFailed():
            return _not_stored(record, now, news.reason, news.code)
        case _:
            return _delayed(record, news, now, timings)


def _not_stored(record: Prediction, now: int, error: str, code: Code) -> Prediction:
    return _ended(replace(record, files=()), State.FAILED, now, error, code)


def _delayed(record: Prediction, news: StoreDelayed, now: int, timings: Timings) -> Prediction:
    """Merge all files stored so far. If this run stored any, the next one follows at once."""
    files = {file.key: file for file in (*record.files, *news.files)}
    if len(files) > len(record.files):
        stored = tuple(files.values())
        return replace(record, files=stored, store_attempts=0, next_store_at=now)
    lives_until = (record.finished_at or now) + int(timings.output_life_s * 1000)
    if now >= lives_until:
        error = f"The output could not be copied while it existed: {news.reason}"
        return _not_stored(record, now, error, Code.OUTPUT_EXPIRED)
    pause_s = Backoff(timings.store_retry_s, timings.store_grace_s).pause_s(record.store_attempts)
    return replace(
        record,
        store_attempts=record.store_attempts + 1,
        next_store_at=now + int(pause_s * 1000),
    )


# --- due ------------------------------------------------------------------------------------------


def due(record: Prediction, timings: Timings) -> int | None:
    """Return when the sweep must handle the record: the earliest of its clocks, or None for
    never."""
    if record.state.terminal:
        done = record.effects_done
        return None if done else record.updated_at + int(timings.effects_grace_s * 1000)
    if record.state is State.STORING:
        return record.next_store_at + int(timings.store_grace_s * 1000)
    if record.provider_id is None:
        return _create_due(record, timings)
    clocks = [record.next_poll_at]
    if record.cancel_requested_at is not None:
        clocks.append(record.next_cancel_at)
    else:
        clocks.append(record.deadline)
    return min(clocks)


def _create_due(record: Prediction, timings: Timings) -> int:
    match record.create.state:
        case CreateState.IN_FLIGHT:
            return record.create.until + int(timings.unknown_grace_s * 1000)
        case CreateState.UNKNOWN:
            return record.create.not_before
        case _:
            # The queue's message comes at not_before; the sweep replaces a lost one.
            lost = record.create.not_before + int(timings.effects_grace_s * 1000)
            return min(lost, record.deadline)


class Urgency(StrEnum):
    """Why a record is due, most urgent first."""

    STORING = "storing"
    EFFECTS = "effects"
    POLL = "poll"
    CREATE = "create"


URGENCIES = tuple(Urgency)


def urgency(state: State, *, bound: bool) -> Urgency:
    """Return the kind of work that a due record needs, which orders the sweep's work."""
    if state is State.STORING:
        return Urgency.STORING
    if state.terminal:
        return Urgency.EFFECTS
    return Urgency.POLL if bound else Urgency.CREATE


# --- effects --------------------------------------------------------------------------------------


@immutable
class StoreOutputs:
    """Copy the outputs, not before this time."""

    not_before: int


@immutable
class EnqueueCreate:
    """Create upstream, not before this time."""

    not_before: int


@immutable
class CancelUpstream:
    """Send a cancel for this prediction to the provider."""

    provider_id: str


class Event(StrEnum):
    """An event on the bus: the start of a prediction, or its terminal state.

    The schemas are in `api/events.py`, by detail-type.
    """

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"

    @property
    def detail_type(self) -> str:
        """The detail-type on the bus, where `aborted` is `canceled`, as on the wire."""
        shown = Event.CANCELED if self is Event.ABORTED else self
        return f"Prediction {shown.capitalize()}"


@immutable
class PublishEvent:
    """Put an event on the bus."""

    event: Event


@immutable
class SendCallback:
    """Call the client's webhook: `start`, `completed`, growth (`output-…`, `logs-…`), or `output`
    for the complete output."""

    event: str


@immutable
class NotifyTask:
    """Send the Step Functions task the end of its prediction, or a heartbeat."""


Effect = StoreOutputs | EnqueueCreate | CancelUpstream | PublishEvent | SendCallback | NotifyTask


def effects(old: Prediction | None, new: Prediction) -> list[Effect]:
    """Return the effects of the committed change from `old` to `new`; `old` None derives all of
    them.

    Never raises. Effects may be carried out more than once.
    """
    caused: list[Effect] = []
    waiting = new.state is State.ACCEPTED and new.create.state is CreateState.REFUSED
    if waiting and (old is None or old.create != new.create):
        caused.append(EnqueueCreate(new.create.not_before))
    if new.state is State.STORING:
        entered = old is None or old.state is not State.STORING
        if entered or (old is not None and _tried(old) != _tried(new)):
            caused.append(StoreOutputs(new.next_store_at))
    caused += _cancels(old, new)
    caused += _announcements(old, new)
    if new.task_token and (old is None or not old.state.terminal):
        # Every write of a running prediction is a heartbeat, including a sweep's claim.
        caused.append(NotifyTask())
    return caused


def _tried(record: Prediction) -> tuple[int, int]:
    """Return the fields that every run of persist with remaining work changes."""
    return record.store_attempts, len(record.files)


def _cancels(old: Prediction | None, new: Prediction) -> list[Effect]:
    ended = new.state.terminal and (old is None or not old.state.terminal)
    # At the end all extra ones are canceled again, in case a message was lost.
    known = old.extra_provider_ids if old and not ended else ()
    wanted = [pid for pid in new.extra_provider_ids if pid not in known]
    if ended and new.provider_id is not None and new.code is Code.PROVIDER_LOST:
        # It may still run although Darkroom abandons it, so it is canceled.
        wanted.append(new.provider_id)
    stoppable = new.provider_id is not None and new.state.rank < State.STORING.rank
    if stoppable and new.cancel_requested_at is not None:
        told = (
            old is not None and old.provider_id is not None and old.cancel_requested_at is not None
        )
        if not told:
            wanted.append(str(new.provider_id))
    return [CancelUpstream(pid) for pid in wanted]


def _announcements(old: Prediction | None, new: Prediction) -> list[Effect]:
    was = State.ACCEPTED.rank if old is None else old.state.rank
    caused: list[Effect] = []
    running = new.state in {State.PROCESSING, State.STORING}
    if running and was < State.PROCESSING.rank:
        caused.append(PublishEvent(Event.STARTED))
        if new.webhook and "start" in new.webhook_events:
            caused.append(SendCallback("start"))
    for event, told_at, before in (
        ("output", new.told_output_at, old and old.told_output_at),
        ("logs", new.told_logs_at, old and old.told_logs_at),
    ):
        if told_at == new.updated_at != before and not new.state.terminal:
            caused.append(SendCallback(f"{event}-{new.revision:06d}"))
    if new.state.terminal and (old is None or not old.state.terminal):
        caused.append(PublishEvent(Event(new.state.value)))
        if new.webhook:
            caused += [SendCallback(event) for event in _told_at_end(new)]
    return caused


def _told_at_end(record: Prediction) -> list[str]:
    """Return the callbacks at the end. No output shows files before all are stored, so a client
    that asked for `output` only gets it then."""
    if "completed" in record.webhook_events:
        return ["completed"]
    whole = record.state is State.SUCCEEDED and record.output is not None
    return ["output"] if whole and "output" in record.webhook_events else []


def has_effects(record: Prediction) -> bool:
    """Whether the relay must see this version of the record.

    Stored with the record, because a stream filter sees only the new image. False only if no
    earlier version could have effects, and no mark remains to be set.
    """
    if record.state.terminal:
        return not record.effects_done
    return bool(effects(None, record))
