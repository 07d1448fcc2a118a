"""The users' command as a process: at a terminal, or with pipes."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "darkroom_cli"]
PATIENCE_S = 120
"""Long, so that only a missing text is a failure, not a busy machine."""

# The terminal becomes the process's own, so that Ctrl-C reaches it; and it is not ignored, which a
# process in the background of a script inherits.
_AT_TERMINAL = (
    "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def shell(home: Path, **variables: str) -> dict[str, str]:
    """The environment of a user with this home, who sees this checkout's command."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "cli"),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        **variables,
    }


def run(
    environment: Mapping[str, str], *arguments: str, cwd: Path, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command with pipes, until it has ended."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=dict(environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class Terminal:
    """The command at a pseudo-terminal."""

    def __init__(self, environment: Mapping[str, str], *arguments: str, cwd: Path) -> None:
        self._master, slave = pty.openpty()
        self.shown = ""
        """Everything on the screen so far."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _AT_TERMINAL, *COMMAND, *arguments],
            cwd=cwd,
            env=dict(environment),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def until(self, text: str) -> None:
        """Read until the text is on the screen."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), f"it ended without {text!r}: {self.shown}"

    def type(self, text: str) -> None:
        """Type at the keyboard; `\\x03` is Ctrl-C."""
        os.write(self._master, text.encode())

    @property
    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def kill(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        piece = b""
        # The end of a pseudo-terminal is an error on Linux.
        with contextlib.suppress(OSError):
            piece = os.read(self._master, 1 << 16)
        self.shown += piece.decode(errors="replace")
        return bool(piece)
