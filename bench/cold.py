"""Cold starts: a fresh process up to its first invocation, relative to one with only a client."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import uv
from darkroom.runtime.function import LOCK, declared

from bench.report import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
PEER = ROOT / "bench" / "peer"
ROUNDS = 9
FLOOR = "import boto3; boto3.client('dynamodb')"
METHOD = (
    f"User and system time of a fresh process until it is ready, median of {ROUNDS} rounds in "
    "which every case runs once; with the packages of the asset and compiled bytecode; ratio to "
    "`import boto3` and one DynamoDB client."
)
# Packages of the Lambda runtime; the rest is in the functions' own lock.
RUNTIME = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}


@dataclass(frozen=True, slots=True)
class Case:
    """One process: its code and its package paths."""

    code: str
    path: tuple[Path, ...]


def run(progress: Callable[[str], None]) -> list[Result]:
    """Measure every function, and the peers if their packages can be installed."""
    functions = declared()
    assets = {lock: packages(lock) for lock in {LOCK, *(f.lock for f in functions.values())}}
    cases = {"floor": Case(FLOOR, (assets[LOCK], ROOT / "functions"))}
    for name, function in functions.items():
        code = f"import darkroom.handlers.{name} as f; f.FUNCTION.made()"
        cases[name] = Case(code, (assets[function.lock], ROOT / "functions"))
    peer = _peer_packages(progress)
    if peer:
        cases |= {
            f"peer.{name}": Case(f"import {name}", (peer, PEER)) for name in ("submit", "webhook")
        }
    times = measure(cases, progress)
    floor = times.pop("floor")
    return [
        Result("cold.floor", round(floor, 1), "ms", None, METHOD),
        *(
            Result(f"cold.{n}", round(t, 1), "ms", round(t / floor, 3), METHOD)
            for n, t in times.items()
        ),
    ]


def measure(cases: Mapping[str, Case], progress: Callable[[str], None]) -> dict[str, float]:
    """Return the median milliseconds of each case. Cases alternate, so that load affects all
    equally."""
    for name, case in cases.items():
        progress(f"compiling what {name} imports")
        _once(case)
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(ROUNDS):
        progress(f"round {number + 1} of {ROUNDS}")
        for name, case in cases.items():
            taken[name].append(_once(case))
    return {name: statistics.median(each) for name, each in taken.items()}


def _once(case: Case) -> float:
    # The interpreter's shutdown is not counted, because Lambda freezes a process instead.
    command = [sys.executable, "-S", "-c", f"import os; {case.code}; os._exit(0)"]
    with subprocess.Popen(command, env=_environment(case.path)) as process:  # noqa: S603
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{case.code!r} ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def _environment(path: Iterable[Path]) -> dict[str, str]:
    """Return the environment. Bytecode is enabled: the first run of each case, not counted, writes
    it."""
    required = {
        name.upper(): "https://x.test" if name.endswith("_url") else "x"
        for function in declared().values()
        for name in function.settings.required()
    }
    return {
        **required,
        # As in every deployed stage.
        "RESULT_CACHE": "true",
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONPYCACHEPREFIX": str(BUILD / "bytecode"),
        "LAMBDA_TASK_ROOT": "/var/task",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "REPLICATE_API_TOKEN": "x",
        "WEBHOOK_SECRET": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    }


def packages(lock: str = LOCK) -> Path:
    """Return a folder with the packages of an asset and of the runtime only, because some
    packages, such as httpcore, import any optional package that they find."""
    folder = BUILD / "packages" / Path(lock).stem
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pinned = (ROOT / "functions" / lock).read_text()
    for name in RUNTIME | set(re.findall(r"^([\w.-]+)==", pinned, re.MULTILINE)):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            (folder / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return folder


def _peer_packages(progress: Callable[[str], None]) -> Path | None:
    folder = BUILD / "peer"
    command = [
        *(uv.find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable),
        *("--target", str(folder), "--requirement", str(PEER / "requirements.txt")),
    ]
    installed = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if installed.returncode:
        last = installed.stderr.strip().splitlines()[-1:]
        progress(f"the peers are left out, their packages cannot be installed: {' '.join(last)}")
        return None
    return folder
