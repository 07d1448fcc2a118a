"""A clock on which many wait at once: I/O takes time, and consumers stand in each other's way.

Whoever runs on a `Timeline` is a thread, and only one of them runs at any moment: it goes on until
it waits, then the clock moves to the next that is due. So a run is the same each time, and an hour
of it takes a moment.
"""

from __future__ import annotations

import heapq
import threading
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


class _Stopped(BaseException):
    """The timeline is over: whoever still waits on it unwinds."""


class _Process:
    """One thread, which has the baton or waits for it."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.baton, self.returned = threading.Semaphore(0), threading.Semaphore(0)
        self.failed: BaseException | None = None
        self.stopped = False
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.wait()
            self._work()
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again where the timeline is run
            self.failed = error
        self.returned.release()

    def wait(self) -> None:
        """Until the baton comes back."""
        self.baton.acquire()
        if self.stopped:
            raise _Stopped

    def go(self) -> None:
        """Hand over the baton, and take it back when the thread waits or ends."""
        self.baton.release()
        self.returned.acquire()
        if self.failed:
            raise self.failed

    def end(self) -> None:
        """Unwind it."""
        self.stopped = True
        self.baton.release()
        self._thread.join()


@dataclass
class Timeline:
    """`with Timeline() as timeline`: start processes, then run."""

    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self._due: list[tuple[int, int, _Process]] = []
        self._numbers = count()
        self._processes: list[_Process] = []
        self._now: _Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.end()

    def start(self, work: Callable[[], object], after_s: float = 0.0) -> None:
        """Run `work` from then on, beside all others."""
        process = _Process(work)
        self._processes.append(process)
        self._push(process, after_s)

    def sleep(self, seconds: float) -> None:
        """Let the others go on until then. Only for what was started here."""
        process = self._now
        assert process is not None
        self._push(process, seconds)
        process.returned.release()
        process.wait()

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.clock.now + int(seconds * 1000)
        while self._due and self._due[0][0] <= end:
            at, _, self._now = heapq.heappop(self._due)
            self.clock.now = max(self.clock.now, at)
            self._now.go()
        self.clock.now = end

    def _push(self, process: _Process, seconds: float) -> None:
        at = self.clock.now + max(0, round(seconds * 1000))
        heapq.heappush(self._due, (at, next(self._numbers), process))


class Slow:
    """A port whose every call takes so long, before it does anything."""

    def __init__(self, port: Any, timeline: Timeline, seconds: float) -> None:
        self._port, self._timeline, self._seconds = port, timeline, seconds

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value):
            return value

        def call(*args: Any, **named: Any) -> Any:
            self._timeline.sleep(self._seconds)
            return value(*args, **named)

        return call


@dataclass
class FirstComeQueue:
    """A queue without any fairness, as SQS's are below some thirty messages in flight."""

    clock: FakeClock
    _waiting: list[tuple[int, int, dict[str, str]]] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)

    def send(self, message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        at = self.clock.now + 1000 * min(delay_s, 900)
        heapq.heappush(self._waiting, (at, next(self._numbers), dict(message)))

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> dict[str, str] | None:
        """The message that has been visible for longest."""
        if not self._waiting or self._waiting[0][0] > self.clock.now:
            return None
        return heapq.heappop(self._waiting)[2]
