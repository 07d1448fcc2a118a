"""python -m tests.scale full | slice: simulated load; exits with 0 if every goal was met."""

from __future__ import annotations

import argparse
import sys

from tests.scale import run


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("full", help="all scenarios in full, at most half an hour on two cores")
    commands.add_parser("slice", help="the part that make test runs, at 1:50 or so")
    asked = parser.parse_args()
    try:
        return run.full() if asked.command == "full" else run.small()
    except KeyboardInterrupt:
        print("scale: stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main())
