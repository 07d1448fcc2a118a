"""Cancel and deadlines: the request is durable, and the provider's answer decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from darkroom.domain.errors import ConflictError, NotFoundError, ProviderUnavailableError
from darkroom.domain.lifecycle import CancelRequested
from darkroom.domain.prediction import Code, State
from darkroom.ports import Answered

from tests.support.world import World


def bound(world: World, state: str = "submitted") -> tuple[str, str]:
    """Return the ids of a prediction in the given state, ours and the provider's."""
    record = world.accept(cancel_after_s=600)
    provider_id = str(record.provider_id)
    if state == "processing":
        world.provider.upstream[provider_id]["status"] = "processing"
        world.webhook(record.id, provider_id)
    elif state == "storing":
        world.succeed(provider_id)
        world.webhook(record.id, provider_id)
    elif state in {"failed", "canceled", "aborted"}:
        world.provider.finish(provider_id, state)
        world.webhook(record.id, provider_id)
    elif state == "succeeded":
        world.succeed(provider_id)
        world.webhook(record.id, provider_id)
        world.settle()
    world.run_stream()
    assert world.record(record.id).state == state
    return record.id, provider_id


@pytest.mark.parametrize("state", ["submitted", "processing"])
def test_oracles_f7_a_running_prediction_is_cancelled_upstream_and_that_is_no_error(
    state: str,
) -> None:
    world = World()
    id_, provider_id = bound(world, state)
    record = world.cancel("acme", id_)
    assert (record.state, record.code) == (State.CANCELED, Code.CANCELED)
    assert record.error is None
    assert world.provider.cancels == [provider_id]
    world.settle()
    assert world.provider.cancels == [provider_id]


@pytest.mark.parametrize("state", ["storing", "succeeded", "failed", "canceled", "aborted"])
def test_a_cancel_that_comes_too_late_changes_nothing(state: str) -> None:
    world = World()
    id_, _ = bound(world, state)
    before = world.record(id_)
    assert world.cancel("acme", id_) == before
    assert world.record(id_) == before
    assert world.provider.cancels == []


def test_what_was_never_sent_is_cancelled_at_once() -> None:
    world = World()
    world.provider.answers = ["refuse"]
    record = world.accept()
    assert world.cancel("acme", record.id).state is State.CANCELED
    assert world.provider.cancels == []
    world.clock.advance(60)
    world.settle()
    assert len(world.provider.creates) == 1


def test_a_cancel_of_an_unknown_create_waits_until_it_is_found() -> None:
    world = World()
    world.provider.answers = ["drop"]
    record = world.accept()
    waiting = world.cancel("acme", record.id)
    assert waiting.state is State.ACCEPTED
    assert waiting.cancel_requested_at is not None
    (provider_id,) = world.provider.upstream
    world.sweep(20)
    world.settle()
    after = world.record(record.id)
    assert (after.provider_id, after.state) == (provider_id, State.CANCELED)
    assert world.provider.cancels == [provider_id]


def test_a_cancel_before_the_creates_answer_is_sent_upstream_by_the_stream() -> None:
    world = World()
    world.provider.answers = ["drop"]
    record = world.accept()
    world.cancel("acme", record.id)
    (provider_id,) = world.provider.upstream
    world.webhook(record.id, provider_id)
    assert world.provider.cancels == []
    world.settle()
    assert world.provider.cancels == [provider_id]
    assert world.record(record.id).state is State.CANCELED


def test_a_cancel_of_a_create_proven_absent_ends_it() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    world.cancel("acme", record.id)
    world.sweep(200)
    after = world.record(record.id)
    assert (after.state, after.code) == (State.CANCELED, Code.CANCELED)
    world.settle()
    assert len(world.provider.creates) == 1


def test_a_cancelled_create_that_is_refused_ends_it() -> None:
    world = World()
    world.provider.answers = ["refuse", "hang"]
    record = world.accept()
    world.clock.advance(30)
    world.dispatch.create_upstream(record.id)
    world.cancel("acme", record.id)
    assert world.record(record.id).state is State.ACCEPTED
    world.sweep(400)
    assert world.record(record.id).state is State.CANCELED


def test_an_outage_keeps_the_wish_and_the_sweep_asks_again() -> None:
    world = World()
    id_, provider_id = bound(world)
    world.provider.down = True
    record = world.cancel("acme", id_)
    assert record.state is State.SUBMITTED
    assert record.cancel_requested_at is not None
    world.store.stream.clear()
    world.sweep(20)
    assert world.record(id_).state is State.SUBMITTED
    world.provider.down = False
    world.sweep(61)
    assert world.record(id_).state is State.CANCELED
    assert world.provider.cancels == [provider_id]


def test_a_second_wish_keeps_the_first() -> None:
    world = World()
    id_, _ = bound(world)
    world.provider.down = True
    first = world.cancel("acme", id_).cancel_requested_at
    world.clock.advance(5)
    assert world.cancel("acme", id_).cancel_requested_at == first


def test_a_wish_that_came_too_late_is_not_told_again() -> None:
    world = World()
    id_, provider_id = bound(world)
    world.provider.down = True
    world.cancel("acme", id_)
    world.provider.down = False
    world.succeed(provider_id)
    world.webhook(id_, provider_id)
    assert world.cancel("acme", id_).state is State.STORING
    assert world.provider.cancels == []


def test_what_succeeded_in_spite_of_the_cancel_is_stored() -> None:
    world = World()
    id_, provider_id = bound(world)
    world.succeed(provider_id)
    assert world.cancel("acme", id_).state is State.STORING
    world.settle()
    assert world.record(id_).state is State.SUCCEEDED


