"""What `make` would run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def planned(*arguments: str) -> str:
    """The commands of a dry run. The make that runs the tests hands nothing down to it."""
    shell = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", "--dry-run", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=shell, capture_output=True, text=True, check=True
    ).stdout
