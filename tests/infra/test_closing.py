"""CloudFormation refuses to remove an export that a deployed stack imports: doors are opened and
closed in an order that never asks it to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from infra.config import StageConfig, all_doors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.infra.synthesis import Synth, Template

IN_ORDER = ("stateful", "cdn", "service", "observability")


def stacks(synth: Synth) -> dict[str, Template]:
    return {name: getattr(synth, name) for name in IN_ORDER}


def imported(part: Any) -> Iterator[str]:
    match part:
        case {"Fn::ImportValue": str(name)}:
            yield name
        case dict():
            for value in part.values():
                yield from imported(value)
        case list():
            for value in part:
                yield from imported(value)


def refusals(before: Synth, after: Synth, order: tuple[str, ...]) -> list[str]:
    """Update stack after stack, and return what CloudFormation would refuse: an import of what no
    stack exports, or the end of an export that is imported."""
    deployed, found = stacks(before), []
    for name in order:
        deployed[name] = stacks(after)[name]
        exports = {export for stack in deployed.values() for export in stack.exports}
        found += [
            f"{name} is refused: {stack} imports {export}"
            for stack, template in deployed.items()
            for export in sorted(set(imported(template.body)) - exports)
        ]
    return found


@pytest.fixture(params=all_doors())
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_door_is_opened_by_a_deployment(
    prod: Synth, synth: Callable[[StageConfig], Synth], door: str
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=(door,)))
    assert refusals(prod, opened, IN_ORDER) == []


def test_a_door_is_closed_by_a_deployment_after_that_of_the_alarms(
    prod: Synth, synth: Callable[[StageConfig], Synth], door: str
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=(door,)))
    assert refusals(opened, prod, ("observability", *IN_ORDER)) == []
    assert refusals(opened, prod, IN_ORDER), "the step that docs/deploy.md asks for is needed"
