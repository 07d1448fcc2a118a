"""Schedules as text: written if one fails, read to run it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.proof.config import Config
from tests.proof.gate import Violation
from tests.proof.heal import heal
from tests.proof.steps import World
from tests.proof.webhooks import Step
from tests.proof.wired import installed

if TYPE_CHECKING:
    from collections.abc import Callable

SEPARATOR = "/"
Trail = tuple[Step, ...]


def schedule(config: Config, trail: Trail) -> str:
    """Return the string that replays a schedule."""
    return SEPARATOR.join([str(config), *map(str, trail)])


def read_schedule(text: str) -> tuple[Config, Trail]:
    """Parse that string."""
    config, *steps = text.split(SEPARATOR)
    return Config.read(config), tuple(Step.read(step) for step in steps)


def replay(text: str, say: Callable[[str], None]) -> str | None:
    """Run one schedule again and report each step and I/O. Returns the violation, if it still
    occurs."""
    config, trail = read_schedule(text)
    world = World(config, said=say)
    world.cloud.gate.watch = lambda line: say(f"  {line}")
    with installed(world.cloud):
        try:
            for step in trail:
                if world.can(step.name):
                    world.step(step)
            say("healing")
            heal(world)
        except Violation as violation:
            return str(violation)
    for record in world.cloud.records():
        say(f"{record.id}: {record.state} {record.code or ''} {record.provider_id}")
    return None
