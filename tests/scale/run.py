"""Runs scenarios in separate processes, two at a time, and prints the table of their results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.scale.mutations import MUTANTS
from tests.scale.scenarios import AGE_S, LONGEST_TICK_S, READS, SCENARIOS

if TYPE_CHECKING:
    from tests.scale.scenarios import Scenario

ROOT = Path(__file__).resolve().parents[2]
CORES = int(os.environ.get("SCALE_PROCESSES", "2"))
AGREE = 0.10
"""Tolerated difference between a scaled run and the full one, as a fraction of each figure's
limit."""
COMPARED: dict[str, float] = {
    "age_s": AGE_S,
    "mean_age_s": AGE_S,
    "mean_work_s": LONGEST_TICK_S,
    "reads_a_minute": READS,
    "swept_a_minute": 0.0,
}
"""The limit of each figure; 0 if there is none: then the tolerance is a fraction of the figure
itself.

A small run reads fewer pages. Long runs are rare: under load they share the pages in which they are
searched, alone each needs a page, which represents one page all the same. A tick's time is
therefore compared without them (`mean_work_s`), but the reads per minute include them.
"""
COLUMNS = (
    ("age_s", "oldest due, s"),
    ("age_others_s", "others, s"),
    ("reads_a_minute", "reads/min"),
    ("mean_tick_s", "tick, s"),
    ("longest_tick_s", "longest, s"),
    ("swept_a_minute", "swept/min"),
    ("looks_a_minute", "looks/min"),
    ("logs_age_s", "logs, s"),
    ("lost", "lost"),
)


@dataclass(frozen=True)
class Result:
    """One scenario at a scale: its measurements, and the goals that it missed."""

    scenario: Scenario
    scale: int
    figures: dict[str, Any]

    @property
    def missed(self) -> list[str]:
        """Return the goals that were missed, with the measured values."""
        if "predictions" not in self.figures and "peak_mb" not in self.figures:
            return ["did not run"]
        return [
            f"{goal.figure} is {self.figures[goal.figure]}, at most {goal.most:g}"
            for goal in self.scenario.goals
            if self.figures[goal.figure] > goal.most
        ]


class Runs:
    """Child processes, which all end with this one."""

    def __init__(self) -> None:
        self._children: set[subprocess.Popen[str]] = set()
        self._stopped = False
        self.done = 0

    def one(self, number: int, scale: int, mutant: str = "", *, short: bool = False) -> Result:
        """Run one scenario; `short` selects the duration of the slice."""
        began = time.monotonic()
        command = [sys.executable, "-m", "tests.scale.one", str(number), str(scale)]
        child = subprocess.Popen(
            [*command, *filter(None, (mutant, "--short" * short))],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": ".:functions"},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._children.add(child)
        if self._stopped:
            child.terminate()
        output, _ = child.communicate()
        self._children.discard(child)
        self.done += 1
        said = f"{SCENARIOS[number].name}{f', {mutant}' if mutant else ''} at 1:{scale}"
        took = time.monotonic() - began
        sys.stderr.write(f"scale: {self.done} done, {said}, in {took:.0f} s\n")
        lines = output.splitlines()
        figures = json.loads(lines[-1]) if lines and child.returncode == 0 else {}
        return Result(SCENARIOS[number], scale, figures)

    def all(self, asked: list[tuple[int, int, str]], *, short: bool = False) -> list[Result]:
        """Run all, in the order given."""
        with ThreadPoolExecutor(CORES) as pool:
            try:
                return list(pool.map(lambda each: self.one(*each, short=short), asked))
            except KeyboardInterrupt:
                self._stopped = True
                pool.shutdown(wait=False, cancel_futures=True)
                for child in tuple(self._children):
                    child.terminate()
                raise


def full() -> int:
    """Run every scenario in full and the mutants, and check that the slice agrees."""
    runs = Runs()
    asked = [(number, each.full, "") for number, each in enumerate(SCENARIOS)]
    # The longest first.
    asked.sort(key=lambda each: -_work(SCENARIOS[each[0]], each[1]))
    compared = [(n, each.slice, "") for n, each in enumerate(SCENARIOS) if each.compared]
    results = runs.all(asked + compared)
    whole, parts = results[: len(asked)], results[len(asked) :]
    failures = tell(sorted(whole, key=lambda each: SCENARIOS.index(each.scenario)))
    for result in parts:
        failures += _agrees(next(w for w in whole if w.scenario is result.scenario), result)
    failures += _mutants(runs)
    print(f"scale: {len(whole)} scenarios, {failures} failures")
    return min(failures, 1)


def small() -> int:
    """Run every scenario at its slice's scale, and the mutants."""
    runs = Runs()
    asked = [(number, each.slice, "") for number, each in enumerate(SCENARIOS)]
    results = runs.all(asked, short=True)
    failures = tell(results) + _mutants(runs)
    print(f"scale: {len(results)} scenarios, {failures} failures")
    return min(failures, 1)


def tell(results: list[Result]) -> int:
    """Print the table; return the number of scenarios that missed a goal."""
    width = max(len(each.name) for each in SCENARIOS)
    print(f"{'scenario':{width}}  scale  sweeps  {'  '.join(head for _, head in COLUMNS)}")
    for result in results:
        figures = (str(result.figures.get(name, "-")).rjust(len(head)) for name, head in COLUMNS)
        at = f"1:{result.scale}"
        print(
            f"{result.scenario.name:{width}}  {at:>5}  {result.scenario.parts:>6}  "
            f"{'  '.join(figures)}"
        )
    missed = [result for result in results if result.missed]
    for result in missed:
        print(f"FAILED {result.scenario.name}: {'; '.join(result.missed)}")
    return len(missed)


def _work(scenario: Scenario, scale: int) -> float:
    return (scenario.burst or scenario.rate * scenario.minutes * 60) / scale


def _agrees(whole: Result, part: Result) -> int:
    """Print both; return whether any figure differs by too much."""
    differing = [name for name in COMPARED if not near(name, part.figures, whole.figures)]
    shown = ", ".join(
        f"{name} {part.figures.get(name)} / {whole.figures.get(name)}" for name in COMPARED
    )
    how = f"DIFFERS in {', '.join(differing)}" if differing else f"agrees within {AGREE:.0%}"
    print(f"{whole.scenario.name}: 1:{part.scale} / 1:{whole.scale} {how}: {shown}")
    return bool(differing)


def near(name: str, part: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether the figure of a scaled run agrees with that of the full one."""
    if name not in part or name not in whole:
        return False
    return bool(abs(part[name] - whole[name]) <= AGREE * (COMPARED[name] or abs(whole[name])))


def _mutants(runs: Runs) -> int:
    names = [each.name for each in SCENARIOS]
    asked = [(names.index(mutant.scenario), mutant.scale, name) for name, mutant in MUTANTS.items()]
    results = runs.all(asked)
    passed = 0
    for (_, _, name), result in zip(asked, results, strict=True):
        caught = result.missed and result.missed != ["did not run"]
        passed += not caught
        print(f"mutant {name}: {result.missed[0] if caught else 'NOT CAUGHT'}")
    return passed
