"""Child processes that cannot outlive this one, and the loopback ports they listen on."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]


def state_dir() -> Path:
    """Return the folder of local.json, logs and caches: `.darkroom`, or DARKROOM_STATE_DIR."""
    return Path(os.environ.get("DARKROOM_STATE_DIR") or ROOT / ".darkroom")


class StartError(Exception):
    """A required part did not start. The text is for the user."""


class Child:
    """One command that ends with this process, even if this process is killed."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], log: Path, grace: float = 0
    ) -> None:
        """`grace` is the time in seconds between SIGTERM and SIGKILL; with 0 it is killed at once.

        The command gets its own TMPDIR, which is deleted after its end.
        """
        self.log = log
        self._grace = grace
        scratch = tempfile.mkdtemp(prefix="darkroom-")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._tether = subprocess.Popen(
                [sys.executable, "-m", "local.tether", scratch, str(grace), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**env, "TMPDIR": scratch},
                start_new_session=True,  # Ctrl-C goes to the parent, which stops it in order
            )

    def wait_until_ready(self, url: str, *, seconds: float = 20) -> None:
        """Return once `url` answers 200. Raises StartError with the end of the log otherwise."""
        deadline = time.monotonic() + seconds
        with httpx.Client(trust_env=False, timeout=2) as client:
            while time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    if client.get(url).status_code == 200:
                        return
                if self._tether.poll() is not None:
                    break
                time.sleep(0.03)
        raise StartError(f"{url} did not come up. The end of {self.log}:\n{self.tail()}")

    def wait(self) -> int:
        """Wait for the command to end by itself. Returns its exit code."""
        return self._tether.wait()

    @property
    def running(self) -> bool:
        """False once the command has ended."""
        return self._tether.poll() is None

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the command's output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Stop the command and all its children. May be repeated."""
        if self._tether.stdin:
            self._tether.stdin.close()
        try:
            self._tether.wait(self._grace + 10)
        except subprocess.TimeoutExpired:
            self._tether.kill()
            self._tether.wait()


def free_port() -> int:
    """Return a loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listen(port: int) -> socket.socket:
    """Listen on loopback; 0 takes any free port. Raises StartError if the port is in use."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("127.0.0.1", port))
        server.listen(256)
    except OSError as error:
        server.close()
        raise StartError(f"Port {port} is taken ({error.strerror}). Try PORT={port + 1}.") from None
    server.set_inheritable(False)
    return server