def test_a_prediction_that_the_provider_does_not_know_is_asked_for_again() -> None:
    world = World()
    id_, provider_id = bound(world)
    del world.provider.upstream[provider_id]
    record = world.cancel("acme", id_)
    assert record.state is State.SUBMITTED
    assert record.due_at == world.clock.now + 15_000
    world.sweep(15)
    for _ in range(11):
        world.sweep(300)
    assert world.record(id_).state is State.SUBMITTED
    world.sweep(300)
    after = world.record(id_)
    assert (after.state, after.code) == (State.FAILED, Code.PROVIDER_LOST)


@pytest.mark.parametrize("tenant", ["other", ""])
def test_another_tenants_prediction_is_unknown(tenant: str) -> None:
    world = World()
    id_, _ = bound(world)
    with pytest.raises(NotFoundError):
        world.cancel(tenant, id_)
    assert world.record(id_).cancel_requested_at is None
    assert world.provider.cancels == []


def test_a_dispatched_cancel_is_for_the_records_own_or_an_extra_one_only() -> None:
    world = World()
    id_, _ = bound(world)
    world.dispatch.cancel_upstream(id_, "somebody-elses")
    assert world.provider.cancels == []


def test_a_dispatched_cancel_in_an_outage_is_left_to_the_queue() -> None:
    world = World()
    id_, provider_id = bound(world)
    world.provider.down = True
    world.cancel("acme", id_)
    with pytest.raises(ProviderUnavailableError):
        world.dispatch.cancel_upstream(id_, provider_id)


def test_a_dispatched_cancel_of_what_the_provider_lost_is_noted() -> None:
    world = World()
    id_, provider_id = bound(world)
    world.provider.down = True
    world.cancel("acme", id_)
    world.provider.down = False
    del world.provider.upstream[provider_id]
    world.clock.advance(5)
    world.dispatch.cancel_upstream(id_, provider_id)
    assert world.record(id_).next_cancel_at == world.clock.now + 15_000


def test_an_extra_prediction_that_is_not_known_yet_is_left_to_the_queue() -> None:
    world = World()
    id_, _ = bound(world)
    record = replace(world.record(id_), extra_provider_ids=("late",), revision=3)
    world.store.commit(record)
    with pytest.raises(ProviderUnavailableError):
        world.dispatch.cancel_upstream(id_, "late")


def test_a_record_that_vanished_is_a_conflict() -> None:
    world = World()
    id_, _ = bound(world)
    record = world.record(id_)
    world.store.items.clear()
    with pytest.raises(ConflictError):
        world.changes.apply(record, CancelRequested())


# Deadlines


@pytest.mark.parametrize("state", ["submitted", "processing"])
def test_past_its_deadline_a_prediction_is_cancelled_upstream(state: str) -> None:
    world = World()
    id_, provider_id = bound(world, state)
    world.provider.hidden = {provider_id}
    while world.clock.now < world.record(id_).deadline:
        world.sweep(60)
    record = world.record(id_)
    assert (record.state, record.code) == (State.CANCELED, Code.DEADLINE_EXCEEDED)
    assert record.error == "The deadline passed before it was done."
    assert world.provider.cancels == [provider_id]


def test_the_providers_own_deadline_is_ours() -> None:
    world = World()
    id_, _ = bound(world, "aborted")
    record = world.record(id_)
    assert (record.state, record.code) == (State.ABORTED, Code.DEADLINE_EXCEEDED)
    assert record.error == "The deadline passed before it started."
    assert world.shown(record)["status"] == "canceled"


def test_a_cancel_upstream_by_nobody_after_the_deadline_is_the_deadlines() -> None:
    world = World()
    record = world.accept(cancel_after_s=60)
    world.clock.advance(61)
    world.provider.finish(str(record.provider_id), "canceled")
    world.webhook(record.id, str(record.provider_id))
    assert world.record(record.id).code is Code.DEADLINE_EXCEEDED


def test_a_cancel_upstream_by_an_operator_is_a_cancel() -> None:
    world = World()
    id_, _ = bound(world, "canceled")
    assert world.record(id_).code is Code.CANCELED


def test_the_deadline_is_retried_while_the_provider_is_down() -> None:
    world = World()
    id_, _ = bound(world)
    world.provider.down = True
    world.sweep(601)
    assert world.record(id_).cancel_by_deadline
    world.provider.down = False
    world.sweep(61)
    assert world.record(id_).code is Code.DEADLINE_EXCEEDED


def test_no_deadline_ends_an_unknown_create() -> None:
    world = World()
    world.provider.answers = ["hang"]
    world.provider.list_complete = False
    record = world.accept(cancel_after_s=10)
    for _ in range(20):
        world.sweep(60)
        assert world.record(record.id).state is State.ACCEPTED


def test_an_unknown_create_proven_absent_past_its_deadline_ends() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept(cancel_after_s=10)
    world.sweep(200)
    after = world.record(record.id)
    assert (after.state, after.code) == (State.ABORTED, Code.DEADLINE_EXCEEDED)
    assert after.error == "The deadline passed before it started."


def test_a_refused_create_ends_at_its_deadline_without_a_call() -> None:
    world = World()
    world.provider.answers = [Answered(429, None, 600)]
    record = world.accept(cancel_after_s=30)
    world.sweep(29)
    assert world.record(record.id).state is State.ACCEPTED
    world.sweep(1)
    assert world.record(record.id).state is State.ABORTED
    assert len(world.provider.creates) == 1
    assert world.provider.reads == []


def test_a_deadline_does_not_touch_what_is_being_stored() -> None:
    world = World()
    id_, _ = bound(world, "storing")
    world.clock.advance(601)
    world.settle()
    world.sweep()
    assert world.record(id_).state is State.SUCCEEDED
