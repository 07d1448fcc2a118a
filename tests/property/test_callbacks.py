"""Deliver with any answers, lost and duplicated messages, crashes and redeliveries."""

from __future__ import annotations

import contextlib
from typing import Any

from darkroom.domain.callback import EARLY_MS, LONGEST_RETRY_AFTER_S, PAUSES_S, next_attempt, taken
from darkroom.domain.errors import TransferFailedError
from darkroom.domain.timings import Timings
from hypothesis import given
from hypothesis import strategies as st

from tests.support.callbacks import ended, row
from tests.support.fakes import START, Crash
from tests.support.world import World


@given(
    attempts=st.integers(1, 50),
    scale=st.floats(0, 1),
    jitter=st.floats(0, 1, exclude_max=True),
    asked=st.one_of(st.none(), st.floats(allow_nan=False)),
)
def test_the_next_attempt_lies_ahead_and_within_bounds(
    attempts: int, scale: float, jitter: float, asked: float | None
) -> None:
    timings = Timings(callback_scale=scale)
    at = next_attempt(attempts, START, timings, jitter=jitter, retry_after_s=asked)
    assert (at is None) is (attempts >= len(PAUSES_S))
    if at is None:
        return
    assert START < at <= START + 1000 * LONGEST_RETRY_AFTER_S * 1.05
    if asked is not None and 0 <= asked <= LONGEST_RETRY_AFTER_S:
        assert at >= START + int(1000 * asked)


@given(first=st.floats(0, 1, exclude_max=True), then=st.floats(0, 1, exclude_max=True))
def test_each_pause_is_longer_than_the_one_before(first: float, then: float) -> None:
    for attempts in range(1, len(PAUSES_S) - 1):
        earlier = next_attempt(attempts, START, Timings(), jitter=first)
        later = next_attempt(attempts + 1, START, Timings(), jitter=then)
        assert earlier is not None
        assert later is not None
        assert later > earlier


steps = st.lists(
    st.one_of(
        st.sampled_from(["message", "twice", "lose", "die before", "die after", "redeliver"]),
        st.sampled_from([1, 5, 60, 400, 10_000, 90_000]),
    ),
    max_size=40,
)
answers = st.lists(st.sampled_from([200, 302, 410, 500, 503, None]), max_size=12)


@given(steps, answers, st.sampled_from([None, 1.0, 700.0, 4000.0]))
def test_whatever_happens_it_is_taken_once_or_given_up_after_ten(
    history: list[str | int], said: list[int | None], wait: float | None
) -> None:
    world = World()
    id_ = ended(world)
    world.callbacks.first = list(said)
    world.callbacks.retry_after_s = wait
    rounds, post = 1, world.callbacks.post
    answered: list[tuple[int, int | None]] = []

    def noted(url: str, headers: dict[str, str], body: bytes) -> Any:
        found = row(world, id_)
        # Nothing is sent after a stored success, and nothing before its time.
        assert found.state == "pending"
        assert found.attempts < len(PAUSES_S)
        status = world.callbacks.first[0] if world.callbacks.first else world.callbacks.status
        answered.append((world.clock.now, status))
        return post(url, headers, body)

    def die_before(*_: Any) -> Any:
        raise Crash

    def die_after(*args: Any) -> Any:
        with contextlib.suppress(TransferFailedError):
            noted(*args)
        raise Crash

    senders = {"die before": die_before, "die after": die_after}
    for step in history:
        before = row(world, id_)
        world.callbacks.post = senders.get(str(step), noted)  # type: ignore[method-assign]
        calls = len(answered)
        if isinstance(step, int):
            world.sweep(step)
        elif step == "lose":
            world.deliver_queue.take()
        elif step == "redeliver":
            world.delivered.redeliver("acme", id_, "completed")
            rounds += 1
        else:
            messages = world.deliver_queue.take() or [{"prediction": id_, "event": "completed"}]
            for message in messages * (2 if step == "twice" else 1):
                with contextlib.suppress(Crash):
                    world.deliver(message["prediction"], message["event"])
        if len(answered) > calls:
            assert answered[calls][0] >= before.next_at - EARLY_MS
    world.callbacks.post = noted  # type: ignore[method-assign]
    for _ in range(400):
        world.settle()
        if row(world, id_).state != "pending":
            break
        world.sweep(3600)
    found = row(world, id_)
    assert found.state in {"delivered", "failed", "disabled"}
    assert found.due_at is None
    assert (found.state == "delivered") is taken(found.last_status)
    assert found.attempts <= len(PAUSES_S)
    assert len(found.history) <= 10
    assert len({headers["webhook-id"] for _, headers, _ in world.callbacks.posts}) == 1
    if found.state == "failed":
        assert not any(taken(status) for _, status in answered[-len(PAUSES_S) :])
    deaths = sum(step == "die after" for step in history)
    assert sum(taken(status) for _, status in answered) <= rounds + deaths
