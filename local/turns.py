"""Turns: limits how much work of each kind runs concurrently; the rest waits in line."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class _Lane:
    places: int = 1
    taken: int = 0
    opening: bool = False
    line: deque[threading.Event] = field(default_factory=deque)


class Turns:
    """A lane for each key, with a line in order of arrival. No request is ever rejected.

    A lane begins with one place. It gets another, up to `most`, when the first in its line has
    waited for `patience_s`: if turns are short, waiting for an existing place is cheaper than
    opening a new one. Lanes are independent, so the holder of a turn may wait for the work of
    another lane.
    """

    patience_s: float
    """May be changed at any time, when the cost of opening a place changes."""

    def __init__(self, *, most: int, patience_s: float) -> None:
        self.patience_s = patience_s
        self._most = most
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self, key: str, open_place: Callable[[], object]) -> Iterator[None]:
        """Wait for a place in the lane of `key`, and keep it inside the `with` block.

        `open_place` prepares another place in the background; the waiter takes a place that becomes
        free sooner. If it raises, the place is not opened.
        """
        lane = self._enter(key, open_place)
        try:
            yield
        finally:
            self._leave(lane)

    def room(self, key: str) -> int:
        """Return the useful number of waiters in the lane; one more than its places makes it
        grow."""
        with self._lock:
            return min(self._lanes[key].places + 1, self._most)

    def waiting(self, key: str) -> int:
        """Return the number of waiters in line."""
        with self._lock:
            return len(self._lanes[key].line)

    def _enter(self, key: str, open_place: Callable[[], object]) -> _Lane:
        called = threading.Event()
        with self._lock:
            lane = self._lanes[key]
            if lane.taken < lane.places:
                lane.taken += 1
                return lane
            lane.line.append(called)
        while not called.wait(self.patience_s):
            with self._lock:
                first = bool(lane.line) and lane.line[0] is called
                grows = first and not lane.opening and lane.places < self._most
                lane.opening = lane.opening or grows
            if grows:
                threading.Thread(target=self._open, args=(lane, open_place), daemon=True).start()
        return lane

    def _open(self, lane: _Lane, open_place: Callable[[], object]) -> None:
        opened = False
        with contextlib.suppress(Exception):  # the next turn meets the same error
            open_place()
            opened = True
        with self._lock:
            lane.opening = False
            if opened:
                lane.places += 1
                lane.taken += 1
        if opened:
            self._leave(lane)

    def _leave(self, lane: _Lane) -> None:
        with self._lock:
            if lane.line:
                lane.line.popleft().set()  # handed over directly, never free in between
            else:
                lane.taken -= 1
