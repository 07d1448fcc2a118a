"""Pieces of an exploration that a process can do on its own, and the plans made of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from tests.proof.config import Config
from tests.proof.expiry import gone, outage
from tests.proof.explore import Explorer, Failure, Found
from tests.proof.gate import Violation
from tests.proof.lives import CACHED, LIVES, MONEY, RARE
from tests.proof.wander import wander

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALL = tuple(
    Config(echo=echo, dedicated=dedicated, late=late, lag=lag, deaf=deaf)
    for echo in ("exact", "none")
    for dedicated, late, lag, deaf in product((True, False), repeat=4)
)
"""Every kind of provider, for a tenant with limits that it never meets."""
PURSES: tuple[dict[str, Any], ...] = (
    {"free": True},
    {"tight": True},
    {"cache": True},
    {"tight": True, "cache": True},
)
VARIED = tuple(replace(config, **PURSES[n % len(PURSES)]) for n, config in enumerate(ALL))
"""The same for other tenants and stages: random schedules run in all 64."""
PLAIN, DEDICATED, LATE, HARD = (
    Config(echo="exact"),
    Config(dedicated=True),
    Config(echo="exact", late=True, deaf=True),
    Config(dedicated=True, late=True, lag=True),
)
BLIND = Config(free=True)
"""No echo, no account of our own: webhooks alone tie a create to its record."""
POOR, CACHE = Config(echo="exact", late=True, tight=True), Config(echo="exact", cache=True)
FEW = (PLAIN, BLIND, LATE, HARD)
STEADY = "ten polls"
"""Long and alike throughout: faults in it are left to long runs."""
EVERY = LIVES | RARE | MONEY | CACHED
USUAL = tuple(name for name in LIVES | RARE if name != STEADY)
FOCUS = {
    DEDICATED: ("alike", "a webhook binds"),
    Config(echo="exact", late=True): ("comes after its end", "unknown, comes late"),
    POOR: tuple(MONEY),
    CACHE: tuple(CACHED),
}
"""The configurations that say most about some lives."""
AFTER = {CACHE: "stored", POOR: "unknown, comes late"}
"""Where it takes long to get to: a result that is cached, a create that comes late."""
MAIN = (PLAIN,)
BOUNDS: tuple[tuple[int, int, int, tuple[Config, ...]], ...] = (
    (5, 3, 1, MAIN),
    (4, 2, 2, MAIN),
    (2, 2, 2, (*ALL, POOR, CACHE, BLIND)),
    (3, 1, 3, ALL),
    (5, 3, 1, (BLIND, DEDICATED, LATE, HARD, POOR, CACHE)),
    (3, 2, 2, ALL),
    (4, 2, 2, (BLIND, DEDICATED, LATE, HARD, POOR, CACHE)),
    (5, 2, 2, MAIN),
    (5, 3, 1, ALL),
    (4, 2, 2, ALL),
    (5, 3, 2, ALL),
)
"""Depth, faults, predictions, and in which configurations: the dearest first, so that both
processes are busy with them at once."""
MOST_EXPLORERS = 8
_EXPLORERS: dict[Config, Explorer] = {}
"""A process keeps them: a state that was healed in one job need not be healed in the next."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to explore: lives by name, all orders (`depth`), from the start or after a life, or
    random schedules (`seed`)."""

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
        wander(explorer, job.seed, job.number)


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
    """What `make proof` runs: bounds that grow, then random schedules without end.

    One job is one configuration: a state that was reached before is known to it alone.
    """
    yield from slice_jobs(seed)
    yield Job(PLAIN, lives=(STEADY,))
    for config, name in AFTER.items():
        yield Job(config, lives=(name,), depth=4, faults=2, predictions=2)
    for depth, faults, predictions, configs in BOUNDS:
        for config in configs:
            yield Job(config, depth=depth, faults=faults, predictions=predictions)
            # Random schedules run along: they see what no bound reaches.
            seed += 1
            yield Job(_drawn(seed), seed=seed, number=300)
        if (depth, predictions) == (4, 2) and configs is MAIN:
            yield from (Job(config, seed=-1, number=seed + 1) for config in ALL if not config.deaf)
            for config in (*ALL, POOR, CACHE, BLIND):
                yield Job(config, lives=USUAL, faults=1)
    while True:
        seed += 1
        yield Job(_drawn(seed), seed=seed, number=1000)


def _drawn(seed: int) -> Config:
    return (*ALL, *VARIED)[seed * 7 % (len(ALL) + len(VARIED))]
