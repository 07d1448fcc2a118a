"""Pieces of an exploration that a process can do on its own, and the plans made of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.proof.cloud import Config
from tests.proof.expiry import gone, outage
from tests.proof.explore import ALL, Explorer, Failure, Found
from tests.proof.gate import Violation
from tests.proof.lives import LIVES, RARE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLAIN, DEDICATED, LATE, HARD = (
    Config(echo=True),
    Config(dedicated=True),
    Config(echo=True, late=True, deaf=True),
    Config(dedicated=True, late=True, lag=True),
)
BLIND = Config()
"""No echo, no account of our own: webhooks alone tie a create to its record."""
FEW = (PLAIN, BLIND, LATE, HARD)
STEADY = "ten polls"
"""Long and alike throughout: faults in it are left to long runs."""
USUAL = tuple(name for name in LIVES | RARE if name != STEADY)
FOCUS = {
    DEDICATED: ("alike", "a webhook binds"),
    Config(echo=True, late=True): ("comes after its end", "unknown, comes late"),
}
"""The configurations that say most about some lives."""
_EXPLORERS: dict[Config, Explorer] = {}
"""A process keeps them: a state that was healed in one job need not be healed in the next."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to explore: a life by name, all orders (`depth`), or random schedules (`seed`)."""

    config: Config
    lives: tuple[str, ...] = ()
    faults: int = 0
    depth: int = 0
    predictions: int = 0
    seed: int = 0
    number: int = 0

    @property
    def label(self) -> str:
        """The kind of job: what was done for all configurations alike is told as one."""
        if self.depth:
            return (
                f"all orders to depth {self.depth}, {self.faults} faults, "
                f"{self.predictions} predictions"
            )
        if self.lives:
            return f"lives with {self.faults} faults"
        return "expiry" if self.seed < 0 else "random"


@dataclass
class Done:
    """A job's end."""

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
        explorer = _EXPLORERS.setdefault(job.config, Explorer(job.config))
        explorer.begin(until, failures)
        explorer.run(lambda: _explore(explorer, job))
        done = Done(job, explorer.found, complete=not explorer.cut_short)
    done.seconds = time.monotonic() - began
    return done


def _explore(explorer: Explorer, job: Job) -> None:
    if job.depth:
        explorer.breadth(job.depth, job.faults, job.predictions)
    elif job.lives:
        for name in job.lives:
            explorer.life((LIVES | RARE)[name].split(), job.faults)
    else:
        explorer.random(job.seed, job.number)


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


def hunt() -> Iterator[Job]:
    """Quick ones first: what a mutant has to get past. Also the first part of every run."""
    for config in (*FEW, DEDICATED):
        yield Job(config, lives=USUAL)
    for config, names in FOCUS.items():
        yield Job(config, lives=names, faults=1)
    others = [name for name in USUAL if all(name not in names for names in FOCUS.values())]
    for part in range(3):
        yield Job(PLAIN, lives=tuple(others[part::3]), faults=1)


def slice_jobs(seed: int) -> list[Job]:
    """What `make test` runs."""
    jobs = list(hunt())
    jobs += [Job(config, seed=-1, number=seed) for config in (PLAIN, BLIND)]
    jobs += [Job(config, depth=2, faults=1, predictions=2) for config in FEW]
    jobs += [Job(config, seed=seed, number=60) for config in FEW]
    return jobs


def full_jobs(seed: int) -> Iterator[Job]:
    """What `make proof` runs: bounds that grow, then random schedules without end."""
    yield from slice_jobs(seed)
    yield from (Job(config, seed=-1, number=seed + 1) for config in ALL if not config.deaf)
    yield Job(PLAIN, lives=(STEADY,))
    for config in ALL:
        yield Job(config, lives=USUAL, faults=1)
    for depth, faults, predictions, configs in (
        (2, 2, 2, ALL),
        (3, 1, 3, ALL),
        (3, 2, 2, ALL),
        (3, 3, 2, ALL),
        (4, 1, 2, ALL),
        (5, 1, 1, FEW),
        (4, 2, 2, FEW),
        (5, 3, 1, (PLAIN,)),
        (5, 3, 2, ALL),
    ):
        for config in configs:
            yield Job(config, depth=depth, faults=faults, predictions=predictions)
            # Random schedules run along: they see what no bound reaches.
            seed += 1
            yield Job(ALL[seed % len(ALL)], seed=seed, number=300)
    while True:
        seed += 1
        yield Job(ALL[seed % len(ALL)], seed=seed, number=1000)
