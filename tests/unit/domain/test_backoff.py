from __future__ import annotations

import pytest
from darkroom.domain.backoff import Backoff


@pytest.mark.parametrize(("failures", "pause_s"), [(0, 2), (1, 4), (4, 32), (5, 60), (10**6, 60)])
def test_a_pause_doubles_up_to_the_longest(failures: int, pause_s: float) -> None:
    assert Backoff(2, 60).pause_s(failures) == pause_s


@pytest.mark.parametrize(("chance", "pause_s"), [(0.0, 5), (0.5, 7.5), (0.999, 9.995)])
def test_chance_takes_a_share_of_the_pause(chance: float, pause_s: float) -> None:
    assert Backoff(10, least=0.5).pause_s(0, chance) == pytest.approx(pause_s)


def test_a_pause_that_was_asked_for_is_never_undercut() -> None:
    backoff = Backoff(1, 10, most=1.25)
    assert backoff.pause_s(3, at_least_s=60) == 60
    assert backoff.pause_s(3, at_least_s=2) == 8


def test_no_number_of_failures_is_too_large() -> None:
    assert Backoff(1, factor=1.5).pause_s(10**9) == 1.5**20
