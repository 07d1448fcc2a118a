"""Parts of an exploration that a process can do by itself, as a plan names them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.proof.expiry import gone, outage
from tests.proof.explore import Explorer, Failure, Found
from tests.proof.gate import Violation
from tests.proof.lives import CACHED, LIVES, MONEY, ODD, RARE
from tests.proof.random_walk import random_walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.proof.config import Config

EVERY = LIVES | RARE | MONEY | CACHED | ODD
MOST_EXPLORERS = 8
_EXPLORERS: dict[Config, Explorer] = {}
"""Kept by a process: a state that was healed in one job need not be healed in the next."""


@dataclass(frozen=True, slots=True)
class Job:
    """A part to explore: life cycles by name; all orders (`depth`), from the start or after a life
    cycle; or random schedules (`seed`)."""

    config: Config
    lives: tuple[str, ...] = ()
    faults: int = 0
    depth: int = 0
    predictions: int = 0
    seed: int = 0
    number: int = 0

    @property
    def label(self) -> str:
        """The kind of job; jobs that run for all configurations are reported as one."""
        if self.depth:
            after = f", after: {self.lives[0]}" if self.lives else ""
            return (
                f"all orders to depth {self.depth}, {self.faults} faults, "
                f"{self.predictions} predictions{after}"
            )
        if self.lives:
            return f"lives with {self.faults} faults"
        return "expiry" if self.seed < 0 else "random"


@dataclass
class Done:
    """Result of a job."""

    job: Job
    found: Found
    complete: bool
    seconds: float = 0.0
    notes: dict[str, int] = field(default_factory=dict)


def work(job: Job, until: float, failures: int = 3) -> Done:
    """Do one job; `until` is on the clock that all processes of a machine share."""
    began = time.monotonic()
    if job.label == "expiry":
        done = _expiry(job)
    else:
        explorer = _explorer(job.config)
        explorer.begin(until, failures)
        explorer.run(lambda: _explore(explorer, job))
        explorer.rest()
        done = Done(job, explorer.found, complete=not explorer.cut_short)
    done.seconds = time.monotonic() - began
    return done


def _explorer(config: Config) -> Explorer:
    explorer = _EXPLORERS.pop(config, None) or Explorer(config)
    if len(_EXPLORERS) >= MOST_EXPLORERS:
        del _EXPLORERS[next(iter(_EXPLORERS))]
    _EXPLORERS[config] = explorer
    return explorer


def _explore(explorer: Explorer, job: Job) -> None:
    if job.depth:
        after = EVERY[job.lives[0]].split() if job.lives else ()
        explorer.breadth(job.depth, job.faults, job.predictions, after)
    elif job.lives:
        for name in job.lives:
            explorer.life(EVERY[name].split(), job.faults)
    else:
        random_walk(explorer, job.seed, job.number)


def _expiry(job: Job) -> Done:
    found, notes = Found(), {"kept": 0, "slowest_s": 0}
    runs: list[Callable[[], object]] = [
        lambda share=share: outage(job.number, share, job.config)  # type: ignore[misc]
        for share in (0.0, 0.2, 0.5, 1.0)
    ]
    runs += [lambda m=m: gone(m, job.config) for m in (45, 58, 61, 180)]  # type: ignore[misc]
    for run in runs:
        found.schedules += 1
        try:
            kept = run()
        except Violation as violation:
            found.failures.append(Failure(str(violation), f"expiry, {job.config}"))
            continue
        notes["kept"] += getattr(kept, "predictions", 0)
        notes["slowest_s"] = max(notes["slowest_s"], getattr(kept, "slowest_ms", 0) // 1000)
    return Done(job, found, complete=True, notes=notes)
