"""Darkroom on one machine: an embedded AWS, an emulated Replicate, and commands for both."""

from __future__ import annotations

import sys
from pathlib import Path

# The root of the Lambda asset, so that `python -m local` needs no PYTHONPATH.
sys.path.append(str(Path(__file__).resolve().parents[1] / "functions"))
