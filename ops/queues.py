"""The work queues, and the places for what failed, as the stacks name them in their outputs.

No list is kept here: what the stacks gain, doctor, audit and redrive see at once. That each queue
of the templates has its output, `tests/infra/test_service.py` holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WORK, DEAD, FAILED = "Queue", "Dlq", "Failures"
"""How outputs end: a work queue, its dead letters, failures of what has no queue."""
INTAKE_DLQ = "IntakeDlq"
"""Requests that were refused, each with a `reason`, and whose senders were told."""
OWES_NOTHING = (INTAKE_DLQ, "SweepFailures")
"""Messages in these stand for no work on a record: a refused request, a tick."""


def work_queues(outputs: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Each work queue's name in commands to two outputs: its dead letters and itself."""
    stems = [name.removesuffix(WORK) for name in outputs if name.endswith(WORK)]
    return {stem.lower(): (stem + DEAD, stem + WORK) for stem in sorted(stems)}


def stood_in_for(outputs: Mapping[str, str]) -> dict[str, str]:
    """The same of failures that have no queue: the sweep does what they stand for."""
    return {n.removesuffix(FAILED).lower(): n for n in sorted(outputs) if n.endswith(FAILED)}


def failure_queues(outputs: Mapping[str, str]) -> list[str]:
    """The output of every place for failures: also where a work queue's one is missing."""
    dead = [name for name, _ in work_queues(outputs).values()]
    return [*dead, *stood_in_for(outputs).values()]
