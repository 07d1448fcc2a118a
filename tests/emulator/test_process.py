"""The emulator as a process: its one line, and its ways to end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "emulator", "--port", "0", "--exit-with-stdin"]
    with subprocess.Popen(
        [*command, "--token", "r8_x", "--public-url", "http://emulator.test/"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, None])
def test_it_ends_when_told_to(process: subprocess.Popen[str], end: signal.Signals | None) -> None:
    assert process.stdout.readline() == "Replicate emulator on http://emulator.test\n"
    if end is None:
        process.stdin.close()
    else:
        process.send_signal(end)
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def test_a_taken_port_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "emulator", "--port", port],
            cwd=ROOT,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == f"127.0.0.1:{port}: Address already in use\n"
