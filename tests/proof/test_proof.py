"""The slice of the proof that every test run does, and every mutant that it must catch."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.proof import schedules
from tests.proof.config import Config
from tests.proof.expiry import removed
from tests.proof.explore import Explorer
from tests.proof.gate import Violation
from tests.proof.mutations import MUTANTS
from tests.proof.quiescence import settled_down
from tests.proof.random_walk import random_walk
from tests.proof.report import PROCESSES, hunt_mutant, known_schedules, run_slice
from tests.proof.steps import World
from tests.proof.webhooks import Step
from tests.proof.wired import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

Hunts = dict[str, "Future[tuple[bool, str]]"]


@pytest.fixture(scope="module")
def hunts() -> Iterator[Hunts]:
    """Run all hunts, each in a separate process, as many at once as there are cores."""
    known = known_schedules()
    with ThreadPoolExecutor(PROCESSES) as pool:
        yield {name: pool.submit(hunt_mutant, name, known.get(name)) for name in MUTANTS}


def test_slice_holds() -> None:
    summary = run_slice(mutants=())
    assert [f"{f.what}: {f.schedule}" for f in summary.found.failures] == []
    assert summary.unvisited == []
    assert summary.cut_short == {}
    assert summary.found.schedules > 3000


@pytest.mark.parametrize("name", list(MUTANTS))
def test_mutant_is_caught(name: str, hunts: Hunts) -> None:
    caught, how = hunts[name].result()
    assert caught, how


def test_what_catches_a_mutant_breaks_no_promise_without_it() -> None:
    known = known_schedules()
    assert known.keys() <= MUTANTS.keys()
    broken = {name: schedules.replay(text, lambda _: None) for name, text in known.items()}
    assert {name: what for name, what in broken.items() if what} == {}


def test_schedule_survives_being_written_down() -> None:
    text = "echo=exact-late/submit.0~late@provider.create/run.p.0~nest=hook.0+sweep@3~timeout@5"
    assert schedules.schedule(*schedules.read_schedule(text)) == text


def test_replay_tells_of_a_violation() -> None:
    said: list[str] = []
    assert schedules.replay("echo=exact/submit.0/go.0/hook.0", said.append) is None
    assert any("provider.create" in line for line in said)


def test_random_schedule_replays_to_the_same_state() -> None:
    explorer = Explorer(Config(echo="exact"))
    seen: list[tuple[schedules.Trail, bytes]] = []

    def note(trail: schedules.Trail, _key: bytes | None = None) -> None:
        seen.append((trail, explorer.world.cloud.key()))

    explorer.finish = note  # type: ignore[assignment, method-assign]
    explorer.run(lambda: random_walk(explorer, 7, 20))
    assert len(seen) == 20
    for trail, key in seen:
        world = World(explorer.config)
        with installed(world.cloud):
            for step in trail:
                world.step(step)
            assert world.cloud.key() == key


def test_a_lost_record_is_a_violation() -> None:
    world = World(Config(echo="exact"))
    with installed(world.cloud):
        world.step(Step("submit.0"))
        world.cloud.store.items.clear()
        with pytest.raises(Violation, match="I1"):
            settled_down(world.invariants)


def test_what_is_removed_at_the_end_of_its_time_stays_gone() -> None:
    world = removed(Config(echo="exact"))
    assert world.cloud.outputs.objects


@pytest.mark.parametrize(
    "way",
    [
        "hook.0~conflict@store.commit/hook.0",
        "jump.135/sweep~conflict@store.claim",
        "hook.0/hook.0/relay.0/relay.0/run.p.0/relay.0~conflict@store.mark_effects_done",
    ],
)
def test_a_write_may_meet_others_transactions(way: str) -> None:
    said: list[str] = []
    assert schedules.replay(f"echo=exact/submit.0/go.0/ok.0/{way}", said.append) is None
    assert any(line.endswith(" conflict") for line in said)
