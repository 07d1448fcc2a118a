"""The faults that are added to a step: at each of its I/Os, and to the step as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.proof.gate import Run, phases
from tests.proof.webhooks import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

READS = (
    *("get", "get_many", "look", "due", "owner_of", "api_key", "page", "keys", "schema", "head"),
    *("open", "token_works"),
)
RACED = frozenset(
    {
        "provider.create",
        "provider.cancel",
        "store.commit",
        "store.claim",
        "store.mark_effects_done",
        "outputs.write_once",
    }
)
"""I/Os just before which another handler's whole run is inserted."""
AGING = frozenset({"store.insert", "store.claim", "provider.page"})
"""I/Os whose data is compared with the time that passed since they were read or written."""
RACERS = ("rush", "sweep", "cancel.0", "hook.0", "relay.0+run.d.0", "relay.0+run.p.0")


def faulty_steps(step: Step, run: Run | None, *, every: bool) -> Iterator[Step]:
    """Yield the step with each additional single fault that can happen in it."""
    name = step.name
    kind, _, rest = name.partition(".")
    if every and kind in {"hook", "relay", "run"}:
        yield Step(f"{kind}2.{rest}")
        if kind != "run":
            yield Step(f"{'lose' if kind == 'hook' else 'expire'}.{rest}")
    if run is None:
        return
    taken = {number for number, _ in step.plan}
    for number, site in enumerate(run.trace):
        if number in taken:
            continue
        for fault in phases(site):
            if every or not _twin(fault, site, number, len(run.trace)):
                yield Step(name, ((number, fault), *step.plan))
        if site in RACED:
            for racer in RACERS:
                if racer != name:
                    yield Step(name, ((number, f"nest={racer}"), *step.plan))


def _twin(fault: str, site: str, number: int, length: int) -> bool:
    """Whether the fault has the same effect as another one; no state changes between two I/Os."""
    if fault == "kill-before":
        return number > 0
    if fault == "slow":
        return site not in AGING
    reads = site.endswith(READS)
    return reads and (fault == "timeout" or (fault == "kill-after" and number < length - 1))
