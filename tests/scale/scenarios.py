"""The scenarios of load, and their goals."""

from __future__ import annotations

from dataclasses import dataclass, replace

READS = 1_500
"""GETs and list pages per minute that are left beside creates and cancellations."""
LOOKS = 300
"""Calls per minute for all clients that poll: a tenth of what the provider allows."""
MEMORY_MB = 64
AGE_S = 180
"""Maximum age of anything due, at 10 creates per second."""
LONGEST_TICK_S = 45
"""The sweep's timeout minus its reserve."""


@dataclass(frozen=True, slots=True)
class Goal:
    """An upper limit on `figure`."""

    figure: str
    most: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load. Times are in minutes from the first create."""

    name: str
    rate: float
    """Creates per second, at full scale."""
    minutes: float = 45.0
    webhooks_lost: bool = True
    silent: tuple[float, float] = (0.0, 0.0)
    """Period in which the provider answers nothing, and creates time out."""
    tenants: int = 20
    parts: int = 1
    """Sweeps per minute that share the index."""
    callbacks: float = 0.5
    """Fraction of the predictions that name a webhook."""
    dead_tenant: bool = False
    """The first tenant's endpoint never answers; some predictions of the others are tasks."""
    unanswered_every: int = 100
    """The answer of one in so many creates is lost."""
    burst: int = 0
    """Simultaneous predictions of one tenant, before one of each other tenant; no others."""
    slow_s: float = 0.0
    files: int = 1
    page: int = 100
    long_runs: bool = True
    hostile: bool = False
    """No load: single requests that are designed to take long."""
    watchers: int = 0
    """Clients that poll one prediction each, which runs for `minutes` and logs."""
    traced: bool = False
    """Trace the memory of each tick, with large records close together."""
    tail: float = 70.0
    """Minutes after the last create within which everything must have ended."""
    full: int = 1
    """Scale of the full run: the number of predictions that each represents."""
    slice: int = 50
    short: float = 0.0
    """Minutes of creates in the slice, if fewer."""
    compared: bool = False
    """The slice must agree with the full run."""
    goals: tuple[Goal, ...] = ()


NOTHING_LOST = Goal("lost", 0), Goal("unfinished", 0), Goal("ticks_killed", 0)
OUTAGE = Scenario(
    "",
    rate=10,
    goals=(*NOTHING_LOST, Goal("reads_a_minute", READS), Goal("failed_in_ticks", 0)),
)
WATCHED = Scenario(
    "",
    rate=10,
    minutes=12,
    unanswered_every=0,
    callbacks=0.0,
    goals=(
        *NOTHING_LOST,
        Goal("unseen_ends", 0),
        Goal("looks_a_minute", LOOKS),
        Goal("writes_too_early", 0),
        Goal("dispatch_wait_s", 1),
        Goal("cancel_s", 1),
    ),
)
SCENARIOS = (
    replace(
        OUTAGE,
        name="no webhooks at 10/s",
        tenants=500,
        goals=(*OUTAGE.goals, Goal("age_s", AGE_S)),
    ),
    replace(OUTAGE, name="no webhooks at 30/s", rate=30, tenants=2, parts=2, compared=True),
    replace(
        OUTAGE,
        name="no webhooks at 100/s",
        rate=100,
        tenants=50,
        parts=8,
        full=10,
        short=15,
        compared=True,
    ),
    Scenario(
        "one tenant has 5,000 due, 499 one each",
        rate=100,
        burst=5_000,
        tenants=500,
        unanswered_every=0,
        callbacks=0.0,
        long_runs=False,
        slice=10,
        goals=(*NOTHING_LOST, Goal("age_others_s", 90), Goal("reads_a_minute", READS)),
    ),
    Scenario(
        "the provider is silent for 10 minutes",
        rate=10,
        minutes=25,
        silent=(8, 18),
        full=5,
        goals=(*NOTHING_LOST, Goal("reads_a_minute", READS), Goal("asked_in_silence", 40)),
    ),
    Scenario(
        "a dead endpoint of one tenant",
        rate=10,
        minutes=20,
        webhooks_lost=False,
        dead_tenant=True,
        callbacks=1.0,
        tenants=10,
        unanswered_every=0,
        full=5,
        slice=25,
        goals=(
            *NOTHING_LOST,
            Goal("callback_wait_others_s", 60),
            Goal("task_wait_s", 5),
            Goal("swept_storing", 0),
            Goal("relayed_each", 4),
        ),
    ),
    Scenario(
        "files of 40 s",
        rate=1,
        minutes=20,
        webhooks_lost=False,
        slow_s=40,
        unanswered_every=0,
        callbacks=0.0,
        slice=10,
        goals=NOTHING_LOST,
    ),
    Scenario(
        "12 files of 45 s each",
        rate=0.05,
        minutes=8,
        webhooks_lost=False,
        slow_s=45,
        files=12,
        unanswered_every=0,
        callbacks=0.0,
        slice=1,
        goals=(*NOTHING_LOST, Goal("downloads_each", 12)),
    ),
    Scenario(
        "records of 250 kB, one tick",
        rate=100,
        burst=360,
        tenants=40,
        callbacks=0.0,
        long_runs=False,
        traced=True,
        slice=1,
        goals=(*NOTHING_LOST, Goal("peak_mb", MEMORY_MB)),
    ),
    replace(
        WATCHED,
        name="20 watch their logs grow",
        watchers=20,
        tenants=1,
        slice=1,
        short=3,
        goals=(*WATCHED.goals, Goal("logs_age_s", 7)),
    ),
    replace(
        WATCHED,
        name="500 watch their logs grow",
        watchers=500,
        tenants=10,
        slice=10,
        short=6,
        goals=(*WATCHED.goals, Goal("logs_age_s", 255), Goal("logs_age_lone_s", 8)),
    ),
    Scenario(
        "hostile uploads and schemas",
        rate=0,
        hostile=True,
        slice=1,
        goals=(Goal("upload_s", 0.3), Goal("schema_s", 0.5)),
    ),
)
