"""The sweep recovers everything that was lost."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import ProviderSilentError, ProviderUnavailableError
from darkroom.domain.prediction import Code, CreateState, State
from darkroom.ports import Due, DueRecord, ProviderPage
from darkroom.services.predictions.listing import LIST_FROM, SILENCES
from darkroom.services.predictions.sweep import RESERVE_MS

from tests.support.fakes import ContendedPredictions, Crash, FakeDeliveries, FakePredictions
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from darkroom.domain.prediction import Prediction

FIRST_POLL_S = 92
"""flux-schnell's typical two seconds, and the first poll's ninety."""
PLENTY = 50_000


def storing(world: World) -> Prediction:
    """Return a prediction that succeeded upstream, with no effects done."""
    record = world.accept()
    world.succeed(str(record.provider_id))
    world.webhook(record.id, str(record.provider_id))
    world.store.stream.clear()
    return world.record(record.id)


def failed(world: World) -> Prediction:
    """Return a prediction that failed upstream, with no effects done."""
    record = world.accept(webhook="https://client.test/hook")
    world.provider.finish(str(record.provider_id), "failed")
    world.webhook(record.id, str(record.provider_id))
    world.store.stream.clear()
    return world.record(record.id)


# Recovery


def test_without_any_webhook_a_prediction_is_stored_all_the_same() -> None:
    world = World()
    record = world.accept()
    world.succeed(str(record.provider_id))
    world.sweep(FIRST_POLL_S - 1)
    assert world.provider.reads == []
    world.sweep(1)
    world.settle()
    assert world.record(record.id).state is State.SUCCEEDED


def test_polls_back_off_to_five_minutes_and_no_further() -> None:
    world = World()
    record = world.accept(cancel_after_s=7200)
    at: list[int] = []
    while len(at) < 12:
        world.clock.now = int(world.record(record.id).due_at or 0)
        world.sweep()
        at.append(world.clock.now)
    pauses = [(later - earlier) / 1000 for earlier, later in pairwise(at)]
    assert pauses == sorted(pauses)
    assert pauses[0] >= 90
    assert pauses[-1] == 300


def test_a_poll_takes_the_news_in() -> None:
    world = World()
    record = world.accept()
    world.provider.upstream[str(record.provider_id)].update(status="processing", logs="50%")
    world.sweep(FIRST_POLL_S)
    after = world.record(record.id)
    assert (after.state, after.logs, after.polls) == (State.PROCESSING, "50%", 1)


def test_a_prediction_that_is_not_shown_yet_is_polled_again() -> None:
    world = World()
    record = world.accept()
    world.provider.hidden = set(world.provider.upstream)
    world.sweep(FIRST_POLL_S)
    assert world.record(record.id).state is State.SUBMITTED
    world.provider.hidden = set()
    world.succeed(str(record.provider_id))
    world.sweep(300)
    assert world.record(record.id).state is State.STORING


def test_an_outage_of_the_provider_loses_nothing() -> None:
    world = World()
    record = world.accept()
    world.succeed(str(record.provider_id))
    world.provider.down = True
    for _ in range(10):
        world.sweep(60)
    assert world.record(record.id).state is State.SUBMITTED
    world.provider.down = False
    world.sweep(61)
    assert world.record(record.id).state is State.STORING


def test_a_lost_persist_message_is_sent_again() -> None:
    world = World()
    record = storing(world)
    world.sweep(89)
    assert len(world.persist_queue) == 0
    world.sweep(2)
    assert len(world.persist_queue) == 1
    world.settle()
    assert world.record(record.id).state is State.SUCCEEDED


def test_effects_that_relay_never_carried_out_are_carried_out() -> None:
    world = World()
    record = failed(world)
    world.sweep(59)
    assert world.bus.types == []
    world.sweep(1)
    assert world.bus.types == ["Prediction Failed"]
    assert (record.id, "completed") in world.deliveries.rows
    after = world.record(record.id)
    assert after.effects_done
    assert after.due_at is None
    world.settle()
    world.sweep(600)
    assert world.bus.types == ["Prediction Failed"]


def test_effects_are_not_marked_done_by_a_claim_whose_sweep_died() -> None:
    world = World()
    record = failed(world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.bus, "publish", _die)
        with pytest.raises(Crash):
            world.sweep(60)
    # The claim itself is a change in the stream, without effects.
    world.run_stream()
    assert not world.record(record.id).effects_done
    world.sweep(61)
    assert world.bus.types == ["Prediction Failed"]
    assert world.record(record.id).effects_done


def _die(*_: Any) -> None:
    raise Crash


def test_a_delivery_whose_message_was_lost_is_enqueued_again() -> None:
    world = World()
    record = failed(world)
    world.sweep(60)
    world.deliver_queue.messages.clear()
    world.sweep(59)
    assert len(world.deliver_queue) == 0
    tick = world.sweep(1)
    assert tick.done["deliveries"] == 1
    assert world.deliver_queue.take() == [{"prediction": record.id, "event": "completed"}]


# Operation


def test_the_most_urgent_work_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.provider.answers = ["hang"]
    creating = world.accept()
    polling = world.accept()
    ended = failed(world)
    stored = storing(world)
    world.clock.advance(600)
    seen: list[str] = []
    claim = world.store.claim

    def noted(key: Any, until: int) -> Prediction | None:
        seen.append(key.id)
        return claim(key, until)

    monkeypatch.setattr(world.store, "claim", noted)
    tick = world.sweep()
    assert seen == [stored.id, ended.id, polling.id, creating.id]
    assert tick.done == {"storing": 1, "effects": 1, "poll": 1, "create": 1, "looked": 1}
    assert tick.left == 0


def test_a_tick_ends_before_its_time_does() -> None:
    world = World()
    records = [storing(world) for _ in range(3)]
    world.clock.advance(600)
    times = iter([PLENTY, PLENTY, PLENTY, PLENTY, RESERVE_MS - 1])
    tick = world.sweep_service(lambda: next(times, 0))
    assert tick.done["storing"] == 2
    assert tick.left == 1
    assert len(world.persist_queue) == 2
    world.sweep()
    assert {message["id"] for message in world.persist_queue.take()} == {r.id for r in records}


def test_deliveries_end_before_the_ticks_time_does() -> None:
    world = World()
    failed(world)
    world.sweep(60)
    world.deliver_queue.messages.clear()
    world.clock.advance(60)
    world.sweep_service(lambda: RESERVE_MS - 1)
    assert len(world.deliver_queue) == 0
    world.sweep()
    assert len(world.deliver_queue) == 1


@pytest.mark.parametrize("number", [LIST_FROM - 1, LIST_FROM])
def test_many_polls_read_the_list_instead(number: int) -> None:
    world = World()
    records = [world.accept() for _ in range(number)]
    for record in records:
        world.succeed(str(record.provider_id))
    world.sweep(FIRST_POLL_S)
    assert {world.record(record.id).state for record in records} == {State.STORING}
    assert len(world.provider.reads) == (1 if number >= LIST_FROM else number)


def test_what_the_list_does_not_show_is_asked_for_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    records = [world.accept() for _ in range(LIST_FROM)]
    monkeypatch.setattr(world.provider, "page", lambda *_: ProviderPage([]))
    world.sweep(FIRST_POLL_S)
    assert world.provider.reads == [record.provider_id for record in records]


def test_in_an_outage_the_list_is_asked_for_once_in_a_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.provider.answers = ["hang"] * 3
    for _ in range(3):
        world.accept()
    calls = []

    def page(since: int, *_: Any) -> Any:
        calls.append(since)
        raise ProviderUnavailableError("down")

    monkeypatch.setattr(world.provider, "page", page)
    world.sweep(20)
    assert len(calls) == 1
    world.sweep(61)
    assert len(calls) == 2


def test_a_claimed_record_is_due_again_when_the_claim_runs_out() -> None:
    world = World()
    record = world.accept()
    world.provider.down = True
    world.sweep(FIRST_POLL_S)
    assert world.record(record.id).due_at == world.clock.now + 60_000
    assert world.record(record.id).revision == record.revision


class Overlapping(FakePredictions):
    """Runs another sweep after the first one has read the due records."""

    def __init__(self) -> None:
        super().__init__()
        self.between: Callable[[], Any] | None = None

    def look(self, keys: Iterable[Due]) -> list[DueRecord]:
        found = super().look(keys)
        if self.between:
            between, self.between = self.between, None
            between()
        return found


def test_two_sweeps_at_once_do_each_work_once() -> None:
    store = Overlapping()
    world = World(store=store)
    stored, ended, polled = storing(world), failed(world), world.accept()
    world.clock.advance(600)
    store.between = world.sweep
    tick = world.sweep()
    assert tick.done == {}
    assert [m["id"] for m in world.persist_queue.take()] == [stored.id]
    assert world.bus.types.count("Prediction Failed") == 1
    assert world.provider.reads == [polled.provider_id]
    assert ended.id in store


def test_a_record_that_ends_between_listing_and_claiming_is_left_alone() -> None:
    store = Overlapping()
    world = World(store=store)
    record = world.accept()

    def end() -> None:
        world.provider.finish(str(record.provider_id), "failed")
        world.webhook(record.id, str(record.provider_id))

    store.between = end
    assert world.sweep(FIRST_POLL_S).done == {}
    assert world.provider.reads == []


def test_two_sweeps_at_once_enqueue_a_delivery_once() -> None:
    class Overlap(FakeDeliveries):
        def due(self, now: int, limit: int) -> list[tuple[str, str, int]]:
            found = super().due(now, limit)
            for prediction, event, due_at in found:
                super().claim(prediction, event, due_at, now + 60_000)
            return found

    world = World()
    failed(world)
    world.sweep(60)
    world.deliver_queue.messages.clear()
    world.deliveries.__class__ = Overlap
    world.clock.advance(60)
    assert world.sweep().done["deliveries"] == 0
    assert len(world.deliver_queue) == 0


def test_one_failing_record_does_not_stop_the_others() -> None:
    world = World()
    records = [storing(world) for _ in range(3)]
    send = world.persist_queue.send

    def unreliable(message: dict[str, str], delay_s: int = 0, **more: str) -> None:
        if message["id"] == records[1].id:
            raise ConnectionError("no queue")
        send(message, delay_s, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.persist_queue, "send", unreliable)
        with pytest.raises(ConnectionError):
            world.sweep(600)
    assert {m["id"] for m in world.persist_queue.take()} == {records[0].id, records[2].id}
    world.sweep(61)
    assert records[1].id in {m["id"] for m in world.persist_queue.take()}


def test_a_success_that_comes_just_before_the_deadline_is_noted_stands() -> None:
    store = ContendedPredictions()
    world = World(store=store)
    record = world.accept(cancel_after_s=10)
    world.succeed(str(record.provider_id))
    store.rivals = [lambda: world.webhook(record.id, str(record.provider_id))]
    world.sweep(60)
    assert world.record(record.id).state is State.STORING
    assert world.provider.cancels == []


def test_a_prediction_that_the_provider_lost_fails_within_the_hour_after() -> None:
    world = World()
    record = world.accept(cancel_after_s=10_000)
    world.provider.upstream.clear()
    for _ in range(59):
        world.sweep(60)
    assert world.record(record.id).state is State.SUBMITTED
    for _ in range(8):
        world.sweep(60)
        world.settle()
    after = world.record(record.id)
    assert (after.state, after.code) == (State.FAILED, Code.PROVIDER_LOST)
    assert world.provider.cancels == [record.provider_id]


def test_nothing_due_is_nothing_done() -> None:
    world = World()
    tick = world.sweep()
    assert (tick.done, tick.left) == ({}, 0)


# Inexact provider


def test_a_list_that_cannot_be_read_leaves_the_polls_their_gets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    records = [world.accept() for _ in range(LIST_FROM)]
    for record in records:
        world.succeed(str(record.provider_id))

    def unreadable(*_: Any) -> Any:
        raise ProviderUnavailableError("not a page")

    monkeypatch.setattr(world.provider, "page", unreadable)
    world.sweep(FIRST_POLL_S)
    assert {world.record(record.id).state for record in records} == {State.STORING}


def test_an_unknown_create_is_given_up_though_the_list_was_never_readable() -> None:
    world = World()
    world.provider.answers = ["drop"]
    record = world.accept()
    world.provider.down = True
    for _ in range(52):
        world.sweep(60)
        world.settle()
    after = world.record(record.id)
    assert (after.state, after.code) == (State.FAILED, Code.OUTCOME_UNKNOWN)
    assert len(world.provider.creates) == 1


def test_a_provider_that_is_silent_is_asked_little_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    waiting = [world.accept() for _ in range(8)]
    stored = storing(world)
    asked: list[str] = []

    def silent(provider_id: str) -> Any:
        asked.append(provider_id)
        raise ProviderSilentError("time-out")

    monkeypatch.setattr(world.provider, "get", silent)
    before = {record.id: world.record(record.id) for record in waiting}
    tick = world.sweep(FIRST_POLL_S)
    assert len(asked) == SILENCES
    assert tick.left == len(waiting) - SILENCES
    assert len(world.persist_queue) == 1
    assert stored.id in {id_ for id_, _ in tick.taken}
    # Those that were not requested were not claimed, so the next tick handles them immediately.
    unclaimed = [r for r in waiting if world.record(r.id) == before[r.id]]
    assert len(unclaimed) == len(waiting) - SILENCES


def test_our_own_clocks_need_no_provider() -> None:
    world = World()
    records = [world.accept(cancel_after_s=60) for _ in range(SILENCES + 2)]
    world.provider.down = True
    world.sweep(FIRST_POLL_S)
    assert all(world.record(record.id).cancel_by_deadline for record in records)


@pytest.mark.parametrize("refused", ["get", "cancel"])
def test_a_prediction_that_nobody_can_read_ends_by_its_last_clock(
    monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    world = World()
    record, other = world.accept(cancel_after_s=600), world.accept(cancel_after_s=600)
    do = getattr(world.provider, refused)

    def unreadable(provider_id: str) -> Any:
        if provider_id == record.provider_id:
            raise ProviderUnavailableError("not a prediction")
        return do(provider_id)

    monkeypatch.setattr(world.provider, "get", unreadable)
    monkeypatch.setattr(world.provider, "cancel", unreadable)
    for _ in range(75):
        world.sweep(60)
        world.run_stream()
    assert world.record(other.id).state.terminal
    after = world.record(record.id)
    assert (after.state, after.code) == (State.FAILED, Code.PROVIDER_LOST)
    cancel = {"action": "cancel", "id": record.id, "provider_id": record.provider_id}
    assert cancel in world.dispatch_queue.take()


def test_a_status_that_nobody_documents_is_still_running() -> None:
    world = World()
    record = world.accept()
    world.provider.upstream[str(record.provider_id)]["status"] = "queued"
    world.sweep(FIRST_POLL_S)
    assert world.record(record.id).state is State.PROCESSING


def test_a_success_without_its_output_is_asked_for_by_its_id() -> None:
    world = World()
    records = [world.accept() for _ in range(LIST_FROM)]
    for record in records:
        world.provider.finish(str(record.provider_id))
    world.sweep(FIRST_POLL_S)
    assert {world.record(record.id).asked_again for record in records} == {True}
    world.provider.reads.clear()
    for record in records[1:]:
        world.succeed(str(record.provider_id))
    world.sweep(60)
    assert "list" not in world.provider.reads
    assert world.record(records[0].id).code is Code.OUTPUT_MISSING
    assert {world.record(record.id).state for record in records[1:]} == {State.STORING}


def test_the_list_is_judged_by_the_time_at_which_it_was_begun() -> None:
    """The create appears while the tick handles others, so that list's silence does not count."""
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    silent_at = record.create.until + int(world.timings.create_silence_s * 1000)
    page = world.provider.page

    def slowly(*asked: Any) -> Any:
        listed = page(*asked)
        world.clock.advance(40)
        return listed

    world.provider.page = slowly  # type: ignore[method-assign]
    world.clock.now = silent_at - 20_000
    world.sweep()
    assert world.clock.now > silent_at
    assert world.record(record.id).create.attempt == 1
    assert world.record(record.id).create.state is CreateState.UNKNOWN


