"""How far a run is, as its logs say."""

from __future__ import annotations

import re

READ = 4000
"""Characters at the end of the logs that are looked at: the last bar is the newest."""
_BAR = re.compile(r"(?<![0-9.])([0-9]{1,3})%[ ]?\|")


def progress(logs: str) -> float | None:
    """The share of the last progress bar in the logs, 0 to 1; None where there is none.

    Models print bars as `tqdm` draws them: ` 40%|####      | 20/50`.
    """
    shares = [int(found[1]) / 100 for found in _BAR.finditer(logs[-READ:])]
    return min(shares[-1], 1.0) if shares else None
