"""A function's first event: the work left after Lambda's initialization.

Imports and building the adapters belong to the initialization. The first invocation follows it,
with only a share of a processor.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cold import BUILD, ROOT, packages
from bench.report import Result
from bench.warm import EVENTS, stub_endpoints

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 9
CHILD = Path(__file__).with_name("first_event.py")
ON_LAMBDA = {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}
DEPLOYED = {"RESULT_CACHE": "true", "LAMBDA_TASK_ROOT": "/var/task"}
METHOD = (
    f"Processor time of a fresh process, median of {ROUNDS} rounds, with the asset's packages, the "
    "settings of a deployed stage and stub endpoints without TLS: `init` is import and making what "
    "the function needs, as on Lambda; `import` is what it takes where nothing is made; `first` "
    "is the first invocation after init, its ratio to the first where all is made in it."
)


def run(progress: Callable[[str], None]) -> list[Result]:
    """Measure `first.{submit,read,webhook}` with their parts."""
    results = []
    with stub_endpoints() as environment, tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "events.json"
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", "bench.warm", "--events", str(found)],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        path = os.pathsep.join([str(packages()), str(ROOT / "functions")])
        asset = {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(BUILD / "bytecode")}
        late = environment | DEPLOYED | asset
        early = late | ON_LAMBDA
        for name in EVENTS:
            progress(name)
            _once(name, found, early)
            taken = [(_once(name, found, late), _once(name, found, early)) for _ in range(ROUNDS)]
            imported, all_in_it, init, first = (
                statistics.median(each[which][part] for each in taken)
                for which in (0, 1)
                for part in (0, 1)
            )
            results += [
                Result(f"first.{name}.import", round(imported, 1), "ms", None, METHOD),
                Result(f"first.{name}.init", round(init, 1), "ms", None, METHOD),
                Result(
                    f"first.{name}.first",
                    round(first, 1),
                    "ms",
                    round(first / all_in_it, 3),
                    METHOD,
                ),
            ]
    return results


def _once(name: str, found: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Return the milliseconds of the import and of the first event."""
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-S", str(CHILD), name, str(found)],
        env={**environment, "_HANDLER": f"darkroom.handlers.{name}.handler"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    imported, first = json.loads(ran.stdout.splitlines()[-1])
    return imported, first
