"""What a benchmark found: bench/report.json and the printed table."""

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
    """One figure. `ratio` is it over what it is compared with; None where nothing is."""

    name: str
    value: float
    unit: str
    ratio: float | None
    method: str
    """One sentence: what was measured how, so that somebody else gets the same."""


def merge(results: Iterable[Result], path: Path = REPORT) -> list[Result]:
    """Write the results over those of the same name in the report; those not run again stay."""
    found = {result.name: result for result in (*read(path), *results)}
    merged = sorted(found.values(), key=lambda result: result.name)
    path.write_text(json.dumps([asdict(result) for result in merged], indent=1) + "\n")
    return merged


def read(path: Path = REPORT) -> list[Result]:
    """What the report holds; nothing where there is none."""
    if not path.exists():
        return []
    return [Result(**entry) for entry in json.loads(path.read_text())]


def table(results: Iterable[Result]) -> str:
    """The figures in columns, without their methods: those are in the report."""
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
