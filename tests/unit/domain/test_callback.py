"""Callbacks: the schedule, endpoint states, notifications of growth, and the status at the
event."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.callback import (
    EARLY_MS,
    EVENTS,
    FROZEN_KEPT,
    KEPT_MS,
    PAUSES_S,
    Attempt,
    Callback,
    CallbackState,
    after_attempt,
    capture_status,
    is_event,
    next_attempt,
    next_turn,
    restore_status,
    superseded,
)
from darkroom.domain.lifecycle import (
    CancelRequested,
    ProviderReported,
    SendCallback,
    advance,
    effects,
)
from darkroom.domain.prediction import Code, File, State
from darkroom.domain.timings import Timings
from darkroom.replicate.wire import body

from tests.support.fakes import START
from tests.support.records import PID, TIMINGS, accepted, snapshot

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

HOOK = "https://client.test/hook"


# Schedule


def pauses(scale: float = 1.0, jitter: float = 0.5) -> list[float]:
    timings = Timings(callback_scale=scale)
    found = []
    for attempts in range(1, 10):
        at = next_attempt(attempts, START, timings, jitter=jitter)
        assert at is not None
        found.append((at - START) / 1000)
    return found


def test_ten_attempts_over_about_75_hours() -> None:
    assert pauses() == [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert next_attempt(10, START, TIMINGS, jitter=0.5) is None
    assert 75 <= sum(PAUSES_S) / 3600 <= 76


def test_pauses_spread_by_a_twentieth() -> None:
    assert pauses(jitter=0)[1] == 285
    assert pauses(jitter=0.999)[1] == pytest.approx(315, rel=0.001)


def test_a_stage_may_shorten_all_pauses() -> None:
    assert pauses(0.01)[:3] == [0.05, 3, 18]
    assert pauses(0)[:2] == [0.001, 0.001]


@pytest.mark.parametrize(
    ("asked", "seconds"), [(None, 5), (-9, 5), (1, 5), (60, 60), (86_400, 86_400), (1e9, 86_400)]
)
def test_what_the_client_asks_for_is_not_undercut(asked: float | None, seconds: float) -> None:
    at = next_attempt(1, START, TIMINGS, jitter=0.5, retry_after_s=asked)
    assert at == START + 1000 * seconds


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("start", True),
        ("completed", True),
        ("logs-000007", True),
        ("output-1234567", True),
        ("logs", False),
        ("logs-7", False),
        ("start-000007", False),
        ("completed\n", False),
        ("logs-" + "9" * 5000, False),
        ("", False),
    ],
)
def test_names_of_deliveries(text: str, known: bool) -> None:
    assert is_event(text) is known


# Waiting for an endpoint


def test_what_waits_comes_again_after_about_as_long_as_it_has_waited() -> None:
    def pause(waited_s: int, jitter: float = 0.5, not_before: int = 0) -> float:
        since = START - waited_s * 1000
        return (next_turn(START, since, not_before, Timings(), jitter=jitter) - START) / 1000

    assert [pause(s) for s in (0, 15, 60, 3600, 86_400)] == [15, 15, 60, 3600, 3600]
    assert (pause(60, 0), pause(60, 0.99)) == (30, pytest.approx(89.4))
    # Never before the endpoint's time, and not all at that very moment.
    assert pause(0, 0, START + 40_000) == 40
    assert pause(0, 0.5, START + 40_000) == 47.5
    assert pause(600, 0.5, START + 40_000) == 600


def test_a_turn_is_always_to_come() -> None:
    timings = Timings(callback_scale=0)
    assert next_turn(START, START, 0, timings, jitter=0) == START + 1


# Notifications


def hooked(*events: str) -> Prediction:
    return accepted(webhook=HOOK, webhook_events=events)


def told(record: Prediction, *changes: tuple[int, dict[str, Any]]) -> list[str]:
    """Return the callbacks that these snapshots cause, each after the given milliseconds."""
    now, caused = START, []
    for pause, said in changes:
        now += pause
        changed = advance(record, ProviderReported(snapshot(**said)), now, TIMINGS)
        if changed is not None:
            for effect in effects(record, changed):
                assert effect in effects(None, changed)
                caused += [effect.event] if isinstance(effect, SendCallback) else []
            record = changed
    return caused


def logs(size: int, **more: Any) -> dict[str, Any]:
    return {"status": "processing", "logs": "x" * size, "log_size": size, **more}


def test_growing_logs_are_told_at_most_twice_a_second() -> None:
    changes = [(1000, logs(1)), (499, logs(2)), (1, logs(3)), (499, logs(4)), (1, logs(5))]
    assert told(hooked("logs"), *changes) == ["logs-000002", "logs-000004", "logs-000006"]


def large(size: int = 250_000) -> Prediction:
    """A record with an input of so many characters."""
    return accepted(input={"prompt": "x" * (size - len('{"prompt":""}'))})


def written(record: Prediction, news: list[ProviderReported], pause: int = 500) -> list[Prediction]:
    """Return the records after these inputs, each after the given milliseconds."""
    now, found = START, []
    for each in news:
        now += pause
        changed = advance(record, each, now, TIMINGS)
        if changed is not None:
            record = changed
            found.append(record)
    return found


def test_adversarial_l5_600_webhooks_of_logs_rewrite_a_large_record_20_times() -> None:
    news = [ProviderReported(snapshot(**logs(size))) for size in range(1, 601)]
    assert len(written(accepted(), news)) == 600
    found = written(large(), news)
    assert len(found) == 20
    # At most one write per 15 s, and the final logs are complete.
    times = [record.updated_at for record in found]
    assert {later - one for one, later in pairwise(times)} == {15_000}
    end = ProviderReported(snapshot("failed", logs="x" * 601, log_size=601, error="no"))
    assert written(found[-1], [end])[0].logs == "x" * 601


def test_adversarial_l5_a_record_rests_by_its_size() -> None:
    news = [ProviderReported(snapshot(**logs(size))) for size in range(1, 101)]
    # One write per second per 16,000 characters, to the tenth in which its webhook arrives.
    assert len(written(large(32_000), news, pause=100)) == 5
    assert len(written(large(3_000), news, pause=100)) == 50


def test_adversarial_l5_what_says_more_than_logs_is_written_at_once() -> None:
    [record] = written(large(), [ProviderReported(snapshot(**logs(1)))])
    more = logs(2, output=["https://x.test/0"])
    assert written(record, [ProviderReported(snapshot(**more))])[0].logs == "xx"
    assert written(record, [ProviderReported(snapshot(**logs(2)), polled=True)])[0].logs == "xx"
    assert written(record, [ProviderReported(snapshot(**logs(2)))]) == []


def test_a_repetition_is_no_growth() -> None:
    changes = [(1000, logs(3)), (1000, logs(3)), (1000, logs(2))]
    assert told(hooked("logs"), *changes) == ["logs-000002"]


def test_output_and_logs_are_told_apart() -> None:
    first = logs(1, output=["https://x.test/0"])
    second = logs(1, output=["https://x.test/0", "https://x.test/1"])
    changes = [(1000, first), (600, second)]
    both = ["output-000002", "logs-000002", "output-000003"]
    assert told(hooked("output", "logs"), *changes) == both
    assert told(hooked("logs"), *changes) == ["logs-000002"]
    assert told(hooked("start", "output"), *changes) == ["start", "output-000002", "output-000003"]
    assert told(accepted(webhook_events=EVENTS), *changes) == []


def test_when_it_is_over_only_the_end_is_told() -> None:
    end = {"status": "failed", "logs": "xxx", "log_size": 3, "output": "https://x.test/0"}
    assert told(hooked(*EVENTS), (1000, end)) == ["completed"]
    assert told(hooked(*EVENTS), (1000, logs(1)), (9000, {**end, "error": "x"})) == [
        "start",
        "logs-000002",
        "completed",
    ]


@pytest.mark.parametrize("status", ["failed", "canceled", "aborted"])
def test_every_end_is_completed(status: str) -> None:
    assert told(hooked(*EVENTS), (1000, {"status": status})) == ["completed"]


def test_a_change_of_another_kind_tells_nothing_again() -> None:
    record = advance(hooked("logs"), ProviderReported(snapshot(**logs(1))), START + 1000, TIMINGS)
    assert record is not None
    canceled = advance(record, CancelRequested(), START + 1000, TIMINGS)
    assert canceled is not None
    caused = effects(record, canceled)
    assert not [effect for effect in caused if isinstance(effect, SendCallback)]


def test_an_end_in_the_same_millisecond_tells_only_of_itself() -> None:
    record = advance(hooked(*EVENTS), ProviderReported(snapshot(**logs(1))), START + 1000, TIMINGS)
    assert record is not None
    over = advance(record, ProviderReported(snapshot("failed")), START + 1000, TIMINGS)
    assert over is not None
    for old in (record, None):
        told_of = [effect for effect in effects(old, over) if isinstance(effect, SendCallback)]
        assert told_of == [SendCallback("completed")]


def test_after_its_end_a_prediction_has_one_event_left() -> None:
    running, over = hooked(*EVENTS), replace(hooked(*EVENTS), state=State.FAILED)
    assert not any(superseded(running, event) for event in EVENTS)
    assert [superseded(over, event) for event in EVENTS] == [True, True, True, False]
    alone = replace(over, webhook_events=("start",))
    assert not superseded(alone, "start")


# Status at the event


def shown(record: Prediction) -> dict[str, Any]:
    urls = [f"https://o.test/{file.key}" for file in record.files]
    return body(record, public_url="https://d.test", output_urls=urls, upload_urls={})


def test_a_record_shows_again_what_it_showed_then() -> None:
    then = replace(
        hooked(*EVENTS),
        state=State.PROCESSING,
        provider_id=PID,
        logs="ü\x00\n",
        log_size=3,
        started_at="2027-01-15T08:00:01Z",
        metrics={"n": 1},
        stream_url="https://stream.test/1",
    )
    now = replace(
        then,
        state=State.SUCCEEDED,
        logs="more",
        output=["https://x.test/0"],
        files=(File("k", "0" * 64, 3, "image/png"),),
        completed_at="2027-01-15T08:00:09Z",
        metrics={"n": 2},
        stream_url=None,
        create=replace(then.create, attempt=2),
    )
    assert shown(restore_status(now, capture_status(then))) == shown(then)
    failed = replace(now, state=State.FAILED, error="x", code=Code.PROVIDER_FAILED, files=())
    assert shown(restore_status(failed, capture_status(then))) == shown(then)


@pytest.mark.parametrize("character", ["x", "ü", "\x00", "😀"])
def test_what_is_frozen_is_never_large(character: str) -> None:
    record = replace(hooked("logs"), logs=character * 32_000 + "end")
    text = capture_status(record)
    assert len(text.encode()) <= FROZEN_KEPT
    assert json.loads(text)["logs"].endswith("end")


def test_logs_are_the_only_part_that_is_cut() -> None:
    record = replace(hooked("logs"), metrics={"m": "m" * FROZEN_KEPT}, logs="x" * 9)
    assert json.loads(capture_status(record))["logs"] == ""


OWED = Callback("p", "completed", created_at=1000, expires_at=KEPT_MS // 1000 + 1)


@pytest.mark.parametrize(
    ("status", "disabled", "state"),
    [
        (204, False, CallbackState.DELIVERED),
        (204, True, CallbackState.DELIVERED),
        (500, True, CallbackState.DISABLED),
        (410, False, CallbackState.FAILED),
        (500, False, CallbackState.PENDING),
        (None, False, CallbackState.PENDING),
    ],
)
def test_what_an_attempt_makes_of_a_callback(
    status: int | None,
    disabled: bool,
    state: CallbackState,
) -> None:
    attempt = Attempt(at=5000, duration_ms=3, status=status, error=None if status else "silent")
    made = after_attempt(
        OWED.claimed(9000), attempt, 6000, Timings(), jitter=0.5, disabled=disabled
    )
    assert (made.state, made.attempts, made.history) == (state, 1, (attempt,))
    assert (made.last_status, made.last_error) == (status, attempt.error)
    times = (11_000, 11_000) if made.pending else (0, None)
    assert (made.next_at, made.due_at) == times


def test_after_its_last_attempt_a_callback_has_failed_with_ten_in_its_history() -> None:
    tried = OWED
    for number in range(1, len(PAUSES_S) + 1):
        assert tried.pending
        tried = after_attempt(tried, Attempt(number, 1, 500), number, Timings(), jitter=0.0)
    assert tried.state is CallbackState.FAILED
    assert [each.at for each in tried.history] == list(range(1, 11))
    again = tried.asked_again(20_000, Timings())
    assert (again.pending, again.attempts, again.next_at) == (True, 0, 0)
    assert again.history == tried.history


@pytest.mark.parametrize(("early_ms", "owed"), [(EARLY_MS, True), (EARLY_MS + 1, False)])
def test_a_message_may_come_a_little_early(early_ms: int, owed: bool) -> None:
    at = 100_000
    assert OWED.scheduled(at).owed_at(at - early_ms) is owed
    assert not OWED.closed(CallbackState.DISABLED).owed_at(at)
