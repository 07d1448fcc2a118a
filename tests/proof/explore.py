"""Which schedules are run: lives with a fault at every I/O, all orders in bounds, random ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import TYPE_CHECKING

from tests.proof.cloud import Config
from tests.proof.faults import RACED, faulty_steps
from tests.proof.gate import Run, Violation, phases
from tests.proof.heal import heal
from tests.proof.schedules import Trail, schedule
from tests.proof.steps import World
from tests.proof.webhooks import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_HEALED = 2_000_000
"""Keys of healed states that a process remembers, some 100 bytes each."""
ALL = tuple(Config(*flags) for flags in product((True, False), repeat=5))


@dataclass(frozen=True, slots=True)
class Failure:
    """A broken promise, and the schedule that breaks it."""

    what: str
    schedule: str


@dataclass
class Found:
    """What an exploration did."""

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


class Enough(Exception):
    """The time is up, or there are failures enough."""


class Explorer:
    """One configuration's worlds. A state that was healed once is not healed again."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.world = World(config)
        self.healed: set[bytes] = set()
        self.start = self.world.cloud.save()
        self.begin()

    def begin(self, until: float = float("inf"), failures: int = 1) -> None:
        """Count anew, keeping what is known of healed states."""
        gate = self.world.cloud.gate
        gate.seen, gate.hit = set(), set()
        self.world.invariants.allowed = {}
        self.found = Found(seen=gate.seen, hit=gate.hit)
        self.found.allowed = self.world.invariants.allowed
        self.until, self.most_failures = until, failures
        self.cut_short = False
        if len(self.healed) > MOST_HEALED:
            self.healed.clear()

    def run(self, explore: Callable[[], None]) -> Found:
        """Explore until done, out of time, or failed often enough."""
        with self.world.cloud.installed():
            try:
                explore()
            except Enough:
                self.cut_short = True
        return self.found

    def _step(self, step: Step, trail: Trail) -> Run | None:
        """Take one step, or note its violation and raise _Broken."""
        if time.monotonic() > self.until:
            raise Enough
        try:
            return self.world.step(step)
        except Violation as violation:
            self._failed(violation, (*trail, step))
            raise _Broken from None

    def _failed(self, violation: Violation, trail: Trail) -> None:
        self.world.busy.clear()
        self.world.cloud.gate.runs.clear()
        self.found.failures.append(Failure(str(violation), schedule(self.config, trail)))
        if len(self.found.failures) >= self.most_failures:
            raise Enough

    def finish(self, trail: Trail) -> None:
        try:
            heal(self.world, self.healed)
        except Violation as violation:
            self._failed(violation, trail)

    # Lives

    def life(self, steps: Iterable[str], faults: int) -> None:
        """One life, with up to so many faults, each at any I/O of it and of every kind."""
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
                run = self._step(step, trail)
            except _Broken:
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
            self._step(faulty, trail)
        except _Broken:
            return
        # The number of steps left stands for how far the life is.
        key = (faults * 100 + len(steps) - at, self.world.cloud.key())
        if key in known:
            self.found.schedules += 1
            return
        known.add(key)
        self._live(steps, at, faults, (*trail, faulty), known)

    # All orders

    def breadth(self, depth: int, faults: int, predictions: int) -> None:
        """All orders of steps up to a depth, equal states merged. Complete unless it raises."""
        known = {self.start_key(): 0}
        frontier: list[tuple[tuple[object, ...], int, Trail]] = [(self.start, 0, ())]
        for level in range(depth):
            last = level == depth - 1
            coming: list[tuple[tuple[object, ...], int, Trail]] = []
            for saved, used, trail in frontier:
                for step, cost in self._choices(saved, trail, faults - used, predictions):
                    self.world.cloud.load(saved)
                    try:
                        self._step(step, trail)
                    except _Broken:
                        continue
                    self.found.schedules += 1
                    key = self.world.cloud.key()
                    if known.get(key, faults + 1) <= used + cost:
                        continue
                    known[key] = used + cost
                    reached = self.world.cloud.save()
                    self.finish((*trail, step))
                    if not last:
                        coming.append((reached, used + cost, (*trail, step)))
            self.found.states += len(coming)
            frontier = coming

    def start_key(self) -> bytes:
        self.world.cloud.load(self.start)
        return self.world.cloud.key()

    def _choices(
        self, saved: tuple[object, ...], trail: Trail, faults: int, predictions: int
    ) -> Iterator[tuple[Step, int]]:
        """Every step from a state, plain and with each single fault in it."""
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
                    run = self._step(Step(name), trail)
                except _Broken:
                    continue
                for faulty in faulty_steps(Step(name), run, every=False):
                    yield faulty, cost + 1

    # At random

    def random(self, seed: int, number: int) -> None:
        """So many random schedules: longer ones, with more faults."""
        for index in range(number):
            self._wander(Random(f"{seed}.{index}.{self.config}"))  # noqa: S311 - replayable

    def _wander(self, random: Random) -> None:
        cloud = self.world.cloud
        cloud.load(self.start)
        left = random.randint(0, 6)
        rate = random.choice((0.02, 0.08, 0.2))

        def choose(_run: Run, site: str) -> str | None:
            nonlocal left
            if left <= 0 or random.random() >= rate:
                return None
            left -= 1
            if site in RACED and random.random() < 0.4:
                racers = [name for name, cost in self.world.enabled().items() if not cost]
                names = random.choices([*racers, "rush", "sweep"], k=random.randint(1, 3))
                timeless = [n for n in names if n.partition(".")[0] not in {"next", "jump"}]
                return "nest=" + "+".join(timeless) if timeless else None
            return random.choice(phases(site))

        cloud.gate.choose = choose
        trail: Trail = ()
        try:
            for _ in range(random.randint(6, 16)):
                name = self._drawn(random, left)
                if self.world.steps_cost.get(name):
                    left -= 1
                plan: dict[int, str] = {}
                run = self._step_drawn(name, plan, trail)
                faults = tuple(sorted((run.plan if run else plan).items()))
                trail = (*trail, Step(name, faults))
        except _Broken:
            return
        finally:
            cloud.gate.choose = None
        self.found.schedules += 1
        self.finish(trail)

    def _step_drawn(self, name: str, plan: dict[int, str], trail: Trail) -> Run | None:
        """As _step, but a violation is noted with the faults that were drawn meanwhile."""
        if time.monotonic() > self.until:
            raise Enough
        gate = self.world.cloud.gate
        gate.drawn = {}
        try:
            return self.world.step(Step(name))
        except Violation as violation:
            drawn = tuple(sorted(gate.drawn.items()))
            self._failed(violation, (*trail, Step(name, drawn)))
            raise _Broken from None

    def _drawn(self, random: Random, left: int) -> str:
        steps = self.world.enabled()
        self.world.steps_cost = steps
        names = [name for name, cost in steps.items() if cost <= max(0, left) or not cost]
        count = len(self.world.cloud.submitted)
        if count < 3 and (not names or random.random() < 0.25):
            return f"submit.{count}"
        if self.world.cloud.upstream.ups and random.random() < 0.03:
            number = random.randrange(len(self.world.cloud.upstream.ups))
            hostile = f"{random.choice(('forge', 'unlinked', 'stray'))}.{number}"
            if self.world.can(hostile):
                return hostile
        if not names:
            return "next"
        # Work that waits comes before clients and the clock: or nothing would ever get far.
        eager = [n for n in names if n.partition(".")[0] in {"relay", "run", "hook", "go", "ok"}]
        return random.choice(eager if eager and random.random() < 0.6 else names)


class _Broken(Exception):
    """This branch ended in a violation, which is noted."""
