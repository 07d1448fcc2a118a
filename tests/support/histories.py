"""Strategies of Hypothesis: records, inputs of the state machine, and the resulting life cycles."""

from __future__ import annotations

from darkroom.domain.callback import EVENTS
from darkroom.domain.lifecycle import (
    AttemptStarted,
    CancelRequested,
    CancelSent,
    CreateRefused,
    CreateRejected,
    CreateUnknown,
    DeadlinePassed,
    LastClockPassed,
    ListSearched,
    News,
    ProviderNotFound,
    ProviderReported,
    Stored,
    StoreDelayed,
    StoreFailed,
    advance,
)
from darkroom.domain.prediction import Code, File, Prediction
from hypothesis import strategies as st

from tests.support.fakes import START
from tests.support.records import PID, TIMINGS, accepted, snapshot

STATUSES = ("starting", "processing", "succeeded", "failed", "canceled", "aborted")
outputs = st.sampled_from([None, "https://x.test/0", ["https://x.test/0"], [], "text"])
snapshots = st.builds(
    snapshot,
    st.sampled_from(STATUSES),
    provider_id=st.sampled_from([PID, "second", "third"]),
    output=outputs,
    output_refused=st.booleans(),
    error=st.sampled_from([None, "boom"]),
    logs=st.text("ab", max_size=3),
    log_size=st.integers(0, 9),
    metrics=st.sampled_from([None, {"n": 1}]),
    started_at=st.sampled_from([None, "2027-01-15T08:00:01Z"]),
    completed_at=st.sampled_from([None, "2027-01-15T08:00:02Z", "2099-01-01T00:00:00Z"]),
    data_removed=st.booleans(),
)
attempts = st.integers(1, 3)
later = st.integers(0, 90_000).map(lambda ms: START + ms)
file = File("acme/x/0.png", "0" * 64, 3, "image/png")
other = File("acme/x/1.png", "0" * 64, 3, "image/png")
news_: st.SearchStrategy[News] = st.one_of(
    st.builds(ProviderReported, snapshots, st.booleans(), st.booleans()),
    st.builds(CreateRefused, attempts, later, st.booleans()),
    st.builds(CreateUnknown, attempts),
    st.builds(CreateRejected, attempts, st.just("no")),
    st.builds(AttemptStarted, st.just(3.0)),
    st.builds(ListSearched, st.booleans(), later),
    st.sampled_from(
        [ProviderNotFound(), CancelRequested(), CancelSent(), DeadlinePassed(), LastClockPassed()]
    ),
    st.just(Stored((file,))),
    st.builds(StoreDelayed, st.just("slow"), st.sampled_from([(), (file,), (other,)])),
    st.just(StoreFailed(Code.OUTPUT_REFUSED, "html")),
)
histories = st.lists(
    st.tuples(news_, st.one_of(st.integers(0, 5000), st.integers(0, 4_000_000))), max_size=12
)
beginnings = st.builds(
    accepted,
    makes_files=st.booleans(),
    webhook=st.sampled_from([None, "https://client.test"]),
    webhook_events=st.sampled_from(
        [(), ("start",), ("completed",), ("start", "completed"), EVENTS]
    ),
)


def lives(record: Prediction, history: list[tuple[News, int]]) -> list[Prediction]:
    """Return every revision of the record."""
    now, revisions = START, [record]
    for news, pause in history:
        now += pause
        changed = advance(revisions[-1], news, now, TIMINGS)
        if changed is not None:
            revisions.append(changed)
    return revisions


records = st.builds(lives, beginnings, histories).map(lambda revisions: revisions[-1])
