"""Progress of a run, according to its logs."""

from __future__ import annotations

import time

import pytest
from darkroom.domain.progress import READ, progress

BAR = " 40%|\u2588\u2588\u2588\u2588      | 20/50 [00:02<00:03,  9.80it/s]"


@pytest.mark.parametrize(
    ("logs", "share"),
    [
        ("", None),
        ("loading weights", None),
        ("saved 40% of the disk", None),
        ("rate 0.5%|", None),
        (BAR, 0.4),
        (BAR + "\r" + BAR.replace("40", "62"), 0.62),
        ("  0%|          | 0/50", 0.0),
        ("100%|##########| 50/50\ndone", 1.0),
        ("999%|", 1.0),
        ("step 3 of 8  38% |###     |", 0.38),
        (BAR + "\n" + "x" * READ, None),
    ],
)
def test_the_last_bar_counts(logs: str, share: float | None) -> None:
    assert progress(logs) == share


def test_long_hostile_logs_take_no_time() -> None:
    began = time.process_time()
    for _ in range(100):
        assert progress("1" * 900_000) is None
        assert progress("1% " * 300_000) is None
    assert time.process_time() - began < 1
