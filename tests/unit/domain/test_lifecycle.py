"""The pure functions of the life cycle, case by case; tests/property has the general properties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from darkroom.domain.lifecycle import (
    MAX_OUTPUTS,
    AttemptStarted,
    CancelRequested,
    CancelSent,
    CancelUpstream,
    CreateOutcome,
    CreateRefused,
    CreateRejected,
    CreateUnknown,
    DeadlinePassed,
    EnqueueCreate,
    Event,
    LastClockPassed,
    ListSearched,
    News,
    ProviderNotFound,
    ProviderReported,
    PublishEvent,
    SendCallback,
    Stored,
    StoreDelayed,
    StoreFailed,
    StoreOutputs,
    Urgency,
    advance,
    create_state,
    due,
    effects,
    last_clock,
    urgency,
)
from darkroom.domain.outputs import file_texts
from darkroom.domain.prediction import (
    Code,
    CreateAttempt,
    CreateState,
    File,
    Prediction,
    Price,
    State,
)
from darkroom.domain.timings import Timings
from darkroom.ports import Answered, NoAnswer, NotSent
from darkroom.replicate.creates import classify

from tests.support.fakes import START
from tests.support.records import PID, TIMINGS, accepted, snapshot

FILE = File("acme/x/0.png", "0" * 64, 3, "image/png")


OUTPUT = ["https://x.test/0"]


def after(record: Prediction, *news: News, at: int = START + 1000) -> Prediction:
    """Return the record after the inputs, each of which must change it."""
    for one in news:
        changed = advance(record, one, at, TIMINGS)
        assert changed is not None, one
        record = changed
    return record


def unchanged(record: Prediction, *news: News, at: int = START + 1000) -> bool:
    return all(advance(record, one, at, TIMINGS) is None for one in news)


SUBMITTED = after(accepted(), ProviderReported(snapshot()))
PROCESSING = after(accepted(), ProviderReported(snapshot("processing")))
STORING = after(accepted(), ProviderReported(snapshot("succeeded", output=["https://x.test/0"])))
SUCCEEDED = after(STORING, Stored((FILE,)))
FAILED = after(accepted(), ProviderReported(snapshot("failed", error="no")))
UNKNOWN = after(accepted(), CreateUnknown(1))
REFUSED = after(accepted(), CreateRefused(1, START + 5000))
PARKED = after(accepted(), CreateRefused(1, START + 60_000, parked=True))
ALL = [SUBMITTED, PROCESSING, STORING, SUCCEEDED, FAILED, UNKNOWN, REFUSED, PARKED, accepted()]


# advance


def test_every_change_is_one_revision_and_its_time() -> None:
    assert SUBMITTED.revision == 2
    assert SUBMITTED.updated_at == START + 1000
    assert SUBMITTED.due_at == due(SUBMITTED, TIMINGS)


@pytest.mark.parametrize(
    ("status", "state", "code"),
    [
        ("starting", State.SUBMITTED, None),
        ("processing", State.PROCESSING, None),
        ("succeeded", State.STORING, None),
        ("failed", State.FAILED, Code.PROVIDER_FAILED),
        ("canceled", State.CANCELED, Code.CANCELED),
        ("aborted", State.ABORTED, Code.DEADLINE_EXCEEDED),
    ],
)
def test_each_status_leads_to_its_state(status: str, state: State, code: Code | None) -> None:
    shown = snapshot(status, output=OUTPUT if status == "succeeded" else None)
    record = after(accepted(), ProviderReported(shown))
    assert (record.state, record.code, record.provider_id) == (state, code, PID)


def test_a_failure_without_a_reason_still_has_an_error() -> None:
    assert after(accepted(), ProviderReported(snapshot("failed"))).error
    assert FAILED.error == "no"


def test_equal_rank_adds_and_takes_nothing_away() -> None:
    rich = after(
        PROCESSING,
        ProviderReported(
            snapshot(
                "processing",
                output=["https://x.test/0"],
                logs="half",
                log_size=4,
                metrics={"n": 1},
                started_at="2027-01-15T08:00:00Z",
                stream_url="https://stream.test",
            )
        ),
    )
    assert rich.output == ["https://x.test/0"]
    assert rich.logs == "half"
    late = START + 60_000
    assert unchanged(
        rich,
        ProviderReported(snapshot("processing")),
        ProviderReported(snapshot("starting")),
        at=late,
    )


def test_the_last_word_replaces_what_was_said_before() -> None:
    early = after(
        PROCESSING, ProviderReported(snapshot("processing", output=["https://x.test/preview"]))
    )
    final = after(early, ProviderReported(snapshot("succeeded", output="https://x.test/0")))
    assert final.output == "https://x.test/0"


def test_a_longer_log_keeps_its_true_length() -> None:
    news = ProviderReported(snapshot("processing", logs="tail", log_size=90_000))
    record = after(PROCESSING, news, at=START + 1500)
    assert unchanged(
        record, ProviderReported(snapshot("processing", logs="x" * 80, log_size=80_000))
    )
    assert (record.logs, record.log_size) == ("tail", 90_000)


def test_too_many_outputs_are_refused() -> None:
    many = ["https://x.test/0"] * (MAX_OUTPUTS + 1)
    told = ProviderReported(snapshot("succeeded", output=many))
    record = after(accepted(output_places=("!/note", "/*")), told)
    assert (record.state, record.code) == (State.FAILED, Code.OUTPUT_REFUSED)
    assert record.output_places == ()
    # Places that may all contain text are decided during the download.
    assert after(accepted(), told).state is State.STORING


def test_f12_text_beside_the_files_is_kept() -> None:
    output = {"image": "https://replicate.delivery/a.png", "source": "https://example.com/license"}
    storing = replace(STORING, output=output)
    image, source = file_texts(output, ())
    assert after(storing, Stored((FILE,), (image,))).output == {**output, "image": "data:"}
    assert after(storing, Stored((), ())).output == output
    both = after(storing, Stored((FILE, FILE), (image, source)))
    assert both.output == {"image": "data:", "source": "data:"}
    # A record's values are never changed in their place.
    assert storing.output["image"] == image.url


def test_an_output_that_no_record_could_keep_is_refused() -> None:
    record = after(accepted(), ProviderReported(snapshot("succeeded", output_refused=True)))
    assert (record.state, record.code) == (State.FAILED, Code.OUTPUT_REFUSED)


def test_a_provider_whose_clock_is_ahead_does_not_shorten_the_time_to_store() -> None:
    ahead = "2099-01-01T00:00:00Z"
    record = after(
        accepted(), ProviderReported(snapshot("succeeded", output=OUTPUT, completed_at=ahead))
    )
    assert record.finished_at == START + 1000
    assert record.completed_at == ahead


def test_terminal_records_and_storing_ones_hear_nothing_more() -> None:
    for record in (STORING, SUCCEEDED, FAILED):
        for status in ("starting", "processing", "succeeded", "failed", "canceled", "aborted"):
            assert unchanged(record, ProviderReported(snapshot(status, logs="new", log_size=3)))


@pytest.mark.parametrize(
    ("record", "news"),
    [
        (STORING, Stored(())),
        (SUBMITTED, ProviderReported(snapshot("failed", logs="out of memory", log_size=40_000))),
        (REFUSED, CancelRequested()),
    ],
)
def test_at_its_end_a_record_lets_go_of_what_only_a_running_one_needs(
    record: Prediction, news: News
) -> None:
    over = after(replace(record, price=Price("image", 3000, 3000), next_poll_at=START + 9000), news)
    assert over.state.terminal
    assert (over.next_poll_at, over.next_store_at, over.next_cancel_at, over.log_size) == (0,) * 4
    assert over.create == CreateAttempt(record.create.attempt, record.create.state)
    assert over.price is None
    assert over.cost is not None


def test_of_a_stored_output_only_the_places_of_its_urls_are_kept() -> None:
    output = {"image": "https://replicate.delivery/a.png", "text": "a corgi"}
    over = after(replace(STORING, output=output), Stored((FILE,)))
    assert over.output == {"image": "data:", "text": "a corgi"}


def test_news_of_a_create_that_is_over_changes_nothing() -> None:
    stale: list[News] = [CreateUnknown(1), CreateRefused(1, 0), CreateRejected(1, "no")]
    for record in (SUBMITTED, FAILED, STORING, REFUSED):
        assert unchanged(record, *stale)
    second = after(REFUSED, AttemptStarted(3.0), at=START + 5000)
    assert second.create.attempt == 2
    assert unchanged(second, *stale)
    assert unchanged(UNKNOWN, CreateUnknown(1))


def test_a_refusal_may_follow_doubt() -> None:
    assert after(UNKNOWN, CreateRefused(1, START + 9000)).create.state is CreateState.REFUSED


@pytest.mark.parametrize("record", [accepted(), UNKNOWN, SUBMITTED, STORING, FAILED])
def test_only_a_refused_create_may_be_sent_again(record: Prediction) -> None:
    assert unchanged(record, AttemptStarted(3.0), at=START + 600_000)


def test_no_attempt_starts_early_or_past_the_deadline() -> None:
    assert unchanged(REFUSED, AttemptStarted(3.0), at=START + 4999)
    assert unchanged(REFUSED, AttemptStarted(3.0), at=REFUSED.deadline)
    second = after(REFUSED, AttemptStarted(20.0), at=START + 5000)
    assert second.create == CreateAttempt(2, CreateState.IN_FLIGHT, START + 5000, START + 35_000)


def test_a_look_counts_only_for_a_create_in_doubt() -> None:
    for record in (SUBMITTED, REFUSED, FAILED, accepted()):
        assert unchanged(record, ListSearched(silent=True, begun_at=START))
    overdue = accepted()
    assert create_state(overdue.create, overdue.create.until) is CreateState.UNKNOWN
    until = overdue.create.until
    looked = after(overdue, ListSearched(silent=True, begun_at=until), at=until)
    assert looked.create.state is CreateState.UNKNOWN
    assert looked.create.not_before == overdue.create.until + 30_000


def test_silence_must_last_and_be_silence() -> None:
    at = UNKNOWN.create.until + int(TIMINGS.create_silence_s * 1000)
    for silent, begun_at, state in (
        (True, at, CreateState.REFUSED),
        (True, at - 1, CreateState.UNKNOWN),
        (False, at, CreateState.UNKNOWN),
    ):
        # However late the record is handled: the list counts from the time at which it was read.
        looked = after(UNKNOWN, ListSearched(silent, begun_at), at=at + 40_000)
        assert looked.create.state is state


def test_a_deadline_counts_only_once_it_has_passed() -> None:
    assert unchanged(SUBMITTED, DeadlinePassed(), at=SUBMITTED.deadline - 1)
    assert after(SUBMITTED, DeadlinePassed(), at=SUBMITTED.deadline).cancel_by_deadline
    for record in (accepted(), UNKNOWN, STORING, SUCCEEDED):
        assert unchanged(record, DeadlinePassed(), at=record.deadline)


def test_upkeep_is_for_bound_records_that_run() -> None:
    for record in (accepted(), REFUSED, STORING, FAILED):
        assert unchanged(record, ProviderNotFound(), CancelSent())


def test_storing_news_is_for_storing_records() -> None:
    late: list[News] = [Stored((FILE,)), StoreDelayed("x"), StoreFailed(Code.OUTPUT_REFUSED, "x")]
    for record in (accepted(), SUBMITTED, SUCCEEDED, FAILED):
        assert unchanged(record, *late)
    assert SUCCEEDED.files == (FILE,)


def test_a_delay_without_a_known_end_upstream_counts_from_now() -> None:
    record = after(replace(STORING, finished_at=None), StoreDelayed("x"))
    assert record.state is State.STORING


SECOND = replace(FILE, key="acme/x/1.png")


def test_what_is_stored_so_far_is_kept_and_let_go_at_a_bad_end() -> None:
    first = after(STORING, StoreDelayed("x"), StoreDelayed("x", (SECOND,)))
    assert (first.files, first.store_attempts) == ((SECOND,), 0)
    assert first.next_store_at == START + 1000
    assert effects(STORING, first) == [StoreOutputs(START + 1000)]
    both = after(first, StoreDelayed("x", (FILE,)))
    assert set(both.files) == {FILE, SECOND}
    again = after(both, StoreDelayed("x", (SECOND, FILE)))
    assert (again.files, again.store_attempts) == (both.files, 1)
    assert again.next_store_at == START + 16_000
    assert unchanged(both, ProviderReported(snapshot("succeeded", output=["https://x.test/9"])))
    late = START + 3_602_000
    for news in (StoreFailed(Code.OUTPUT_REFUSED, "x"), StoreDelayed("x", both.files)):
        over = after(both, news, at=late)
        assert (over.state, over.files) == (State.FAILED, ())
    assert after(first, StoreDelayed("x", (FILE,)), at=late).state is State.STORING
    assert after(both, Stored((FILE, SECOND))).files == (FILE, SECOND)


# due and urgency


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (accepted(), START + 13_000 + 75_000),
        (UNKNOWN, START + 1000),
        (REFUSED, START + 5000 + 60_000),
        (after(accepted(), CreateRefused(1, START + 9_000_000)), START + 1_800_000),
        (SUBMITTED, START + 1000 + 2000 + 90_000),
        (STORING, START + 1000 + 90_000),
        (FAILED, START + 1000 + 60_000),
        (replace(FAILED, effects_done=True), None),
        (after(SUBMITTED, CancelRequested()), START + 1000 + 15_000),
        (after(SUBMITTED, DeadlinePassed(), at=START + 1_800_000), START + 93_000),
    ],
    ids=[
        "in flight",
        "unknown",
        "refused",
        "refused beyond its deadline",
        "submitted",
        "storing",
        "ended",
        "ended and handed on",
        "to be cancelled",
        "past its deadline",
    ],
)
def test_the_earliest_clock_is_when_a_record_is_due(record: Prediction, expected: int) -> None:
    assert due(record, TIMINGS) == expected


@pytest.mark.parametrize("later", [-30_000, -1, 0, 29_999, 30_000])
def test_a_time_that_is_near_enough_is_kept(later: int) -> None:
    """A move within the index costs twice as much as the change itself."""
    slack = Timings(due_slack_s=30)
    ideal = due(SUBMITTED, slack)
    assert ideal is not None
    held = replace(accepted(), due_at=ideal + later)
    changed = advance(held, ProviderReported(snapshot()), START + 1000, slack)
    assert changed == replace(SUBMITTED, due_at=ideal + later)


@pytest.mark.parametrize("later", [-30_001, 30_001, None])
def test_a_time_that_is_too_far_off_is_not_kept(later: int | None) -> None:
    slack = Timings(due_slack_s=30)
    ideal = due(SUBMITTED, slack)
    assert ideal is not None
    held = replace(accepted(), due_at=None if later is None else ideal + later)
    assert advance(held, ProviderReported(snapshot()), START + 1000, slack) == SUBMITTED


def test_a_deadline_before_the_first_poll_comes_first() -> None:
    record = after(accepted(deadline=START + 10_000), ProviderReported(snapshot()))
    assert record.due_at == START + 10_000


def test_urgency() -> None:
    records = (STORING, FAILED, SUBMITTED, UNKNOWN, REFUSED)
    found = [urgency(record.state, bound=record.provider_id is not None) for record in records]
    assert found == [
        Urgency.STORING,
        Urgency.EFFECTS,
        Urgency.POLL,
        Urgency.CREATE,
        Urgency.CREATE,
    ]


# effects

HOOKED: dict[str, Any] = {
    "webhook": "https://client.test",
    "webhook_events": ("start", "completed"),
}


def test_what_changes_cause() -> None:
    assert effects(None, accepted()) == []
    assert effects(accepted(), SUBMITTED) == []
    assert effects(accepted(), REFUSED) == [EnqueueCreate(START + 5000)]
    assert effects(REFUSED, REFUSED) == []
    assert effects(SUBMITTED, PROCESSING) == [PublishEvent(Event.STARTED)]
    assert effects(PROCESSING, STORING) == [StoreOutputs(START + 1000)]
    assert effects(SUBMITTED, STORING) == [StoreOutputs(START + 1000), PublishEvent(Event.STARTED)]
    delayed = after(STORING, StoreDelayed("x"))
    assert effects(STORING, delayed) == [StoreOutputs(START + 16_000)]
    assert effects(STORING, SUCCEEDED) == [PublishEvent(Event.SUCCEEDED)]
    assert effects(SUCCEEDED, replace(SUCCEEDED, effects_done=True)) == []


def test_what_a_webhook_of_the_client_adds() -> None:
    processing, storing, failed = (
        replace(record, **HOOKED) for record in (PROCESSING, STORING, FAILED)
    )
    assert effects(SUBMITTED, processing) == [PublishEvent(Event.STARTED), SendCallback("start")]
    assert effects(processing, failed) == [PublishEvent(Event.FAILED), SendCallback("completed")]
    quiet: dict[str, Any] = {"webhook": "https://client.test", "webhook_events": ()}
    assert effects(SUBMITTED, replace(PROCESSING, **quiet)) == [PublishEvent(Event.STARTED)]
    assert effects(storing, replace(FAILED, **quiet)) == [PublishEvent(Event.FAILED)]


def test_a_wish_to_cancel_is_told_once_there_is_somebody_to_tell() -> None:
    wished = after(accepted(), CancelRequested())
    assert effects(accepted(), wished) == []
    bound = after(wished, ProviderReported(snapshot()))
    assert effects(wished, bound) == [CancelUpstream(PID)]
    assert effects(bound, after(bound, CancelSent())) == []
    assert effects(None, bound) == [CancelUpstream(PID)]
    late = after(SUBMITTED, CancelRequested())
    assert effects(SUBMITTED, late) == [CancelUpstream(PID)]


def test_extra_predictions_are_cancelled_when_they_show_and_again_at_the_end() -> None:
    retried = after(REFUSED, AttemptStarted(3.0), at=START + 5000)
    bound = after(retried, ProviderReported(snapshot()))
    extra = after(bound, ProviderReported(snapshot(provider_id="other")))
    assert effects(bound, extra) == [CancelUpstream("other")]
    processing = after(extra, ProviderReported(snapshot("processing")))
    assert CancelUpstream("other") not in effects(extra, processing)
    ended = after(processing, ProviderReported(snapshot("failed")))
    assert CancelUpstream("other") in effects(processing, ended)
    assert effects(ended, replace(ended, due_at=1)) == []


def test_all_of_it_can_be_derived_again() -> None:
    assert effects(None, REFUSED) == [EnqueueCreate(START + 5000)]
    assert StoreOutputs(START + 1000) in effects(None, STORING)
    assert effects(None, replace(SUCCEEDED, **HOOKED)) == [
        PublishEvent(Event.SUCCEEDED),
        SendCallback("completed"),
    ]


# classify

BODY = {"id": PID, "status": "starting"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answered(201, BODY), ProviderReported(snapshot())),
        (Answered(202, BODY), ProviderReported(snapshot())),
        (Answered(200, {"id": PID}), CreateUnknown(1)),
        (Answered(201, None), CreateUnknown(1)),
        (
            Answered(422, {"detail": " no "}),
            CreateRejected(1, "The provider refused the request: no"),
        ),
        (
            Answered(400, "html"),
            CreateRejected(1, "The provider refused the request: the request was refused"),
        ),
        (
            Answered(404, {"detail": 4}),
            CreateRejected(1, "The provider refused the request: the request was refused"),
        ),
        (Answered(401), CreateRefused(1, START + 60_000, parked=True)),
        (Answered(402), CreateRefused(1, START + 60_000, parked=True)),
        (Answered(403), CreateRefused(1, START + 60_000)),
        (Answered(403, token_works=False), CreateRefused(1, START + 60_000, parked=True)),
        (
            Answered(413, {"detail": "too large"}),
            CreateRejected(1, "The provider refused the request: too large"),
        ),
        (Answered(429, None, 10), CreateRefused(1, START + 10_501)),
        (Answered(429, None, -5), CreateRefused(1, START + 501)),
        (Answered(429, None, float("nan")), CreateRefused(1, START + 501)),
        (Answered(429, None, float("inf")), CreateRefused(1, START + 86_400_501)),
        (Answered(429), CreateRefused(1, START + 3000)),
        (NotSent(), CreateRefused(1, START + 3000)),
        (NoAnswer(), CreateUnknown(1)),
        (Answered(500, BODY), CreateUnknown(1)),
        (Answered(409), CreateUnknown(1)),
        (Answered(307), CreateUnknown(1)),
    ],
    ids=str,
)
def test_what_an_answer_means(answer: Any, expected: CreateOutcome) -> None:
    assert classify(answer, 1, START, TIMINGS, 0.5) == expected


def test_the_providers_words_are_cut() -> None:
    outcome = classify(Answered(422, {"detail": "x" * 5000}), 1, START, TIMINGS, 0.0)
    assert isinstance(outcome, CreateRejected)
    assert len(outcome.error) < 1100


# A success that shows no file

RUNNING = after(accepted(makes_files=True), ProviderReported(snapshot("processing")))


@pytest.mark.parametrize("output", [None, [], "text", ["https://x.test/ is a page"], {}])
def test_a_success_without_a_file_is_asked_for_once_more(output: object) -> None:
    thin = ProviderReported(snapshot("succeeded", output=output), polled=True, whole=True)
    asked = after(RUNNING, thin, at=START + 5000)
    assert (asked.state, asked.asked_again) == (State.PROCESSING, True)
    assert asked.due_at == START + 20_000
    assert asked.completed_at is None
    # Only the prediction requested by its id settles it: neither a webhook nor the list does.
    for said in (thin.snapshot, snapshot("processing"), snapshot("succeeded", output=[])):
        assert not after_or_same(asked, ProviderReported(said)).state.terminal
    ended = after(asked, thin, at=START + 20_000)
    assert (ended.state, ended.code) == (State.FAILED, Code.OUTPUT_MISSING)
    assert ended.provider_id == PID
    assert not ended.asked_again


def after_or_same(record: Prediction, news: News) -> Prediction:
    return advance(record, news, START + 5500, TIMINGS) or record


def test_the_files_that_come_after_all_are_stored() -> None:
    asked = after(RUNNING, ProviderReported(snapshot("succeeded")))
    found = after(asked, ProviderReported(snapshot("succeeded", output=OUTPUT)))
    assert (found.state, found.output) == (State.STORING, OUTPUT)


def test_files_that_were_told_of_before_are_better_than_none() -> None:
    grown = after(RUNNING, ProviderReported(snapshot("processing", output=OUTPUT)))
    thin = ProviderReported(snapshot("succeeded", output=[]), polled=True, whole=True)
    asked = after(grown, thin)
    assert asked.output == OUTPUT
    assert after(asked, thin, at=START + 30_000).state is State.STORING


def test_what_comes_late_takes_nothing_from_the_last_word() -> None:
    thin = snapshot("succeeded", metrics={"n": 1}, started_at="2027-01-15T08:00:00Z")
    asked = after(RUNNING, ProviderReported(thin))
    late = snapshot("processing", metrics={"n": 1, "m": 2}, output=OUTPUT)
    told = after(asked, ProviderReported(late))
    assert (told.metrics, told.output) == ({"n": 1}, OUTPUT)


def test_a_model_of_texts_succeeds_without_a_file() -> None:
    record = after(accepted(), ProviderReported(snapshot("succeeded", output="text")))
    assert record.state is State.STORING
    asked = after(accepted(), ProviderReported(snapshot("succeeded")))
    assert asked.asked_again
    whole = ProviderReported(snapshot("succeeded"), polled=True, whole=True)
    assert after(asked, whole, at=START + 30_000).state is State.STORING


# 404s

HOUR = int(TIMINGS.output_life_s * 1000)


def test_one_404_ends_nothing_however_old_the_prediction_is() -> None:
    late = SUBMITTED.deadline - 1000
    missed = after(SUBMITTED, ProviderNotFound(), at=late)
    assert (missed.state, missed.missing_since) == (State.SUBMITTED, late)
    known = after(missed, ProviderReported(snapshot(), polled=True), at=late + 1)
    assert known.missing_since == 0


def test_only_404s_for_as_long_as_outputs_live_end_it_and_it_is_canceled() -> None:
    missed = SUBMITTED
    for at in range(START, START + HOUR, 300_000):
        missed = after(missed, ProviderNotFound(), at=at)
    assert after(missed, ProviderNotFound(), at=START + HOUR - 1).state is State.SUBMITTED
    lost = after(missed, ProviderNotFound(), at=START + HOUR)
    assert (lost.state, lost.code) == (State.FAILED, Code.PROVIDER_LOST)
    assert CancelUpstream(PID) in effects(missed, lost)
    assert CancelUpstream(PID) in effects(None, lost)


def test_a_time_in_which_nobody_asked_is_no_hour_of_404s() -> None:
    """Found by the proof: a 404, an hour without a sweep, and another 404."""
    missed = after(SUBMITTED, ProviderNotFound(), at=START)
    again = after(missed, ProviderNotFound(), at=START + HOUR)
    assert (again.state, again.missing_since) == (State.SUBMITTED, START + HOUR)


# Final deadline

LAST = int((TIMINGS.output_life_s + TIMINGS.store_grace_s) * 1000)


@pytest.mark.parametrize(
    ("record", "state", "code"),
    [
        (SUBMITTED, State.FAILED, Code.PROVIDER_LOST),
        (RUNNING, State.FAILED, Code.PROVIDER_LOST),
        (UNKNOWN, State.FAILED, Code.OUTCOME_UNKNOWN),
        (accepted(), State.FAILED, Code.OUTCOME_UNKNOWN),
        (REFUSED, State.ABORTED, Code.DEADLINE_EXCEEDED),
        (STORING, State.FAILED, Code.OUTPUT_EXPIRED),
    ],
)
def test_every_record_ends_by_its_last_clock(record: Prediction, state: State, code: Code) -> None:
    last = last_clock(record, TIMINGS)
    assert last == record.deadline + LAST
    assert unchanged(record, LastClockPassed(), at=last - 1)
    ended = after(record, LastClockPassed(), at=last)
    assert (ended.state, ended.code) == (state, code)
    assert unchanged(ended, LastClockPassed(), at=last)


def test_no_deadline_puts_the_last_clock_off_beyond_a_day() -> None:
    record = accepted(deadline=START + 10**12)
    assert last_clock(record, TIMINGS) == START + 86_400_000 + LAST


def test_what_succeeded_late_is_copied_for_as_long_as_it_lives() -> None:
    finished = STORING.deadline + 50_000
    record = replace(STORING, finished_at=finished)
    assert last_clock(record, TIMINGS) == finished + LAST


# Another process's clock


@pytest.mark.parametrize(
    ("completed_at", "finished_at"),
    [
        ("0001-01-01T00:00:00Z", START),
        (None, START + 1000),
        ("2027-01-15T08:00:00.500Z", START + 500),
        ("2099-01-01T00:00:00Z", START + 1000),
    ],
)
def test_a_time_of_the_providers_lies_within_the_predictions_life(
    completed_at: str | None, finished_at: int
) -> None:
    said = snapshot("succeeded", output=OUTPUT, completed_at=completed_at)
    assert after(accepted(), ProviderReported(said)).finished_at == finished_at


def test_our_link_token_is_in_no_text_of_the_providers() -> None:
    words = {"detail": "cannot reach https://d.test/hooks/replicate/abc?t=c2VjcmV0-_x today"}
    outcome = classify(Answered(422, words), 1, START, TIMINGS, 0.0)
    assert isinstance(outcome, CreateRejected)
    assert "c2VjcmV0" not in outcome.error
    assert outcome.error.endswith("/hooks/replicate/abc?t=*** today")


def test_a_cancel_does_not_put_off_the_last_question_about_a_thin_success() -> None:
    record = accepted(makes_files=True)
    thin = snapshot("succeeded", output=None)
    asked = advance(record, ProviderReported(thin), START + 1000, TIMINGS)
    assert asked is not None
    assert asked.asked_again
    early = advance(asked, ProviderReported(thin, polled=True, whole=True), START + 2000, TIMINGS)
    assert early is not None
    assert early.next_poll_at == asked.next_poll_at
    assert early.next_cancel_at > START + 2000
    ended = advance(
        early, ProviderReported(thin, polled=True, whole=True), asked.next_poll_at, TIMINGS
    )
    assert ended is not None
    assert ended.code is Code.OUTPUT_MISSING
