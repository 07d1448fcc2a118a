"""python -m tests.scale.one NUMBER SCALE [MUTANT]: one scenario in this process, told as JSON."""

from __future__ import annotations

import json
import sys

from tests.scale import edits
from tests.scale.mutations import MUTANTS
from tests.scale.scenarios import SCENARIOS


def main() -> None:
    """Change the product's source, then import it."""
    number, scale, *names = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    faults = [edit for name in names for edit in MUTANTS[name].edits]
    edits.install([*faults, *edits.scaled(scale)])
    from tests.scale import crowd

    print(json.dumps(crowd.run(SCENARIOS[number], scale)))


if __name__ == "__main__":
    main()
