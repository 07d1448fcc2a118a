"""The work queues and failure queues, as the stacks name them in their outputs.

No list is kept here, so doctor, audit and redrive see every queue that the stacks gain.
`tests/infra/test_service.py` checks that each queue of the templates has its output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WORK, DEAD, FAILED = "Queue", "Dlq", "Failures"
"""Suffixes of outputs: a work queue, its dead-letter queue, a failure queue without a work
queue."""
INTAKE_DLQ = "IntakeDlq"
"""Rejected requests, each with a `reason`. Their senders have been notified."""
OWES_NOTHING = (INTAKE_DLQ, "SweepFailures")
"""Queues whose messages stand for no work on a record: a rejected request, a tick."""


def work_queues(outputs: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Map each work queue's name in commands to its outputs: dead-letter queue and queue."""
    stems = [name.removesuffix(WORK) for name in outputs if name.endswith(WORK)]
    return {stem.lower(): (stem + DEAD, stem + WORK) for stem in sorted(stems)}


def stood_in_for(outputs: Mapping[str, str]) -> dict[str, str]:
    """Map likewise the failure queues without a work queue. The sweep does the work they stand
    for."""
    return {n.removesuffix(FAILED).lower(): n for n in sorted(outputs) if n.endswith(FAILED)}


def failure_queues(outputs: Mapping[str, str]) -> list[str]:
    """Return the output of every failure queue, even if the output of a work queue's one is
    missing."""
    dead = [name for name, _ in work_queues(outputs).values()]
    return [*dead, *stood_in_for(outputs).values()]
