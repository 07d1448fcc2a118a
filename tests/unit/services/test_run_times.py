"""Run times: recording and showing, without failures or high costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from darkroom.domain.prediction import State
from darkroom.ports import RunTime
from darkroom.services.models.run_times import COLD_AFTER_MS, MOST_MODELS, RunTimes
from darkroom.services.predictions.persist import Persist
from darkroom.services.predictions.submit import NewPrediction

from tests.support.fakes import START, ContendedPredictions, FakeClock, FakeControls
from tests.support.records import accepted
from tests.support.world import SCHNELL, World, load_catalogue

SDXL = "stability-ai/sdxl"


class Counted(FakeControls):
    """Counts reads and fails on request."""

    reads = 0
    down = False

    def run_times(self) -> dict[str, RunTime]:
        self.reads += 1
        self._up()
        return super().run_times()

    def note_run_time(self, model: str, run_time: RunTime, drop: str | None = None) -> None:
        self._up()
        super().note_run_time(model, run_time, drop)

    def _up(self) -> None:
        if self.down:
            raise TimeoutError


def make(**seen: RunTime) -> tuple[RunTimes, Counted, FakeClock]:
    clock, controls = FakeClock(), Counted(seen={SDXL: seen["sdxl"]} if seen else {})
    return RunTimes(controls, clock), controls, clock


def ran(seconds: object = None, model: str = SDXL, **changes: Any) -> Any:
    metrics = None if seconds is None else {"predict_time": seconds}
    return accepted(state=State.SUCCEEDED, model=model, metrics=metrics, **changes)


def test_what_nobody_ran_takes_what_the_catalogue_says() -> None:
    run_times, _, _ = make()
    model = load_catalogue().model(SDXL)
    assert run_times.expected(model) == {"expected_seconds": model.typical_seconds, "cold": None}


def test_a_model_outside_the_catalogue_is_unknown_until_it_was_seen() -> None:
    run_times, _, clock = make()
    model = replace(load_catalogue().model(SDXL), model="some/body", price=None)
    assert run_times.expected(model) == {"expected_seconds": None, "cold": None}
    run_times.note(ran(3.25, model="some/body"))
    clock.advance(60)
    assert run_times.expected(model) == {"expected_seconds": 3.2, "cold": False}


@pytest.mark.parametrize(("ago", "cold"), [(0, False), (COLD_AFTER_MS, False), (600_001, True)])
def test_a_model_that_nobody_ran_for_ten_minutes_looks_cold(ago: int, cold: bool) -> None:
    run_times, _, _ = make(sdxl=RunTime(7000, START - ago))
    sdxl = load_catalogue().model(SDXL)
    assert run_times.expected(sdxl) == {"expected_seconds": 7.0, "cold": cold}


def test_an_official_model_is_never_cold() -> None:
    run_times, _, _ = make()
    assert run_times.expected(load_catalogue().model(SCHNELL))["cold"] is False


def test_it_is_read_once_a_minute_for_all_models() -> None:
    run_times, controls, clock = make()
    for name in load_catalogue().names():
        run_times.expected(load_catalogue().model(name))
    clock.advance(59.9)
    run_times.expected(load_catalogue().model(SDXL))
    assert controls.reads == 1
    clock.advance(0.1)
    run_times.expected(load_catalogue().model(SDXL))
    assert controls.reads == 2


def test_a_model_is_noted_once_a_minute() -> None:
    run_times, controls, clock = make()
    run_times.note(ran(4))
    clock.advance(59.9)
    run_times.note(ran(400))
    assert controls.seen == {SDXL: RunTime(4000, START)}
    run_times.note(ran(1, model="o/n"))
    assert set(controls.seen) == {SDXL, "o/n"}
    clock.advance(0.1)
    run_times.note(ran(9))
    assert controls.seen[SDXL] == RunTime(5000, START + 60_000)


def test_names_of_open_models_cannot_fill_the_row_of_all() -> None:
    run_times, controls, clock = make()
    run_times.note(ran(4))
    for number in range(MOST_MODELS + 50):
        clock.advance(0.001)
        run_times.note(ran(1, model=f"open/m{number}"))
    assert len(controls.seen) == MOST_MODELS
    assert list(controls.seen) == [f"open/m{number}" for number in range(50, MOST_MODELS + 50)]
    assert len(run_times._noted) <= MOST_MODELS
    clock.advance(60)
    # Meanwhile another process has stored one.
    controls.seen["open/late"] = RunTime(1, clock())
    run_times.note(ran(4))
    run_times.note(ran(2, model="open/m60"))
    assert len(controls.seen) == MOST_MODELS + 1
    assert {SDXL, "open/m60", "open/late"} < controls.seen.keys()
    assert "open/m50" not in controls.seen


@pytest.mark.parametrize(
    ("seconds", "average"), [(4.0, 4000), (9, 5000), (400, 6400), (0.01, 3400)]
)
def test_one_odd_run_moves_the_average_only_so_far(seconds: float, average: int) -> None:
    run_times, controls, _ = make(sdxl=RunTime(4000, START - 1))
    run_times.note(ran(seconds))
    assert controls.seen[SDXL].run_ms == average


def test_without_the_providers_measure_its_two_times_count() -> None:
    run_times, controls, _ = make()
    times = {"started_at": "2027-01-15T08:00:00Z", "completed_at": "2027-01-15T08:00:02.500Z"}
    run_times.note(ran(**times))
    assert controls.seen[SDXL].run_ms == 2500


@pytest.mark.parametrize("seconds", [None, True, "3", -1, 0, 1e9, []])
def test_what_is_no_run_time_is_not_noted(seconds: object) -> None:
    run_times, controls, _ = make()
    run_times.note(ran(seconds))
    run_times.note(ran(seconds, started_at="2027-01-15T08:00:00Z"))
    assert controls.seen == {}


def test_an_outage_costs_nothing_but_the_news() -> None:
    run_times, controls, clock = make(sdxl=RunTime(7000, START))
    controls.down = True
    sdxl = load_catalogue().model(SDXL)
    assert run_times.expected(sdxl)["expected_seconds"] == sdxl.typical_seconds
    run_times.note(ran(1))
    run_times.expected(sdxl)
    assert controls.reads == 1, "an outage is not asked about again before its minute is over"
    controls.down = False
    clock.advance(60)
    assert run_times.expected(sdxl)["expected_seconds"] == 7.0


def test_a_stored_prediction_is_noted_and_the_next_create_told() -> None:
    world = World()
    record = world.accept()
    world.provider.upstream[str(record.provider_id)]["metrics"] = {"predict_time": 0.8}
    world.succeed(str(record.provider_id))
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    assert world.controls.seen == {SCHNELL: RunTime(800, world.clock())}
    world.clock.advance(60)
    again = world.submit(NewPrediction(tenant="acme", reference=SCHNELL, input={"prompt": "x"}))
    assert again.expected == {"expected_seconds": 0.8, "cold": False}


def test_a_copy_that_another_persist_has_finished_is_noted_once() -> None:
    store = ContendedPredictions()
    world = World(store=store)
    record = world.accept()
    world.provider.upstream[str(record.provider_id)]["metrics"] = {"predict_time": 0.8}
    world.succeed(str(record.provider_id))
    world.webhook(record.id, str(record.provider_id))
    rival = Persist(world.changes, world.fetcher, world.outputs)

    def finish_first() -> None:
        world.clock.advance(1)
        rival(record.id)

    store.rivals = [finish_first]
    world.persist(record.id)
    assert world.record(record.id).state is State.SUCCEEDED
    assert world.controls.seen == {}
