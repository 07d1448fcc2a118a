"""Darkroom on one machine: an embedded AWS, an emulated Replicate, and the commands round them."""

from __future__ import annotations

import sys
from pathlib import Path

# The root of the Lambda asset, so that `python -m` needs no PYTHONPATH.
sys.path.append(str(Path(__file__).resolve().parents[1] / "functions"))
