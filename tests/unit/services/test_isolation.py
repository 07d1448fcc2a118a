"""One tenant's dead or slow endpoints delay no other tenant's callbacks and tasks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.proof.mutations_clients import CROWD_MUTANTS
from tests.support.simulated import Timeline
from tests.unit.services.neighbours import (
    KINDS,
    MANY,
    Crowd,
    bad_neighbour,
    hangs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Thousands of steps of the clock; other tests cover each branch.
pytestmark = pytest.mark.no_cover


ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def timeline() -> Iterator[Timeline]:
    with Timeline() as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_neighbour_delays_nobody(timeline: Timeline, kind: str) -> None:
    bad_neighbour(timeline, kind)


CAUGHT = """
from tests.proof import mutants
mutants.install({mutant!r})
from tests.support.simulated import Timeline
from tests.unit.services.neighbours import bad_neighbour
with Timeline() as timeline:
    try:
        bad_neighbour(timeline, {kind!r})
    except AssertionError:
        print("caught")
"""
SHOWS = {
    "tasks behind callbacks": "hangs",
    "no share for an endpoint": "is slow",
    "no share for a tenant": "hangs under a name for each",
    "a dead endpoint is called on": "fails at once",
}


@pytest.mark.parametrize("mutant", CROWD_MUTANTS)
def test_a_mutant_is_caught(mutant: str) -> None:
    code = CAUGHT.format(mutant=mutant, kind=SHOWS[mutant])
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'functions'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.returncode) == ("caught\n", 0), ran.stderr


def test_an_endpoint_that_is_well_again_gets_all_that_waited(timeline: Timeline) -> None:
    well_at = 600_000
    crowd = Crowd(timeline, lambda _: hangs("") if clock() - start < well_at else (0.1, 200))
    clock, start = crowd.world.clock, crowd.start
    ids = [crowd.end("bad", "https://bad.test/hook") for _ in range(MANY)]
    timeline.run(600 + 1500)
    rows = [crowd.world.deliveries.rows[id_, "completed"] for id_ in ids]
    assert {row.state for row in rows} == {"delivered"}
    # Waiting used no attempt.
    assert sum(row.attempts for row in rows) - MANY <= 60
    assert max(row.attempts for row in rows) <= 4
