"""The hard deadline of an hour for outputs: webhooks are lost while a simulated clock advances."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from darkroom.domain.prediction import Code, State

from tests.proof.gate import Violation, check
from tests.proof.heal import heal
from tests.proof.shows import FINAL
from tests.proof.steps import QUEUES, World
from tests.proof.webhooks import Step
from tests.proof.wired import installed

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

    from tests.proof.config import Config
    from tests.proof.doubles import Queue

MINUTE_MS = 60_000
OUTAGE_MINUTES = 45
STORED_WITHIN_MS = 45 * MINUTE_MS
PREDICTIONS = 8
"""None runs longer than 25 minutes, because the provider stops them at their deadline of 30."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Result of one outage."""

    predictions: int
    lost: int
    slowest_ms: int
    """The longest time from completion upstream to stored here."""


def outage(seed: int, share: float, config: Config) -> Kept:
    """Make the webhook endpoint unavailable for 45 minutes; afterwards `share` of the webhooks is
    lost.

    Raises Violation if anything that succeeded upstream is lost or late.
    """
    random = Random(f"{seed}.{share}.{config}")  # noqa: S311 - a replayable draw
    world = World(config)
    runs = {n: random.randint(0, 25) for n in range(PREDICTIONS)}
    with installed(world.cloud):
        for minute in range(OUTAGE_MINUTES + 15):
            if minute < PREDICTIONS:
                world.step(Step(f"submit.{random.choice((1, 2))}"))
            for number, up in enumerate(list(world.cloud.upstream.ups.values())):
                if up.status not in FINAL and minute >= runs[number]:
                    world.step(Step(f"ok.{number}"))
            while world.cloud.upstream.hooks:
                down = minute < OUTAGE_MINUTES or random.random() < share
                world.step(Step("lose.0" if down else "hook.0"))
            world.step(Step("jump.60"))
            world.step(Step("sweep"))
            _drain(world)
        heal(world)
    records = world.cloud.records()
    lost = sum(record.state is not State.SUCCEEDED for record in records)
    slowest = max(record.updated_at - (record.finished_at or 0) for record in records)
    if lost or slowest > STORED_WITHIN_MS:
        raise Violation(f"I5 {lost} outputs lost, slowest {slowest // 1000} s")
    return Kept(len(records), lost, slowest)


def gone(minutes: int, config: Config) -> Prediction:
    """Stop all of Darkroom for so long. The provider deletes its copy after an hour."""
    world = World(config)
    with installed(world.cloud):
        for name in ("submit.1", "ok.0", "lose.0", f"jump.{minutes * 60}"):
            world.step(Step(name))
        heal(world)
    record = world.cloud.records()[0]
    kept = record.state is State.SUCCEEDED
    expired = record.state is State.FAILED and record.code is Code.OUTPUT_EXPIRED
    if not (kept if minutes < 60 else expired):
        raise Violation(f"I5 after {minutes} minutes: {record.state} {record.code}")
    return record


def removed(config: Config) -> World:
    """Let a prediction end and TTL delete it, then repeat all messages about it.

    Raises Violation if a message creates anything, or is not accepted.
    """
    world = World(config)
    cloud = world.cloud
    sent = [_recorded(queue) for queue in cloud.queues.values()]
    with installed(cloud):
        for name in ("submit.1", "go.0", "ok.0"):
            world.step(Step(name))
        heal(world)
        objects = set(cloud.outputs.objects)
        cloud.advance(1000 * max(record.expires_at for record in cloud.records()))
        cloud.store.remove_expired()
        check(not cloud.records(), "a record is there after its time")
        for queue, messages in zip(cloud.queues.values(), sent, strict=True):
            for message in tuple(messages):
                queue.send(message)
        _drain(world)
        world.step(Step("sweep"))
    left = any(queue.messages or queue.dead for queue in cloud.queues.values())
    check(not left, "I13 what speaks of a record that is gone is not taken")
    check(not cloud.records(), "I1 a record that is gone came back")
    check(set(cloud.outputs.objects) == objects, "I6 something was stored for nobody")
    return world


def _recorded(queue: Queue) -> list[dict[str, str]]:
    """Return the list of the messages sent to the queue from now on."""
    sent: list[dict[str, str]] = []
    send = queue.send

    def note(message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        sent.append(message)
        send(message, delay_s, group=group)

    queue.send = note  # type: ignore[method-assign]
    return sent


def _drain(world: World) -> None:
    moved = True
    while moved:
        moved = False
        if world.cloud.store.stream:
            world.step(Step(f"relay.{int(world.cloud.store.stream[0][1]['id']['S'])}"))
            moved = True
        for letter, queue in QUEUES.items():
            if world.visible(queue):
                world.step(Step(f"run.{letter}.0"))
                moved = True
