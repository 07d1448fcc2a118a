"""Measures what Darkroom costs in time, bytes and calls: `python -m bench [names…]`."""

from __future__ import annotations

import sys
from pathlib import Path

# The root of the Lambda asset, so that `python -m bench` needs no PYTHONPATH.
sys.path.append(str(Path(__file__).resolve().parents[1] / "functions"))
