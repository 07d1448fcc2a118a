"""python -m tests.scale.one NUMBER SCALE [MUTANT] [--short]: one scenario, told as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from tests.proof import mutants
from tests.scale import edits
from tests.scale.mutations import MUTANTS
from tests.scale.scenarios import SCENARIOS


def main() -> None:
    """Change the product's source, then import it."""
    short = "--short" in sys.argv
    number, scale, *names = (each for each in sys.argv[1:] if each != "--short")
    faults = [edit for name in names for edit in MUTANTS[name].edits]
    mutants.apply([*faults, *edits.scaled(int(scale))])
    scenario = SCENARIOS[int(number)]
    if short and scenario.short:
        scenario = replace(scenario, minutes=scenario.short)
    if scenario.hostile:
        from tests.scale import hostile

        print(json.dumps(hostile.run()))
        return
    from tests.scale import crowd

    print(json.dumps(crowd.run(scenario, int(scale))))


if __name__ == "__main__":
    main()
