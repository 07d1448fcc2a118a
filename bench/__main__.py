"""The command: runs the named benchmarks, or all of them, and reports."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING

from bench.report import REPORT, Result, merge, table

if TYPE_CHECKING:
    from types import ModuleType

MODULES = (
    *("cold", "first", "asset", "warm", "verify"),
    *("persist", "memory", "growth", "io", "cost", "durable", "wait", "thumbnails"),
)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks. Each module has `run(progress) -> list[Result]`; `progress` takes a line
    of text."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("names", nargs="*", help=f"of: {' '.join(MODULES)}")
    names = parser.parse_args(arguments).names or MODULES
    unknown = [name for name in names if name not in MODULES]
    if unknown:
        parser.error(f"no such benchmark: {' '.join(unknown)}; there are: {' '.join(MODULES)}")
    results: list[Result] = []
    failed = False
    for name in names:
        try:
            results += _load(name).run(lambda line, name=name: _say(f"{name}: {line}"))
        except KeyboardInterrupt:
            _say("interrupted; the report has the completed parts")
            failed = True
            break
        except Exception as error:  # noqa: BLE001 - the others still run
            _say(f"{name} failed: {type(error).__name__}: {error}")
            failed = True
    merge(results)
    print(table(results))
    _say(f"written to {REPORT}")
    return int(failed)


def _load(name: str) -> ModuleType:
    return importlib.import_module(f"bench.{name}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
