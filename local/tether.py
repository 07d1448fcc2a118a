"""Runs one command while standard input stays open, then removes every trace of it.

`python -m local.tether SCRATCH GRACE COMMAND...`: the parent process holds the other end of the
pipe. When it ends, in whatever way, the pipe closes, the command's whole process group is stopped
(SIGTERM, GRACE seconds, SIGKILL) and the folder SCRATCH is deleted.
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
    """Run the command and return its exit code, like a shell would."""
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
