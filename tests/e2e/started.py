"""`python -m local run` as a process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.processes import ROOT
from tests.e2e.waiting import until

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable


class Started:
    """One `run`, whose state and temporary files are all under `folder`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        (folder / "tmp").mkdir(exist_ok=True)
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"PORT", "KEEP"}},
            "DARKROOM_STATE_DIR": str(folder / "state"),
            "TMPDIR": str(folder / "tmp"),
            "AWS_PROFILE": "there-is-no-such-profile",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local", "run", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def announced(self, name: str = "local.json") -> dict[str, Any]:
        """The announcement, once it is there."""
        path = self.folder / "state" / name
        self.until(path.exists)
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def until(self, holds: Callable[[], object]) -> None:
        """Wait for that, which only comes about while the run goes on."""

        def held() -> object:
            assert self.process.poll() is None, "it ended early"
            return holds()

        until(held)

    def ops(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ops", *command],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=90)
        return self.process.returncode, out, err

    def processes(self) -> list[str]:
        """Command lines of all processes that run on this run's temporary files."""
        mark = str(self.folder / "tmp").encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes()
                if mark in line + (process / "environ").read_bytes() and line:
                    found.append(f"{process.name} {line!r}")
            except OSError:  # it ended meanwhile
                continue
        return found


def refuses(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) != 0
