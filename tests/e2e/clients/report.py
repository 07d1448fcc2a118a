"""`python -m tests.e2e.clients.report` runs the clients and writes docs/compatibility.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.cloud import EmbeddedCloud
from local.processes import ROOT
from tests.e2e.clients.published import ALL, drive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.e2e.clients.published import Client

PAGE = ROOT / "docs" / "compatibility.md"

HEAD = Path(__file__).with_name("compatibility.md")
"""The text of the page before its tables."""


def render(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the page, which is equal for any two successful runs."""
    return HEAD.read_text() + "".join(_section(client, results[client.name]) for client in ALL)


def _section(client: Client, lines: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(f"| `{line['method']}` | {_result(line)} |\n" for line in lines)
    return (
        f"\n## {client.title}: {client.package} {client.version}\n\n"
        f"| method | result |\n|---|---|\n{rows}"
    )


def _result(line: Mapping[str, Any]) -> str:
    if not line["ok"]:
        return "**fails**"
    note = str(line["note"])
    if note[:3].isdigit():
        return f"answered with a clear error: {note}"
    return note or "works"


def main() -> int:
    """Return the exit code: 1 if a check fails; then the page is not written."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        EmbeddedCloud(
            time_scale=0, state_dir=Path(scratch) / "cloud", tls=True, local_callbacks=True
        ) as cloud,
    ):
        results = drive(cloud, Path(scratch))
    failed = [line for lines in results.values() for line in lines if not line["ok"]]
    for line in failed:
        print(f"{line['client']}: {line['method']}: {line['note']}", file=sys.stderr)
    if failed:
        return 1
    PAGE.write_text(render(results))
    print(f"{PAGE.relative_to(ROOT)}: {sum(map(len, results.values()))} rows, all of them good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
