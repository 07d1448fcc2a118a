"""`ops live --local` on the embedded cloud: all is proven, and what is wrong is a FAIL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ops.__main__ import main
from ops.live.rows import EMBEDDED_LACKS, ROWS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.usefixtures("announced")
def test_everything_is_proven_on_the_embedded_cloud(
    set_faults: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_faults(time_scale=1)
    code = main(["live", "--local", "--json", "--report", str(tmp_path / "live.md")])
    told = json.loads(capsys.readouterr().out)
    rows: dict[str, Any] = {row["name"]: row for row in told["rows"]}
    assert {name for name, row in rows.items() if row["state"] == "FAIL"} == set(), rows
    assert code == 0
    assert list(rows) == [row.name for row in ROWS]
    assert {name for name, row in rows.items() if row["state"] == "n/a"} == set(EMBEDDED_LACKS)
