"""The commands that `make` would run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def planned(*arguments: str) -> str:
    """Return the commands of a dry run, independent of the make that runs the tests."""
    shell = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", "--dry-run", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=shell, capture_output=True, text=True, check=True
    ).stdout
