"""Turns: of each kind of work a few at a time, the rest in line."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class _Lane:
    places: int = 1
    taken: int = 0
    grown_at: float = 0.0
    line: deque[threading.Event] = field(default_factory=deque)


class Turns:
    """A lane for each key, with a line in order of arrival. Nobody is ever sent away.

    A lane begins with one place. It gets another, up to `most`, whenever the first in its line has
    waited for `patience_s`: where turns are short, a place that costs something to open is worth
    less than the wait for one that is there. Lanes know nothing of each other, so that whoever has
    a turn may wait for the work of another lane.
    """

    def __init__(self, *, most: int, patience_s: float) -> None:
        self._most = most
        self._patience_s = patience_s
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Wait for a place in the lane of `key`, and keep it inside the `with`."""
        lane = self._enter(key)
        try:
            yield
        finally:
            self._leave(lane)

    def room(self, key: str) -> int:
        """How many it is of use to have in the lane: one beside its places makes it grow."""
        with self._lock:
            return min(self._lanes[key].places + 1, self._most)

    def waiting(self, key: str) -> int:
        """How many stand in line."""
        with self._lock:
            return len(self._lanes[key].line)

    def _enter(self, key: str) -> _Lane:
        called = threading.Event()
        with self._lock:
            lane = self._lanes[key]
            if lane.taken < lane.places:
                lane.taken += 1
                return lane
            lane.line.append(called)
        while not called.wait(self._patience_s):
            with self._lock:
                if lane.line and lane.line[0] is called and self._grows(lane):
                    lane.line.popleft()
                    lane.taken += 1
                    return lane
        return lane

    def _grows(self, lane: _Lane) -> bool:
        elapsed = time.monotonic() - lane.grown_at
        if lane.places == self._most or elapsed < self._patience_s:
            return False
        lane.places += 1
        lane.grown_at = time.monotonic()
        return True

    def _leave(self, lane: _Lane) -> None:
        with self._lock:
            if lane.line:
                lane.line.popleft().set()  # the place is handed on, never free in between
            else:
                lane.taken -= 1
