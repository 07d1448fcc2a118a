"""A few pieces of work of each kind at a time, the others queued."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from local.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOREVER = 600.0


@dataclass
class Crowd:
    """Threads that take a turn, report it, and keep it until they are released."""

    turns: Turns
    pool: ThreadPoolExecutor
    began: list[int] = field(default_factory=list)
    most: int = 0
    open_place: Callable[[], object] = dict
    _inside: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def send(self, *numbers: int) -> None:
        """Start them in this order: each is queued, or has begun, before the next one starts."""
        for number in numbers:
            come = self.turns.waiting("a") + len(self.began)
            self.pool.submit(self._come, number)
            until(lambda come=come: self.turns.waiting("a") + len(self.began) > come)

    def let_go(self, count: int) -> None:
        self._go.release(count)

    def _come(self, number: int) -> None:
        with self.turns.turn("a", self.open_place):
            with self._lock:
                self._inside += 1
                self.most = max(self.most, self._inside)
                self.began.append(number)
            self._go.acquire()
            with self._lock:
                self._inside -= 1


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@contextlib.contextmanager
def crowd(turns: Turns) -> Iterator[Crowd]:
    with ThreadPoolExecutor(16) as pool:
        come = Crowd(turns, pool)
        try:
            yield come
        finally:
            come.let_go(100)


def test_newcomer_bug_2_a_burst_waits_in_order_of_arrival() -> None:
    with crowd(Turns(most=4, patience_s=FOREVER)) as come:
        come.send(*range(12))
        assert (come.began, come.turns.waiting("a")) == ([0], 11)
        come.let_go(3)
        until(lambda: len(come.began) == 4)
    assert come.began == list(range(12))
    assert come.most == 1


@pytest.mark.parametrize("most", [1, 2, 4])
def test_newcomer_bug_2_a_lane_grows_while_its_first_waits_and_has_an_end(most: int) -> None:
    with crowd(Turns(most=most, patience_s=0.01)) as come:
        come.send(*range(12))
        until(lambda: len(come.began) == most)
        assert come.turns.waiting("a") == 12 - most
    assert sorted(come.began) == list(range(12))
    assert come.most == most


def test_newcomer_bug_2_a_place_is_opened_aside_and_one_at_a_time() -> None:
    opened, ready = threading.Semaphore(0), threading.Event()
    with crowd(Turns(most=4, patience_s=0.01)) as come:
        come.open_place = lambda: [opened.release(), ready.wait()]
        come.send(*range(4))
        opened.acquire()
        come.let_go(1)
        until(lambda: len(come.began) == 2)  # It did not wait for the new place.
        assert not opened.acquire(blocking=False)
        ready.set()
    assert sorted(come.began) == [0, 1, 2, 3]


def test_a_place_that_cannot_be_opened_is_none_and_the_line_goes_on() -> None:
    failed = threading.Semaphore(0)

    def fail() -> None:
        failed.release()
        raise OSError

    with crowd(Turns(most=4, patience_s=0.01)) as come:
        come.open_place = fail
        come.send(*range(4))
        for _ in range(3):  # Repeatedly, since a failure may be repaired.
            failed.acquire()
        assert come.began == [0]
    assert come.began == [0, 1, 2, 3]
    assert come.most == 1


def test_whoever_has_a_turn_may_wait_for_another_lane() -> None:
    turns = Turns(most=1, patience_s=FOREVER)
    with turns.turn("a", dict), turns.turn("b", dict):
        assert turns.waiting("a") == turns.waiting("b") == 0


def test_a_failure_gives_its_place_back() -> None:
    turns = Turns(most=1, patience_s=FOREVER)
    with pytest.raises(ZeroDivisionError), turns.turn("a", dict):
        raise ZeroDivisionError
    with turns.turn("a", dict):
        pass


def test_there_is_room_for_one_that_makes_a_lane_grow() -> None:
    assert [Turns(most=most, patience_s=FOREVER).room("a") for most in (1, 2, 4)] == [1, 2, 2]
