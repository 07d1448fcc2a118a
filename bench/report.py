"""Results of benchmarks: bench/report.json and the printed table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

REPORT = Path(__file__).parent / "report.json"


@dataclass(frozen=True, slots=True)
class Result:
    """One result. `ratio` is relative to the baseline; None without one."""

    name: str
    value: float
    unit: str
    ratio: float | None
    method: str
    """One sentence that tells how it was measured, so that others can reproduce it."""


def merge(results: Iterable[Result], path: Path = REPORT) -> list[Result]:
    """Merge the results into the report by name. Results that were not run again stay."""
    found = {result.name: result for result in (*read(path), *results)}
    merged = sorted(found.values(), key=lambda result: result.name)
    path.write_text(json.dumps([asdict(result) for result in merged], indent=1) + "\n")
    return merged


def read(path: Path = REPORT) -> list[Result]:
    """Return the results in the report; empty if there is none."""
    if not path.exists():
        return []
    return [Result(**entry) for entry in json.loads(path.read_text())]


def table(results: Iterable[Result]) -> str:
    """Format the results in columns, without their methods, which are in the report."""
    rows = [
        (r.name, f"{r.value:,.6g}", r.unit, "" if r.ratio is None else f"{r.ratio:.3g}")
        for r in results
    ]
    rows.insert(0, ("name", "value", "unit", "ratio"))
    wide = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{name:{wide[0]}}  {value:>{wide[1]}}  {unit:{wide[2]}}  {ratio:>{wide[3]}}".rstrip()
        for name, value, unit, ratio in rows
    )
