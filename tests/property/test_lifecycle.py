"""The state machine with any inputs, in any order."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from darkroom.domain.lifecycle import (
    CancelRequested,
    CancelUpstream,
    CreateRefused,
    CreateRejected,
    CreateUnknown,
    DeadlinePassed,
    EnqueueCreate,
    Event,
    News,
    ProviderReported,
    PublishEvent,
    SendCallback,
    StoreOutputs,
    advance,
    due,
    effects,
)
from darkroom.domain.prediction import CreateState, Prediction, State
from darkroom.ports import Answered, NoAnswer, NotSent
from darkroom.replicate.creates import classify
from darkroom.replicate.snapshot import BadSnapshotError, read_snapshot
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import START
from tests.support.histories import (
    STATUSES,
    beginnings,
    histories,
    lives,
    records,
)
from tests.support.records import PID, TIMINGS, accepted, snapshot

if TYPE_CHECKING:
    from darkroom.domain.snapshot import Snapshot

MOVING_AT_THE_END = {"revision", "updated_at", "due_at", "extra_provider_ids", "effects_done"}


def still(record: Prediction) -> dict[str, Any]:
    """Return the fields that may not change after a record has ended."""
    names = {f.name for f in fields(Prediction)} - MOVING_AT_THE_END
    return {name: getattr(record, name) for name in names}


@given(beginnings, histories)
def test_a_life_only_moves_forward(record: Prediction, history: list[tuple[News, int]]) -> None:
    revisions = lives(record, history)
    for old, new in itertools.pairwise(revisions):
        assert new.revision == old.revision + 1
        assert new.state.rank >= old.state.rank
        assert old.provider_id in {None, new.provider_id}
        assert new.extra_provider_ids[: len(old.extra_provider_ids)] == old.extra_provider_ids
        assert new.provider_id not in new.extra_provider_ids
        assert new.log_size >= old.log_size or new.state.terminal
        if old.cancel_requested_at is not None:
            assert new.cancel_requested_at == old.cancel_requested_at
        if old.state.terminal:
            moved = {
                f.name for f in fields(Prediction) if getattr(old, f.name) != getattr(new, f.name)
            }
            assert moved <= MOVING_AT_THE_END


@given(beginnings, histories)
def test_only_a_refused_create_is_ever_repeated(
    record: Prediction, history: list[tuple[News, int]]
) -> None:
    revisions = lives(record, history)
    for old, new in itertools.pairwise(revisions):
        if new.create.attempt != old.create.attempt:
            assert new.create.attempt == old.create.attempt + 1
            assert old.create.state is CreateState.REFUSED
            assert old.state is State.ACCEPTED
            assert new.create.started_at >= old.create.not_before
    # More upstream predictions than creates of ours are never taken for ours.
    last = revisions[-1]
    known = len(last.extra_provider_ids) + (last.provider_id is not None)
    assert known <= last.create.attempt


@given(beginnings, histories)
def test_no_deadline_ends_a_create_in_doubt(
    record: Prediction, history: list[tuple[News, int]]
) -> None:
    now, current = START, record
    for news, pause in history:
        now += pause
        changed = advance(current, news, now, TIMINGS)
        doubtful = current.state is State.ACCEPTED and current.create.state in {
            CreateState.IN_FLIGHT,
            CreateState.UNKNOWN,
        }
        if doubtful and isinstance(news, DeadlinePassed | CancelRequested):
            assert changed is None or changed.state is State.ACCEPTED
        current = changed or current


@given(records)
def test_no_record_is_ever_forgotten(record: Prediction) -> None:
    assert record.due_at == due(record, TIMINGS)
    assert record.due_at is not None
    done = replace(record, effects_done=True)
    assert (due(done, TIMINGS) is None) is record.state.terminal


@given(records, records)
def test_effects_are_total_and_can_be_derived_again(old: Prediction, new: Prediction) -> None:
    again = effects(None, new)
    for effect in effects(old, new):
        assert effect in again
    if new.state is State.ACCEPTED and new.create.state is CreateState.REFUSED:
        assert EnqueueCreate(new.create.not_before) in again
    if new.state is State.STORING:
        assert StoreOutputs(new.next_store_at) in again
    if new.state in {State.SUBMITTED, State.PROCESSING} and new.cancel_requested_at is not None:
        assert CancelUpstream(str(new.provider_id)) in again
    for extra in new.extra_provider_ids:
        assert CancelUpstream(extra) in again
    if new.state.terminal:
        assert PublishEvent(Event(new.state.value)) in again
        owed = bool(new.webhook) and "completed" in new.webhook_events
        assert (SendCallback("completed") in again) is owed


@given(beginnings, histories)
def test_each_end_is_announced_once(record: Prediction, history: list[tuple[News, int]]) -> None:
    revisions = lives(record, history)
    caused = [
        effect
        for old, new in zip([None, *revisions], revisions, strict=False)
        for effect in effects(old, new)
    ]
    published = [effect.event for effect in caused if isinstance(effect, PublishEvent)]
    last = revisions[-1].state
    ends = [event for event in published if event != "started"]
    assert ends == ([last.value] if last.terminal else [])
    assert published.count("started") <= 1
    # A requested cancellation reaches the provider through the stream as well, once each.
    cancelled = [effect.provider_id for effect in caused if isinstance(effect, CancelUpstream)]
    assert cancelled.count(PID) <= 2


# One upstream life cycle, reported in any order


@st.composite
def upstream_lives(draw: st.DrawFn) -> list[Snapshot]:
    """Return the provider's reports of one prediction, in order; the last one includes all before
    it."""
    final = draw(st.sampled_from(["succeeded", "failed", "canceled", None]))
    logs, files = "", []
    said: dict[str, Any] = {}
    life = []
    for status in ["starting"] * draw(st.integers(0, 2)) + ["processing"] * draw(st.integers(0, 4)):
        if status == "processing":
            # The endpoints differ in the digits of the same time.
            said["started_at"] = draw(
                st.sampled_from(["2027-01-15T08:00:01.5Z", "2027-01-15T08:00:01.500000Z"])
            )
            logs += draw(st.text("ab", max_size=3))
            files += draw(st.lists(st.just("https://x.test/p"), max_size=1))
            said["output"] = list(files) or None
            said["metrics"] = draw(st.sampled_from([None, {"n": 1}, {"m": 3, "n": 2}]))
        life.append(snapshot(status, logs=logs, log_size=len(logs), **said))
    if final:
        said["output"] = draw(st.sampled_from([said.get("output"), "https://x.test/0"]))
        said |= {"completed_at": "2027-01-15T08:00:02Z", "metrics": {"n": 4}}
        said["started_at"] = "2027-01-15T08:00:01.5Z"
        said["error"] = "boom" if final == "failed" else None
        life.append(snapshot(final, logs=logs, log_size=len(logs), **said))
    return life


CLOCKS = {
    "revision",
    "updated_at",
    "due_at",
    "next_poll_at",
    "next_store_at",
    "finished_at",
}


def heard(life: list[Snapshot]) -> dict[str, Any]:
    """Return the record after these reports, without its clocks."""
    last = lives(accepted(), [(ProviderReported(said), 100) for said in life])[-1]
    return {f.name: getattr(last, f.name) for f in fields(last) if f.name not in CLOCKS}


@given(upstream_lives(), st.data())
def test_the_order_and_number_of_snapshots_do_not_matter(
    life: list[Snapshot], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(life))
    repeated = data.draw(st.lists(st.sampled_from(life), max_size=4)) if life else []
    at = data.draw(st.integers(0, len(shuffled)))
    assert heard([*shuffled[:at], *repeated, *shuffled[at:]]) == heard(life)


# classify

anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
OPTIONAL = ("output", "logs", "error", "metrics", "urls", "input", "created_at")
bodies = st.one_of(
    anything,
    st.fixed_dictionaries(
        {"id": st.one_of(st.just(PID), anything), "status": st.sampled_from([*STATUSES, "odd"])},
        optional=dict.fromkeys(OPTIONAL, anything),
    ),
    st.binary(max_size=10),
)


@given(
    status=st.integers(100, 599),
    body=bodies,
    retry_after=st.one_of(st.none(), st.floats()),
    attempt=st.integers(1, 50),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_any_answer_to_a_create_is_understood_on_the_safe_side(
    status: int, body: object, retry_after: float | None, attempt: int, jitter: float
) -> None:
    outcome = classify(Answered(status, body, retry_after), attempt, START, TIMINGS, jitter)
    repeatable = status in {401, 402, 403, 429}
    assert isinstance(outcome, CreateRefused) is repeatable
    definite = 400 <= status < 500 and status not in {408, 409, 425}
    assert isinstance(outcome, CreateRejected) is (definite and not repeatable)
    if isinstance(outcome, CreateRefused):
        assert outcome.not_before > START
        assert outcome.parked is (status in {401, 402})
        if status == 429 and retry_after is not None and 0 <= retry_after <= 86_400:
            assert outcome.not_before >= START + retry_after * 1000
    try:
        read = read_snapshot(body)
    except BadSnapshotError:
        assert not isinstance(outcome, ProviderReported)
    else:
        assert isinstance(outcome, ProviderReported) is (200 <= status < 300)
        if isinstance(outcome, ProviderReported):
            assert outcome.snapshot == read
    if not isinstance(outcome, ProviderReported):
        assert outcome.attempt == attempt


@given(attempt=st.integers(1, 10**6), jitter=st.floats(0, 1, exclude_max=True))
def test_what_never_left_is_repeated_and_what_may_have_is_not(attempt: int, jitter: float) -> None:
    refused = classify(NotSent(), attempt, START, TIMINGS, jitter)
    assert isinstance(refused, CreateRefused)
    assert START + 1000 <= refused.not_before <= START + 60_000
    assert classify(NoAnswer(), attempt, START, TIMINGS, jitter) == CreateUnknown(attempt)