# Shares


def test_one_tenants_crowd_does_not_come_before_anothers_only_one() -> None:
    world = World()
    crowd = [world.accept(tenant="crowd") for _ in range(9)]
    single = world.accept(tenant="single")
    tick = world.sweep(FIRST_POLL_S)
    taken = [id_ for id_, _ in tick.taken]
    assert len(taken) == len(crowd) + 1
    assert taken.index(single.id) <= 1


def test_a_kind_of_work_has_its_share_of_the_time_and_no_more() -> None:
    world = World()
    polled = [world.accept() for _ in range(3)]
    stored = [storing(world) for _ in range(40)]
    world.clock.advance(600)
    left = [PLENTY]

    def remaining() -> int:
        left[0] -= 1000
        return left[0]

    tick = world.sweep_service(remaining)
    assert tick.done["poll"] == len(polled)
    assert tick.done["storing"] < len(stored)
    assert tick.left == len(stored) - tick.done["storing"]


def test_adversarial_h7_sweeps_share_what_is_due_by_the_seconds_of_its_creation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("darkroom.services.predictions.sweep.AT_ONCE", 5)
    world = World()
    world.clock.advance(-(world.clock.now % 60_000) / 1000)
    quarters: list[set[str]] = []
    for _ in range(4):
        quarters.append({storing(world).id for _ in range(3)})
        world.clock.advance(15)
    world.clock.advance(600)
    for part, records in enumerate(quarters):
        tick = world.sweep_service(lambda: PLENTY, part=part, parts=4)
        # Records created together are on the same pages of the list, so one sweep reads them.
        assert {id_ for id_, _ in tick.taken} == records


