"""The emulator as a process: its one line, and its ways to end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "local.replicate", "--port", "0", "--exit-with-stdin"]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}
    with subprocess.Popen(
        [*command, "--token", "r8_x", "--public-url", "http://emulator.test/"],
        cwd=ROOT,
        env=environment,
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
    assert process.wait(5) == 0
    assert process.stderr.read() == ""


def test_a_taken_port_is_said_plainly(process: subprocess.Popen[str]) -> None:
    process.stdout.readline()
    with httpx.Client(trust_env=False) as client:
        del client  # nothing to call: only the port matters
