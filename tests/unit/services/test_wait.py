"""Waiting: its reads, what counts as a change, and its timeouts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from darkroom.services.doors.wait import Wait, moments

from tests.support.world import World

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction


def waiter(world: World, seen: list[Prediction] | None = None) -> Wait:
    noted: list[Prediction] = [] if seen is None else seen
    return Wait(world.store, world.clock, world.pass_time, noted.append)


def change(world: World, id_: str) -> None:
    record = world.record(id_)
    world.store.commit(replace(record, revision=record.revision + 1, logs=record.logs + "x"))


def end(world: World, record: Prediction) -> None:
    world.succeed(str(record.provider_id))
    world.webhook(record.id, str(record.provider_id))
    world.settle()


@pytest.mark.parametrize(
    ("seconds", "looks"),
    [
        (1, [0.3, 0.5, 0.8, 1]),
        (2, [0.3, 0.5, 0.8, 1.2, 2]),
        (5, [0.3, 0.5, 0.8, 1.2, 2.7, 4.2, 5]),
    ],
)
def test_a_short_wait_looks_at_its_end(seconds: int, looks: list[float]) -> None:
    assert moments(seconds) == pytest.approx(looks)


def test_no_wait_has_more_than_19_looks() -> None:
    counts = [len(moments(seconds)) for seconds in range(1, 26)]
    assert max(counts) == counts[-1] == 19
    assert moments(25)[-1] == pytest.approx(23.7)


def test_a_wait_without_news_lasts_as_long_as_it_was_asked_to() -> None:
    world = World()
    record, began = world.accept(), world.clock()
    seen: list[Prediction] = []
    assert waiter(world, seen)(record, 25, None) == record
    assert world.clock() - began == 25_000
    assert max(world.naps) <= 1.5
    assert len(seen) == 20, "each reading is one of a client that polls"


def test_the_end_is_news_to_all() -> None:
    world = World()
    record = world.accept()
    world.meanwhile[4] = lambda: end(world, record)
    began = world.clock()
    found = waiter(world)(record, 25, None)
    assert found.state.terminal
    assert world.clock() - began == 2_700
    assert waiter(world)(found, 25, found.revision) == found
    assert world.clock() - began == 2_700, "nothing comes after it"


def test_another_revision_is_news_to_who_names_one() -> None:
    world = World()
    record = world.accept()
    world.meanwhile[1] = lambda: change(world, record.id)
    began = world.clock()
    assert waiter(world)(record, 25, record.revision).revision == record.revision + 1
    assert world.clock() - began == 500


def test_a_change_is_no_news_to_who_waits_for_the_end() -> None:
    world = World()
    record = world.accept()
    world.meanwhile[0] = lambda: change(world, record.id)
    began = world.clock()
    assert waiter(world)(record, 2, None).revision == record.revision + 1
    assert world.clock() - began == 2_000


@pytest.mark.parametrize("known", [0, 99])
def test_a_revision_that_is_not_the_records_is_answered_at_once(known: int) -> None:
    world = World()
    record = world.accept()
    assert waiter(world)(record, 25, known) == record
    assert world.naps == []


def test_a_read_that_is_behind_is_passed_over() -> None:
    """The reads are eventually consistent, so one may show an older revision."""
    world = World()
    record = world.accept()
    change(world, record.id)
    now = world.record(record.id)
    world.store.lagging = True
    assert waiter(world)(now, 1, now.revision) == now
    world.store.before[record.id] = None
    assert waiter(world)(now, 1, now.revision) == now


def test_a_clock_that_is_set_back_prolongs_no_nap() -> None:
    world = World()
    record = world.accept()
    world.meanwhile[0] = lambda: world.clock.advance(-10)
    waiter(world)(record, 1, None)
    assert max(world.naps) <= 1.5


def test_a_clock_that_is_set_forward_ends_the_wait() -> None:
    world = World()
    record = world.accept()
    world.meanwhile[0] = lambda: world.clock.advance(60)
    waiter(world)(record, 25, None)
    assert world.naps == [0.3]