def test_a_record_that_went_meanwhile_is_passed_over() -> None:
    world = World()
    record = storing(world)
    world.clock.advance(600)
    keys = world.store.due(world.clock.now, 10)
    del world.store.items[record.id]
    assert world.store.look(keys) == []


def test_a_tenant_with_more_than_a_tick_takes_up_hides_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("darkroom.services.predictions.sweep.LIMIT", 3)
    world = World()
    crowd = [world.accept(tenant="crowd").id for _ in range(5)]
    world.clock.advance(1)
    single = world.accept(tenant="single").id
    tick = world.sweep(FIRST_POLL_S)
    assert [id_ for id_, _ in tick.taken] == [crowd[0], single, crowd[1]]
    assert tick.left == 3


def test_many_fresh_creates_are_bound_by_the_pages_of_their_time() -> None:
    world = World()
    world.provider.answers = ["drop"] * 12
    ids = [world.accept().id for _ in range(12)]
    world.clock.advance(20)
    for _ in range(150):
        world.provider.make(model="x/y", version=None, input_={}, webhook="https://other.test/")
    world.sweep(FIRST_POLL_S)
    assert {world.record(id_).state for id_ in ids} == {State.SUBMITTED}
    # The 150 that others made later take two more pages.
    assert world.provider.reads == ["list"]


