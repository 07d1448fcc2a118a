"""python -m tests.proof slice | full | replay SCHEDULE | mutant NAME | hunt."""

from __future__ import annotations

import argparse
import sys
import time


def main() -> int:
    """Run the command; 0 if no invariant was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof")
    commands = parser.add_subparsers(dest="command", required=True)
    quick = commands.add_parser("slice", help="the part that make test runs")
    quick.add_argument("--seed", type=int, default=1)
    full = commands.add_parser("full", help="as wide as the time allows, on both cores")
    full.add_argument("--minutes", type=float, default=28.0)
    full.add_argument("--hours", type=float)
    full.add_argument("--seed", type=int, default=1)
    again = commands.add_parser("replay", help="run one schedule again, telling each I/O")
    again.add_argument("schedule")
    seeded = commands.add_parser("mutant", help="whether the hunt catches one mutant")
    seeded.add_argument("name")
    seeded.add_argument("--first", help="a schedule that caught it once, to be tried first")
    commands.add_parser("hunt", help="hunt all mutants, and write down what caught each")
    asked = parser.parse_args()
    if asked.command == "mutant":
        return _mutant(asked.name, asked.first)
    if asked.command == "replay":
        return _replay(asked.schedule)
    from tests.proof import report

    if asked.command == "hunt":
        return report.write_caught()
    if asked.command == "slice":
        summary = report.run_slice(asked.seed)
    else:
        minutes = asked.hours * 60 if asked.hours else asked.minutes
        summary = report.run_full(minutes * 60, asked.seed)
    summary.tell()
    return 0 if summary.holds else 1


def _replay(schedule: str) -> int:
    from tests.proof.report import say
    from tests.proof.schedules import replay

    violation = replay(schedule, say)
    say(f"violation: {violation}" if violation else "no violation")
    return 1 if violation else 0


def _mutant(name: str, first: str | None) -> int:
    from tests.proof import mutants

    # Must precede the import of the product, so nothing above may import it.
    mutants.install(name)
    from tests.proof.jobs import work
    from tests.proof.mutations import MUTANTS
    from tests.proof.plans import hunt
    from tests.proof.report import say
    from tests.proof.schedules import replay

    violation = replay(first, lambda _: None) if first else None
    if violation:
        say(f"{violation} (known: {first})")
        return 0
    schedules = 0
    for job in hunt(MUTANTS[name].where):
        found = work(job, time.monotonic() + 3600, failures=1).found
        schedules += found.schedules
        if found.failures:
            first = found.failures[0]
            say(f"{first.what} (schedule {schedules + 1}: {first.schedule})")
            return 0
    say(f"not caught in {schedules} schedules")
    return 1


if __name__ == "__main__":
    sys.exit(main())
