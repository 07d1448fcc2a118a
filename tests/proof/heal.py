"""The end of every schedule: no faults, all messages redelivered, the clock advanced until
quiescence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.proof.cloud import PERSISTENCE
from tests.proof.config import TENANT
from tests.proof.gate import Violation
from tests.proof.quiescence import settled_down
from tests.proof.steps import GROWS, QUEUES
from tests.proof.webhooks import Step

if TYPE_CHECKING:
    from tests.proof.doubles import Message
    from tests.proof.steps import World
    from tests.proof.upstream import Up

BLIPPED = 2
LONGEST = 500
"""Maximum steps until quiescence. More steps mean a loop."""


def heal(world: World, healed: set[bytes] | None = None, key: bytes | None = None) -> list[str]:
    """Heal and check; return the steps taken. Stops early at a state that was healed before.

    `key` is the key of the state, if the caller has it.
    """
    passed: list[bytes] = []
    taken: list[str] = []
    for _ in range(LONGEST):
        if healed is not None:
            key = key or world.cloud.key()
            if key in healed:
                break
            passed.append(key)
            key = None
        name = _next(world)
        if name is None:
            if not any(_may_help(world, message) for message in _dead(world)):
                settled_down(world.invariants)
                break
            stuck = [r.id for r in world.cloud.records() if not r.state.terminal]
            if stuck:
                raise Violation(f"I13 only a redrive can free {stuck[0]}")
            name = "redrive"
        taken.append(name)
        world.step(Step(name))
    else:
        raise Violation(f"I7 not quiet after {LONGEST} steps of healing")
    if healed is not None:
        healed.update(passed)
    return taken


def _next(world: World) -> str | None:
    cloud, upstream = world.cloud, world.cloud.upstream
    if upstream.hooks:
        silent = cloud.config.deaf or upstream.broken(upstream.ups[upstream.hooks[0].id])
        # A webhook that is answered 5xx is repeated for a minute only.
        silent = silent or (cloud.refusals > 0 and not cloud.mended)
        return "lose.0" if silent else "hook.0"
    if cloud.store.stream:
        return f"relay.{int(cloud.store.stream[0][1]['id']['S'])}"
    for letter, queue in QUEUES.items():
        if world.visible(queue):
            return f"run.{letter}.0"
    for number, up in enumerate(upstream.ups.values()):
        if up.status == "starting":
            return f"go.{number}"
        if up.status == "processing" and cloud.config.grows and up.grown < GROWS:
            return f"grow.{number}"
        if up.status == "processing" and _may_finish(world, up):
            return f"ok.{number}"
    if not cloud.mended and cloud.refusals == PERSISTENCE and _others_ended(world):
        return "mend"
    coming = world.next_time()
    if coming is not None:
        return "next" if coming > cloud.clock.now else "sweep"
    # Late creates last: after a repetition of the create, if there was one.
    return "late.0" if upstream.late else None


def _dead(world: World) -> list[Message]:
    return [message for queue in world.cloud.queues.values() for message in queue.dead]


def _may_help(world: World, message: Message) -> bool:
    """Whether a redrive can succeed: not if the answer can never be read."""
    up = world.cloud.upstream.ups.get(dict(message.body).get("provider_id", ""))
    return up is None or not world.cloud.upstream.broken(up)


def _others_ended(world: World) -> bool:
    """Whether the broken row delays only its own tenant."""
    records = world.cloud.records()
    return all(record.state.terminal for record in records if record.tenant != TENANT)


def _may_finish(world: World, up: Up) -> bool:
    """Whether the prediction may end by itself. One that is to be canceled does not, so that a
    forgotten cancellation is noticed; one whose second GET is answered 404 runs until then."""
    for record in world.cloud.records():
        if up.id in record.extra_provider_ids:
            return False
        if up.id == record.provider_id or (record.id == up.record and not record.provider_id):
            if record.provider_id and world.config.blip and up.gets < BLIPPED:
                return False
            return record.cancel_requested_at is None
    return True
