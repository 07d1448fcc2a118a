"""Random schedules from a seed: longer than any bound, and with more faults."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tests.proof.doubles import TURNS
from tests.proof.explore import BrokenError
from tests.proof.faults import RACED
from tests.proof.gate import phases
from tests.proof.requests import EVENTS
from tests.proof.webhooks import Step

if TYPE_CHECKING:
    from tests.proof.explore import Explorer
    from tests.proof.gate import Run
    from tests.proof.schedules import Trail


EAGER = frozenset({"relay", "run", "hook", "go", "grow", "ok"})


def random_walk(explorer: Explorer, seed: int, number: int) -> None:
    """Run so many random schedules."""
    for index in range(number):
        _Walk(explorer, Random(f"{seed}.{index}.{explorer.config}")).go()  # noqa: S311 - replayable


class _Walk:
    def __init__(self, explorer: Explorer, random: Random) -> None:
        self.explorer, self.random = explorer, random
        self.world, self.cloud = explorer.world, explorer.world.cloud
        self.left = random.randint(0, 6)
        """Faults that may still happen."""
        self.rate = random.choice((0.02, 0.08, 0.2))

    def go(self) -> None:
        self.cloud.load(self.explorer.start)
        self.cloud.gate.choose = self._fault
        trail: Trail = ()
        try:
            for _ in range(self.random.randint(6, 16)):
                trail = self._next(trail)
        except BrokenError:
            return
        finally:
            self.cloud.gate.choose = None
        self.explorer.found.schedules += 1
        self.explorer.finish(trail)

    def _next(self, trail: Trail) -> Trail:
        """Draw a step and take it; a violation is recorded with the faults that were drawn in
        it."""
        steps = self.world.enabled()
        name = self._drawn(steps)
        self.left -= steps.get(name, 0)
        gate = self.cloud.gate
        gate.drawn = {}
        run = self.explorer.step(Step(name), trail, gate.drawn)
        plan = run.plan if run else {}
        return (*trail, Step(name, tuple(sorted(plan.items()))))

    def _fault(self, _run: Run, site: str) -> str | None:
        random = self.random
        if self.left <= 0 or random.random() >= self.rate:
            return None
        self.left -= 1
        if site in RACED and random.random() < 0.4:
            racers = [name for name, cost in self.world.enabled().items() if not cost]
            names = random.choices([*racers, "rush", "sweep"], k=random.randint(1, 3))
            timeless = [n for n in names if n.partition(".")[0] not in {"next", "jump"}]
            return "nest=" + "+".join(timeless) if timeless else None
        return random.choice(phases(site))

    def _drawn(self, steps: dict[str, int]) -> str:
        random = self.random
        names = [name for name, cost in steps.items() if cost <= max(0, self.left) or not cost]
        count = len(self.cloud.submitted)
        if count < 3 and (not names or random.random() < 0.25):
            return f"submit.{count}"
        rare = self._rare() if random.random() < 0.08 else None
        if rare and self.world.can(rare):
            return rare
        if not names:
            return "next"
        # Pending work is preferred to clients and the clock, so that predictions make progress.
        eager = [name for name in names if name.partition(".")[0] in EAGER]
        return random.choice(eager if eager and random.random() < 0.6 else names)

    def _rare(self) -> str:
        """Return a step that no bounded search has."""
        kind = self.random.choice(("hostile", "retry", "rotate", "ask", "submit"))
        cloud = self.cloud
        if kind == "hostile" and cloud.upstream.ups:
            which = self.random.choice(("forge", "unlinked", "stray"))
            return f"{which}.{self.random.randrange(len(cloud.upstream.ups))}"
        if kind == "rotate" and cloud.secrets.turn < TURNS:
            return f"rotate.{cloud.secrets.turn}"
        direct = [number for number in cloud.submitted if number not in EVENTS]
        if kind == "retry" and direct:
            return f"retry.{self.random.choice(direct)}"
        if kind == "ask":
            return f"ask.{self.random.choice(list(EVENTS))}"
        return "submit.5"
