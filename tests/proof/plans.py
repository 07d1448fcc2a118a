"""The explored jobs, their configurations and their order, for the slice and for the full proof."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any

from tests.proof.config import Config
from tests.proof.jobs import Job
from tests.proof.lives import CACHED, LIVES, MONEY, ODD, RARE

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = tuple(
    Config(echo=echo, dedicated=dedicated, late=late, lag=lag, deaf=deaf)
    for echo in ("exact", "none")
    for dedicated, late, lag, deaf in product((True, False), repeat=4)
)
"""Every kind of provider that shows values as they are, for a tenant with limits that it never
reaches."""
TENANT_VARIANTS: tuple[dict[str, Any], ...] = (
    {"free": True},
    {"tight": True},
    {"cache": True},
    {"tight": True, "cache": True},
)
VARIED = tuple(
    replace(config, **TENANT_VARIANTS[n % len(TENANT_VARIANTS)]) for n, config in enumerate(ALL)
)
"""The same for other tenants and stages."""
PLAIN, DEDICATED, LATE, LATE_AND_LAGGING = (
    Config(echo="exact"),
    Config(dedicated=True),
    Config(echo="exact", late=True, deaf=True),
    Config(dedicated=True, late=True, lag=True),
)
NO_ECHO = Config(free=True)
"""No echo and no dedicated account, so only webhooks link a create to its record."""
LOW_CAP, CACHE = Config(echo="exact", late=True, tight=True), Config(echo="exact", cache=True)
BASIC = (PLAIN, NO_ECHO, LATE, LATE_AND_LAGGING)
FIVE = tuple(
    map(
        Config.read,
        (
            "deaf-show_input=urls",
            "deaf-show_version=hidden",
            "echo=bare-deaf",
            "echo=exact-deaf-blip-patient",
            "deaf-item=junk",
        ),
    )
)
"""All orders to depth 3 with 2 faults in every run, to depth 4 in one of hours."""
ODDITIES = (
    *FIVE,
    *map(
        Config.read,
        (
            "deaf-show_input=known-status_word=queued",
            "deaf-show_input=rounded-listing=short",
            "deaf-show_input=trimmed-metrics=text-price=second",
            "deaf-show_input=masked-listing=old",
            "dedicated-late-deaf-show_input=empty",
            "deaf-show_version=internal-metrics=none-price=second",
            "echo=cased-deaf-clocks=slow",
            "echo=encoded-deaf-clocks=fast-among=last",
            "echo=exact-late-clocks=apart",
            "echo=exact-body=deep-grows",
            "deaf-body=surrogate-completed_at=ancient",
            "echo=exact-body=nan-completed_at=none-price=second",
            "echo=exact-body=doubled-completed_at=future",
            "deaf-body=digits-completed_at=text",
            "echo=exact-body=size",
            "echo=exact-deaf-item=deep",
            "deaf-item=abyss",
            "deaf-listing=down",
            "output=null-mends",
            "deaf-output=empty",
            "deaf-output=absent-mends",
            "output=text",
            "deaf-metrics=bare-price=second",
            "metrics=large-price=second",
            "metrics=negative-price=second",
            "metrics=endless-price=second",
            "deaf-refused-patient",
            "price=megapixel-surplus",
            "free-price=none",
            "echo=exact-deaf-among=next",
            "echo=exact-stays=get",
            "echo=exact-deaf-stays=item",
            "stays=endpoint",
            "echo=exact-stays=row",
        ),
    ),
)
"""Every kind of deviation, some combined."""
LONG_POLLING = "ten polls"
"""Long and uniform, so faults in it are left to long runs."""
USUAL = tuple(name for name in LIVES | RARE | ODD if name != LONG_POLLING)
FOCUS = {
    DEDICATED: ("alike", "a webhook binds"),
    Config(echo="exact", late=True): ("comes after its end", "unknown, comes late"),
    LOW_CAP: tuple(MONEY),
    CACHE: tuple(CACHED),
}
"""The most relevant configurations of some life cycles."""
AFTER = {CACHE: "stored", LOW_CAP: "unknown, comes late"}
"""Prefixes for states that take long to reach: a cached result, a create that takes effect late."""
MAIN = (PLAIN,)
BOUNDS: tuple[tuple[int, int, int, tuple[Config, ...]], ...] = (
    (5, 3, 1, MAIN),
    (4, 2, 2, MAIN),
    (2, 2, 2, (*ODDITIES, *ALL, LOW_CAP, CACHE, NO_ECHO)),
    (3, 1, 3, ALL),
    (3, 1, 2, ODDITIES),
    (5, 3, 1, (NO_ECHO, DEDICATED, LATE, LATE_AND_LAGGING, LOW_CAP, CACHE)),
    (3, 2, 2, (*ODDITIES, *ALL)),
    (4, 2, 2, (NO_ECHO, DEDICATED, LATE, LATE_AND_LAGGING, LOW_CAP, CACHE)),
    (5, 2, 2, MAIN),
    (5, 3, 1, ALL),
    (4, 2, 2, (*ODDITIES, *ALL)),
    (5, 3, 2, ALL),
)
"""Depth, faults, predictions, and the configurations; the most expensive first, so that both
processes are busy at the same time."""
LONG_S = 5400
"""Duration of a run from which FIVE is explored to depth 4."""


def hunt(where: str = "") -> Iterator[Job]:
    """Yield quick jobs first: those that a mutant must pass, and the first part of every run.

    `where` is a configuration to begin with.
    """
    if where:
        config = Config.read(where)
        yield Job(config, lives=(*USUAL, LONG_POLLING))
        yield Job(config, depth=2, faults=1, predictions=2)
    for config in (*BASIC, DEDICATED):
        yield Job(config, lives=USUAL)
    for config, names in FOCUS.items():
        yield Job(config, lives=names, faults=1)
    others = [name for name in USUAL if all(name not in names for names in FOCUS.values())]
    for part in range(3):
        yield Job(PLAIN, lives=tuple(others[part::3]), faults=1)


def slice_jobs(seed: int) -> list[Job]:
    """Return the jobs of `make test`."""
    jobs, bounded = list(hunt()), (*BASIC, LOW_CAP, CACHE, *ODDITIES)
    jobs += [Job(config, lives=USUAL) for config in ODDITIES]
    jobs += [Job(config, lives=(LONG_POLLING,)) for config in ODDITIES if config.listing == "down"]
    jobs += [Job(config, depth=2, faults=1, predictions=2) for config in bounded]
    jobs += [Job(config, seed=-1, number=seed) for config in (PLAIN, NO_ECHO)]
    jobs += [Job(config, seed=seed, number=60) for config in BASIC]
    return jobs


def full_jobs(seed: int, seconds: float) -> Iterator[Job]:
    """Yield the jobs of `make proof`: the slice, growing bounds, then random schedules without end.

    One job has one configuration, because it alone knows the states that were reached.
    """
    yield from slice_jobs(seed)
    # First the jobs that every run must complete.
    yield from (Job(config, depth=3, faults=2, predictions=2) for config in FIVE)
    yield Job(PLAIN, lives=(LONG_POLLING,))
    for config, name in AFTER.items():
        yield Job(config, lives=(name,), depth=4, faults=2, predictions=2)
    if seconds >= LONG_S:
        yield from (Job(config, depth=4, faults=2, predictions=2) for config in FIVE)
    for depth, faults, predictions, configs in BOUNDS:
        for config in configs:
            yield Job(config, depth=depth, faults=faults, predictions=predictions)
            # Random schedules in between, because they reach states beyond all bounds.
            seed += 1
            yield Job(_drawn(seed), seed=seed, number=300)
        if (depth, predictions) == (4, 2) and configs is MAIN:
            yield from (Job(config, seed=-1, number=seed + 1) for config in ALL if not config.deaf)
            for config in (*ODDITIES, *ALL, LOW_CAP, CACHE, NO_ECHO):
                yield Job(config, lives=USUAL, faults=1)
    while True:
        seed += 1
        yield Job(_drawn(seed), seed=seed, number=1000)


def _drawn(seed: int) -> Config:
    """Return a random configuration: further deviations added to one of ALL and VARIED."""
    random = Random(seed)  # noqa: S311 - replayable
    base = random.choice((*ALL, *VARIED))
    odd = {
        f.name: value
        for config in random.sample(ODDITIES, random.choice((0, 1, 1, 2)))
        for f in fields(Config)
        if (value := getattr(config, f.name)) != f.default
    }
    return replace(base, **odd)
