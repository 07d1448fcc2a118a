"""An upgrade over tables with data, and a rollback: one release continues another's work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import versions

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "adapters" / "handover.py"
GOOD = {
    *("cached", "copy", "spent", "owed", "heard", "partly stored", "waits", "keyed", "unanswered"),
    *("refused", "reserved", "patient", "said", "task", "runs", "watched", "to be stored"),
    *("hangs", "no file"),
}
"""Predictions that succeed with either release."""


def run(where: Path, **asked: Any) -> Any:
    """Let the release at `where` begin, or finish another's work: see `handover.py`."""
    answer = subprocess.run(
        [sys.executable, "-P", str(SCRIPT)],
        input=json.dumps(asked),
        env={**os.environ, "PYTHONPATH": f"{where}:{where / 'functions'}"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Extract the previous release's package and doubles from git."""
    where = tmp_path_factory.mktemp("last")
    if not versions.unpack_last_release(where):
        pytest.skip(f"git has no {versions.LAST_RELEASE[:7]} here")
    return where


@pytest.mark.parametrize("way", ["upgrade", "step back"])
def test_what_one_release_began_the_other_carries_to_its_end(last: Path, way: str) -> None:
    before, after = (last, ROOT) if way == "upgrade" else (ROOT, last)
    begun = run(before, do="begin")
    # Both leave records in every state that is not final.
    states = {record["state"] for record in begun["records"].values()}
    assert states >= {"accepted", "submitted", "processing", "storing", "succeeded", "failed"}
    told = run(after, do="finish", kept=begun["kept"], names=begun["names"])
    records = told["records"]
    assert records.keys() == set(begun["names"].values())
    assert all(record["done"] for record in records.values())
    good = {name for name, record in records.items() if record["state"] == "succeeded"}
    assert good == GOOD
    assert {name: records[name]["files"] for name in GOOD} == dict.fromkeys(GOOD, 1) | {
        "partly stored": 2,
        "no file": 0,
    }
    assert records["just failed"]["code"] == records["failed"]["code"] == "provider_failed"
    assert records["canceling"]["code"] == records["canceled"]["code"] == "canceled"
    # Callbacks, tasks, keys, limits, money and results outlive the release as well.
    called = {"owed", "heard", "task", "to be stored", "just failed"}
    assert {name: told["deliveries"].get(f"{name} completed") for name in called} == dict.fromkeys(
        called, "delivered"
    )
    assert set(told["deliveries"].values()) == {"delivered", "superseded"}
    assert told["tasks"] == ["token"]
    assert told["tenant"] == "acme"
    assert (told["limits"]["monthly_cap"], told["limits"]["in_flight"]) == (90_000_000, 9)
    assert told["months"] == [{"committed": 6000, "spent": 6000, "in_flight": 0}]
    assert told["repeated"] == "keyed"
    assert told["copied"]