def test_a_create_that_was_sent_again_is_searched_for_everywhere() -> None:
    world = World()
    world.provider.answers = ["refuse"] * 12 + ["drop"] * 12
    ids = [world.accept().id for _ in range(12)]
    world.clock.advance(10)
    world.settle()
    assert len(world.provider.creates) == 24
    world.sweep(110)
    assert {world.record(id_).state for id_ in ids} == {State.SUBMITTED}
    assert len(world.provider.reads) > 1


def test_nothing_is_asked_of_the_provider_when_the_time_is_over() -> None:
    world = World()
    for _ in range(LIST_FROM):
        world.accept()
    world.clock.advance(FIRST_POLL_S)
    left = iter([PLENTY] * 4)
    tick = world.sweep_service(lambda: next(left, RESERVE_MS - 1))
    assert world.provider.reads == []
    assert tick.left + len(tick.taken) == LIST_FROM


@pytest.mark.parametrize("removed", [True, False])
def test_after_hours_without_us_the_provider_has_the_last_word(removed: bool) -> None:
    world = World()
    record = world.accept()
    world.succeed(str(record.provider_id))
    body = world.provider.upstream[str(record.provider_id)]
    if removed:
        body.update(output=None, data_removed=True)
    world.sweep(3 * 3600)
    after = world.record(record.id)
    if removed:
        assert (after.state, after.code) == (State.FAILED, Code.OUTPUT_EXPIRED)
    else:
        assert after.state is State.STORING


