"""Runs the jobs on both cores and reports their results; the last line is machine-readable."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from tests.proof.config import every_kind
from tests.proof.coverage import unvisited
from tests.proof.explore import Found
from tests.proof.jobs import Done, Job, work
from tests.proof.mutations import MUTANTS
from tests.proof.plans import FIVE, full_jobs, slice_jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.proof.config import Config

ROOT = Path(__file__).parents[2]
CAUGHT = Path(__file__).parent / "caught.json"
PROCESSES = 2
AHEAD = 4
"""Number of jobs queued at a time; few, so that an end takes effect soon."""
SLICE_MUTANTS = 5
SLICE_S = 3600
"""Limit on a slice, after which it is aborted and fails."""
MUTANT_S = 1800
TELL_EVERY_S = 5.0


@dataclass
class Summary:
    """Everything that was run, and the verdict."""

    found: Found = field(default_factory=Found)
    caught: dict[str, bool] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)
    """By mutant, what was said when it was caught."""
    finished: dict[str, int] = field(default_factory=dict)
    """Completed jobs, by label."""
    cut_short: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    bounds: dict[Config, list[Job]] = field(default_factory=dict)
    """The completely explored bounds."""

    def add(self, done: Done) -> None:
        """Include the result of a job."""
        self.found.add(done.found)
        self.kept += done.notes.get("kept", 0)
        ends = self.finished if done.complete else self.cut_short
        ends[done.job.label] = ends.get(done.job.label, 0) + 1
        if done.complete and done.job.depth:
            self.bounds.setdefault(done.job.config, []).append(done.job)

    @property
    def unvisited(self) -> list[tuple[str, str, str]]:
        """Return the I/O without a fault, and the kinds without a bound."""
        had = {word for config in self.bounds for word in config.kinds}
        missing = [("kind", word, "in no bound") for word in every_kind() if word not in had]
        return unvisited(self.found.seen, self.found.hit) + missing

    @property
    def last_line(self) -> str:
        caught = sum(self.caught.values())
        return (
            f"proof: {self.found.schedules} schedules, {len(self.found.failures)} violations, "
            f"{caught} of {len(self.caught)} mutants caught, {len(self.unvisited)} unvisited"
        )

    @property
    def holds(self) -> bool:
        found = self.found
        return not found.failures and not self.unvisited and all(self.caught.values())

    def tell(self) -> None:
        """Print the jobs, the violations, and the last line."""
        for failure in self.found.failures[:20]:
            say(f"violation: {failure.what}")
            say(f"  python -m tests.proof replay '{failure.schedule}'")
        for handler, site, phase in self.unvisited:
            say(f"unvisited: {handler} {site} {phase}")
        for label, number in self.finished.items():
            short = self.cut_short.get(label)
            say(f"complete: {label}: {number} runs" + (f", {short} cut short" if short else ""))
        for config in FIVE:
            jobs = (job for job in self.bounds.get(config, ()) if not job.lives)
            deepest = max(jobs, key=lambda job: (job.depth, job.faults), default=None)
            if deepest:
                say(f"  of these, {config}: {deepest.label}")
        for label in self.cut_short.keys() - self.finished.keys():
            say(f"not complete: {label}: the time was up")
        if self.kept:
            say(f"outages of 45 minutes: {self.kept} predictions, all stored")
        for what, number in sorted(self.found.allowed.items()):
            say(f"allowed by design, and shown: {what}: {number}")
        say(self.last_line)


def say(text: str) -> None:
    print(text, flush=True)


def run_slice(seed: int = 1, mutants: Iterable[str] | None = None) -> Summary:
    """Run the part that belongs to `make test`."""
    chosen = list(MUTANTS)[:SLICE_MUTANTS] if mutants is None else list(mutants)
    until = time.monotonic() + SLICE_S
    summary = Summary()
    _explore(iter(slice_jobs(seed)), until, summary, quiet=True)
    _mutants(chosen, summary, quiet=True)
    return summary


def run_full(seconds: float, seed: int = 1) -> Summary:
    """Run the mutants and the slice, then growing bounds and random schedules until the time is up.

    However slow the machine, the slice ends, because it visits every kind and every I/O.
    """
    until = time.monotonic() + seconds
    summary = Summary()
    try:
        _mutants(list(MUTANTS), summary, quiet=False)
        always = len(slice_jobs(seed))
        _explore(full_jobs(seed, seconds), until, summary, quiet=False, always=always)
    except KeyboardInterrupt:
        say("ended early")
    return summary


def _explore(
    jobs: Iterator[Job], until: float, summary: Summary, *, quiet: bool, always: int = 0
) -> None:
    """Do the jobs until the time is up; the first `always` ones to their end, however long."""
    began = told = time.monotonic()
    context = get_context("spawn")
    pool = ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=_worker)
    running: set[Future[Done]] = set()
    try:
        while True:
            while len(running) < AHEAD and (always > 0 or time.monotonic() < until):
                job = next(jobs, None)
                if job is None:
                    break
                running.add(pool.submit(work, job, math.inf if always > 0 else until))
                always -= 1
            if not running:
                return
            ended, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            now = time.monotonic()
            for future in ended:
                done = future.result()
                summary.add(done)
                if not quiet and done.complete and done.job.depth:
                    say(f"{now - began:6.0f} s  complete: {done.job.config}: {done.job.label}")
            if not quiet and now - told > TELL_EVERY_S:
                told = now
                found = summary.found
                rate = found.schedules / (now - began)
                say(
                    f"{now - began:6.0f} s  {found.schedules} schedules ({rate:.0f}/s)  "
                    f"{len(found.failures)} violations  {len(summary.unvisited)} unvisited"
                )
    finally:
        # The pool removes them at its shutdown.
        working = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in working:
            process.terminate()


def _worker() -> None:
    # The parent handles Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# Mutants


def known_schedules() -> dict[str, str]:
    """Return the schedule by which the last hunt caught each mutant."""
    return dict(json.loads(CAUGHT.read_text()))


def write_caught() -> int:
    """Hunt every mutant, and write down which schedule caught each; 0 where all were caught."""
    summary = Summary()
    _mutants(list(MUTANTS), summary, quiet=False)
    schedules = {
        name: found[1]
        for name, how in summary.how.items()
        if (found := re.search(r"\(schedule \d+: (.*)\)$", how))
    }
    CAUGHT.write_text(json.dumps(schedules, indent=2, sort_keys=True) + "\n")
    return 0 if all(summary.caught.values()) else 1


def hunt_mutant(name: str, first: str | None = None) -> tuple[bool, str]:
    """Run the hunt against one mutant in a separate process. Returns whether it was caught, and
    how.

    `first` is a schedule that caught it once. If the code has changed and it does not catch it any
    more, the hunt finds another.
    """
    paths = os.pathsep.join([str(ROOT), str(ROOT / "functions")])
    try:
        run = subprocess.run(
            [
                *(sys.executable, "-m", "tests.proof", "mutant", name),
                *(("--first", first) if first else ()),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
            timeout=MUTANT_S,
        )
    except subprocess.TimeoutExpired:
        return False, f"not caught within {MUTANT_S} s"
    return run.returncode == 0, (run.stdout + run.stderr).strip()


def _mutants(names: list[str], summary: Summary, *, quiet: bool) -> None:
    pool = ThreadPoolExecutor(PROCESSES)
    try:
        for name, (caught, how) in zip(names, pool.map(hunt_mutant, names), strict=True):
            summary.caught[name], summary.how[name] = caught, how
            if not quiet or not caught:
                say(f"mutant {'caught' if caught else 'NOT CAUGHT'}: {name}: {how}")
    finally:
        pool.shutdown(cancel_futures=True)
