"""The report of a run: Markdown for people, JSON for programs, one line per row for the
terminal."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.domain.money import MICRO

from ops import checks

if TYPE_CHECKING:
    from pathlib import Path

    from ops.live.verdict import Verdict

_SECRETS = re.compile(
    r"dk_[\w-]{20,}|r8_\w{20,}|whsec_[\w+/=]{8,}|(?<=[?&])(?:t|X-Amz-[\w-]+|Signature|Policy)=[^&\s\"]+"
)


def safe(text: str) -> str:
    """Redact everything that looks like a token, a signing secret or a signature."""
    return _SECRETS.sub("***", text)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one row."""

    name: str
    settles: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of the whole run."""

    stage: str
    region: str
    version: str
    began: float
    seconds: float
    budget_usd: float | None
    most: int
    """Maximum cost of the run in millionths of a dollar."""
    spent: int
    """Cost of what it created, as Darkroom calculates it."""
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether every row is OK, or n/a for a known reason."""
        return all(one.verdict.state != checks.FAIL for one in self.results)

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values, without secrets."""
        shown: dict[str, Any] = {
            "stage": self.stage,
            "region": self.region,
            "version": self.version,
            "began": f"{datetime.fromtimestamp(self.began, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "seconds": round(self.seconds),
            "budget_usd": self.budget_usd,
            "most_usd": self.most / MICRO,
            "spent_usd": self.spent / MICRO,
            "passed": self.passed,
            "rows": [
                {"name": one.name, "settles": one.settles, **asdict(one.verdict)}
                for one in self.results
            ],
        }
        return dict(json.loads(safe(json.dumps(shown))))

    def as_markdown(self) -> str:
        """Return a page that can be committed."""
        told = self.as_json()
        passed = "All rows are OK, or n/a for the reason named." if self.passed else "Rows FAIL."
        budget = f" of {self.budget_usd:g} allowed" if self.budget_usd is not None else ""
        lines = [
            f"# What was seen of the stage {self.stage}",
            "",
            f"Darkroom {self.version}, region {self.region}. Written by `python -m ops live`,",
            f"begun {told['began']}, done within {told['seconds']} s. Spent at Replicate:",
            f"${told['spent_usd']:.4f}; at most ${told['most_usd']:.4f}{budget}.",
            "",
            f"**{passed}**",
            "",
            "| row | | what was seen | what it settles |",
            "|---|---|---|---|",
        ]
        for row in told["rows"]:
            text = f"{row['text']} → {row['remedy']}" if row["remedy"] else row["text"]
            cells = (row["name"], row["state"], text, row["settles"])
            lines.append(f"| {' | '.join(map(_cell, cells))} |")
        for row in told["rows"]:
            if row["table"]:
                head, *values = row["table"]
                lines += ["", f"## {row['name'].capitalize()}", ""]
                lines += [f"| {' | '.join(map(_cell, head))} |", "|---" * len(head) + "|"]
                lines += [f"| {' | '.join(map(_cell, each))} |" for each in values]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> Path:
        """Write the page to `path` and the JSON next to it. Returns the path of the JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.as_markdown())
        beside = path.with_suffix(".json")
        beside.write_text(json.dumps(self.as_json(), indent=1) + "\n")
        return beside


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def line(name: str, verdict: Verdict) -> str:
    """Format one row for the terminal, like `ops doctor`."""
    return safe(checks.line(verdict.state, name, verdict.text, verdict.remedy))
