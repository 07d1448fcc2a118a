"""A slice of the load test: every scenario at a small scale, and mutants that only load reveals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scale.mutations import MUTANTS
from tests.scale.run import AGREE, COMPARED, Result, Runs, near
from tests.scale.scenarios import SCENARIOS

# All of it runs within the first test's fixture.
pytestmark = pytest.mark.timeout(1800)
NAMES = [each.name for each in SCENARIOS]


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """Run all scenarios and mutants, each in a separate process."""
    asked = {each.name: (n, each.slice, "") for n, each in enumerate(SCENARIOS)}
    asked |= {
        name: (NAMES.index(mutant.scenario), mutant.scale, name) for name, mutant in MUTANTS.items()
    }
    return dict(zip(asked, Runs().all(list(asked.values()), short=True), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_goal_is_met_at_a_small_scale(results: dict[str, Result], name: str) -> None:
    assert results[name].missed == []


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_misses_a_goal(results: dict[str, Result], name: str) -> None:
    assert results[name].figures, "it did not run"
    assert results[name].missed


def test_what_is_above_its_goal_is_told() -> None:
    scenario = SCENARIOS[0]
    figures: dict[str, float] = dict.fromkeys((goal.figure for goal in scenario.goals), 0)
    assert Result(scenario, 1, {**figures, "predictions": 1}).missed == []
    late = Result(replace(scenario), 1, {**figures, "predictions": 1, "age_s": 200})
    assert late.missed == ["age_s is 200, at most 180"]
    assert Result(scenario, 1, {}).missed == ["did not run"]


def test_runs_agree_within_a_tenth_of_what_each_figure_may_be() -> None:
    whole = dict.fromkeys(COMPARED, 100.0)
    for name, most in COMPARED.items():
        tenth = AGREE * (most or 100)
        assert near(name, {name: 100 + tenth}, whole)
        assert not near(name, {name: 100 - 1.1 * tenth}, whole)
    assert not near("age_s", {}, whole)
