"""Runs one command for as long as standard input stays open, then leaves nothing of it behind.

`python -m local.tether SCRATCH GRACE COMMAND...`: whoever starts this holds the other end of
the pipe. When that process ends, however it ends, the pipe closes, the command's whole process
group is stopped (SIGTERM, GRACE seconds, SIGKILL) and the folder SCRATCH is deleted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading


def main(arguments: list[str]) -> int:
    """Return the command's exit code, as a shell would give it."""
    scratch, grace, *command = arguments
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_stop_at_eof, args=(child, float(grace)), daemon=True).start()
    code = child.wait()
    _signal_group(child, signal.SIGKILL)
    shutil.rmtree(scratch, ignore_errors=True)
    return 128 - code if code < 0 else code


def _stop_at_eof(child: subprocess.Popen[bytes], grace: float) -> None:
    while os.read(0, 4096):
        pass
    if grace:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
    _signal_group(child, signal.SIGKILL)


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
