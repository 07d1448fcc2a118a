"""A simulated clock for many threads: I/O takes time, and consumers compete.

Whoever waits on a `Timeline` is a thread, of which only one runs at any moment: it continues until
it waits, then the clock advances to the next event. A run is therefore deterministic, and an hour
takes a moment.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Self

from tests.support.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


class _Stopped(BaseException):
    """The timeline has ended; waiting threads unwind."""


class _Process:
    """One thread, which has the baton or waits for it. It does one piece of work after another."""

    def __init__(self) -> None:
        self.baton, self.returned = threading.Lock(), threading.Lock()
        self.baton.acquire()
        self.returned.acquire()
        self.work: Callable[[], object] | None = None
        self.failed: BaseException | None = None
        self.stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while self.failed is None:
                self.wait()
                self._one()
                self.returned.release()
        except _Stopped:
            pass

    def _one(self) -> None:
        try:
            if self.work:
                self.work()
        except _Stopped:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again where the timeline is run
            self.failed = error
        self.work = None

    def wait(self) -> None:
        """Wait for the baton."""
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
        """Unwind the thread."""
        self.stopped = True
        self.baton.release()
        self._thread.join()


@dataclass
class Timeline:
    """`with Timeline() as timeline`: schedule events, then run."""

    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self._coming: list[tuple[int, int, Callable[[], object]]] = []
        self._numbers = count()
        self._processes: list[_Process] = []
        self._idle: list[_Process] = []
        self._running: _Process | None = None
        self._end = self.clock.now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.end()

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Schedule a function, which may not sleep."""
        at = self.clock.now + max(0, round(seconds * 1000))
        heapq.heappush(self._coming, (at, next(self._numbers), do))

    def start(self, work: Callable[[], object]) -> None:
        """Start work in parallel, which may sleep."""
        if not self._idle:
            self._idle.append(_Process())
            self._processes.append(self._idle[-1])
        process = self._idle.pop()
        process.work = work
        self.after(0, lambda: self._go(process))

    def sleep(self, seconds: float) -> None:
        """Let others run until then. Only within work that was started here."""
        process = self._running
        assert process is not None
        at = self.clock.now + max(0, round(seconds * 1000))
        if at <= self._end and (not self._coming or at < self._coming[0][0]):
            # No other event precedes it, so no handover is needed.
            self.clock.now = at
            return
        self.after(seconds, lambda: self._go(process))
        process.returned.release()
        process.wait()

    @property
    def sleeps(self) -> bool:
        """Whether the running work may sleep."""
        return self._running is not None

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self._end = end = self.clock.now + int(seconds * 1000)
        while self._coming and self._coming[0][0] <= end:
            self.clock.now, _, do = heapq.heappop(self._coming)
            do()
        self.clock.now = end

    def _go(self, process: _Process) -> None:
        self._running = process
        process.go()
        self._running = None
        if process.work is None:
            self._idle.append(process)


@dataclass
class FirstComeQueue:
    """A queue and the consumers of its messages, without fairness between their senders, as in SQS
    while few messages are in flight."""

    timeline: Timeline
    consumers: int
    take: Callable[[dict[str, str]], object]
    """The consumer of a message; it may sleep."""
    sent: int = 0
    busy: int = 0
    _waiting: deque[dict[str, str]] = field(default_factory=deque)

    def send(self, message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        self.sent += 1
        self.timeline.after(min(delay_s, 900), lambda: self._show(dict(message)))

    def _show(self, message: dict[str, str]) -> None:
        self._waiting.append(message)
        if self.busy < self.consumers:
            self.busy += 1
            self.timeline.start(self._consume)

    def _consume(self) -> None:
        while self._waiting:
            self.take(self._waiting.popleft())
        self.busy -= 1