def test_a_record_that_another_sweep_has_claimed_is_left_alone() -> None:
    world = World()
    record = storing(world)
    world.clock.advance(600)
    (due,) = world.store.look(world.store.due(world.clock.now, 10))
    claimed: list[Any] = []
    look = world.store.look

    def claimed_meanwhile(keys: Any) -> Any:
        found = look(keys)
        if found:
            claimed.append(world.store.claim(due.key, world.clock.now + 60_000))
        return found

    world.store.look = claimed_meanwhile  # type: ignore[method-assign]
    assert world.sweep().taken == []
    assert [each.id for each in claimed] == [record.id]


def test_a_canceling_prediction_that_is_past_its_last_clock_needs_no_answer() -> None:
    world = World()
    records = [world.accept(cancel_after_s=60) for _ in range(SILENCES + 1)]

    def silent(_id: str) -> Any:
        raise ProviderSilentError("time-out")

    world.provider.cancel = silent  # type: ignore[method-assign]
    world.sweep(FIRST_POLL_S)
    world.sweep(3 * 3600)
    assert {world.record(r.id).code for r in records} == {Code.PROVIDER_LOST}


@pytest.mark.parametrize("succeeded", [True, False])
def test_after_hours_without_us_a_prediction_ends_as_the_provider_says(succeeded: bool) -> None:
    world = World()
    record = world.accept(cancel_after_s=60)
    if succeeded:
        world.succeed(str(record.provider_id))
    else:
        world.provider.finish(str(record.provider_id), "failed")
    world.sweep(3 * 3600)
    world.settle()
    ended = world.record(record.id)
    assert (ended.state, ended.code) == (
        (State.SUCCEEDED, None) if succeeded else (State.FAILED, Code.PROVIDER_FAILED)
    )


def test_after_hours_without_us_an_unknown_create_is_given_up() -> None:
    world = World()
    world.provider.answers = ["drop"]
    record = world.accept(cancel_after_s=60)
    world.provider.down = True
    world.sweep(3 * 3600)
    assert world.record(record.id).code is Code.OUTCOME_UNKNOWN
