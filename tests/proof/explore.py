"""The schedules that are run: life cycles with a fault at every I/O, and all orders within
bounds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.proof.faults import faulty_steps
from tests.proof.gate import Violation
from tests.proof.heal import heal
from tests.proof.schedules import schedule
from tests.proof.steps import World
from tests.proof.webhooks import Step
from tests.proof.wired import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.proof.config import Config
    from tests.proof.gate import Run
    from tests.proof.schedules import Trail
    from tests.proof.webhooks import Plan

MOST_HEALED = 1_000_000
"""Maximum keys of healed states per process, some 100 bytes each."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A violated invariant, and the schedule that violates it."""

    what: str
    schedule: str


@dataclass
class Found:
    """Result of an exploration."""

    schedules: int = 0
    states: int = 0
    failures: list[Failure] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)
    hit: set[tuple[str, str, str]] = field(default_factory=set)
    allowed: dict[str, int] = field(default_factory=dict)

    def add(self, other: Found) -> None:
        self.schedules += other.schedules
        self.states += other.states
        self.failures += other.failures
        self.seen |= other.seen
        self.hit |= other.hit
        for what, number in other.allowed.items():
            self.allowed[what] = self.allowed.get(what, 0) + number


class BrokenError(Exception):
    """This branch ended in a violation, which is recorded."""


class EnoughError(Exception):
    """The time is up, or there are enough failures."""


class Explorer:
    """The worlds of one configuration. A state that was healed once is not healed again."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.world = World(config)
        self.healed: set[bytes] = set()
        self.start = self.world.cloud.save()
        self.begin()

    def begin(self, until: float = float("inf"), failures: int = 1) -> None:
        """Reset the counts, but keep the known healed states."""
        gate = self.world.cloud.gate
        gate.seen, gate.hit = set(), set()
        self.world.invariants.allowed = {}
        self.found = Found(seen=gate.seen, hit=gate.hit)
        self.found.allowed = self.world.invariants.allowed
        self.until, self.most_failures = until, failures
        self.cut_short = False
        if len(self.healed) > MOST_HEALED:
            self.healed.clear()

    def rest(self) -> None:
        """Release memory while other processes work."""
        self.world.cloud.store.forget()

    def run(self, explore: Callable[[], None]) -> Found:
        """Explore until done, out of time, or at the limit of failures."""
        with installed(self.world.cloud):
            try:
                explore()
            except EnoughError:
                self.cut_short = True
        return self.found

    def step(self, step: Step, trail: Trail, drawn: Plan | None = None) -> Run | None:
        """Take one step, or record its violation and raise BrokenError.

        `drawn` receives faults as they are drawn; they belong to the recorded step.
        """
        if time.monotonic() > self.until:
            raise EnoughError
        try:
            return self.world.step(step)
        except Violation as violation:
            plan = tuple(sorted(drawn.items())) if drawn else step.plan
            self.failed(violation, (*trail, replace(step, plan=plan)))
            raise BrokenError from None

    def failed(self, violation: Violation, trail: Trail) -> None:
        self.world.busy.clear()
        self.world.cloud.gate.runs.clear()
        self.found.failures.append(Failure(str(violation), schedule(self.config, trail)))
        if len(self.found.failures) >= self.most_failures:
            raise EnoughError

    def finish(self, trail: Trail, key: bytes | None = None) -> None:
        try:
            heal(self.world, self.healed, key)
        except Violation as violation:
            self.failed(violation, trail)

    # Life cycles

    def life(self, steps: Iterable[str], faults: int) -> None:
        """Run one life cycle with up to so many faults, each at any I/O of it and of every kind."""
        self.world.cloud.load(self.start)
        self._live(tuple(steps), 0, faults, (), set())

    def _live(
        self,
        steps: tuple[str, ...],
        at: int,
        faults: int,
        trail: Trail,
        known: set[tuple[int, bytes]],
    ) -> None:
        cloud = self.world.cloud
        while at < len(steps):
            step = Step.read(steps[at])
            at += 1
            if not self.world.can(step.name):
                continue
            before = cloud.save()
            try:
                run = self.step(step, trail)
            except BrokenError:
                return
            after = cloud.save()
            if faults:
                for faulty in faulty_steps(step, run, every=True):
                    cloud.load(before)
                    self._branch(steps, at, faults - 1, trail, faulty, known)
            cloud.load(after)
            trail = (*trail, step)
        self.found.schedules += 1
        self.finish(trail)

    def _branch(
        self,
        steps: tuple[str, ...],
        at: int,
        faults: int,
        trail: Trail,
        faulty: Step,
        known: set[tuple[int, bytes]],
    ) -> None:
        try:
            self.step(faulty, trail)
        except BrokenError:
            return
        # The number of remaining steps represents the progress of the life cycle.
        key = (faults * 100 + len(steps) - at, self.world.cloud.key())
        if key in known:
            self.found.schedules += 1
            return
        known.add(key)
        self._live(steps, at, faults, (*trail, faulty), known)

    # All orders

    def breadth(self, depth: int, faults: int, predictions: int, after: Iterable[str] = ()) -> None:
        """Run all orders of steps up to a depth, with equal states merged. Complete unless it
        raises.

        `after` is a life cycle that is run first, unchanged.
        """
        cloud = self.world.cloud
        cloud.load(self.start)
        begun: Trail = ()
        for step in map(Step.read, after):
            if self.world.can(step.name):
                self.step(step, begun)
                begun = (*begun, step)
        known = {cloud.key(): 0}
        frontier: list[tuple[tuple[object, ...], int, Trail]] = [(cloud.save(), 0, begun)]
        for level in range(depth):
            last = level == depth - 1
            coming: list[tuple[tuple[object, ...], int, Trail]] = []
            for saved, used, trail in frontier:
                for step, cost in self._choices(saved, trail, faults - used, predictions):
                    self.world.cloud.load(saved)
                    try:
                        self.step(step, trail)
                    except BrokenError:
                        continue
                    self.found.schedules += 1
                    key = self.world.cloud.key()
                    if known.get(key, faults + 1) <= used + cost:
                        continue
                    known[key] = used + cost
                    reached = self.world.cloud.save()
                    self.finish((*trail, step), key)
                    if not last:
                        coming.append((reached, used + cost, (*trail, step)))
            self.found.states += len(coming)
            frontier = coming

    def _choices(
        self, saved: tuple[object, ...], trail: Trail, faults: int, predictions: int
    ) -> Iterator[tuple[Step, int]]:
        """Yield every step from a state, plain and with each single fault."""
        cloud = self.world.cloud
        cloud.load(saved)
        steps = self.world.enabled()
        if len(cloud.submitted) < predictions:
            steps = {f"submit.{len(cloud.submitted)}": 0, **steps}
        for name, cost in steps.items():
            if cost > faults:
                continue
            yield Step(name), cost
            if faults > cost:
                cloud.load(saved)
                try:
                    run = self.step(Step(name), trail)
                except BrokenError:
                    continue
                for faulty in faulty_steps(Step(name), run, every=False):
                    yield faulty, cost + 1
