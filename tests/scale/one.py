"""python -m tests.scale.one NUMBER SCALE [MUTANT] [--short]: run one scenario, and print JSON."""

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
    places = {(fault.module, fault.function, fault.old) for fault in faults}
    # The mutated limits are not scaled.
    limits = [e for e in edits.scaled(int(scale)) if (e.module, e.function, e.old) not in places]
    mutants.apply([*faults, *limits])
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
