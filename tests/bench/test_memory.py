"""No request body needs as much memory as the submit function has."""

from __future__ import annotations

import pytest
from darkroom.runtime.function import declared

from bench.memory import IDLE, bodies, measure


@pytest.fixture(scope="module")
def memory_mb() -> float:
    """Lambda's megabytes have 1024 * 1024 bytes."""
    return declared()["submit"].memory_mb * 1.048576


def test_the_bodies_that_ask_for_most_leave_a_quarter_of_it(memory_mb: float) -> None:
    """The rest is for Lambda's own runtime, and for other versions of Python."""
    taken = measure(bodies().items())
    assert {each.status for each in taken.values()} == {201, 413}
    assert taken[IDLE].peak_mb > 30, "or it is not the whole function that was measured"
    assert {name: each for name, each in taken.items() if each.peak_mb > 0.75 * memory_mb} == {}
