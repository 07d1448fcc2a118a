"""Progress of a run, from its logs."""

from __future__ import annotations

import re

READ = 4000
"""Characters at the end of the logs that are searched; the last bar is the newest."""
_BAR = re.compile(r"(?<![0-9.])([0-9]{1,3})%[ ]?\|")


def progress(logs: str) -> float | None:
    """Return the value of the last progress bar in the logs, 0 to 1; None if there is none.

    Models print bars like `tqdm`: ` 40%|####      | 20/50`.
    """
    shares = [int(found[1]) / 100 for found in _BAR.finditer(logs[-READ:])]
    return min(shares[-1], 1.0) if shares else None
