"""Records of another release: unreadable ones do not affect the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws.items import read_due, read_prediction
from darkroom.domain.errors import UnreadableRecordError
from darkroom.domain.lifecycle import Urgency
from darkroom.domain.prediction import State
from darkroom.domain.times import rfc3339
from darkroom.ports import Due

from tests.support import versions
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable


def alter(world: World, id_: str, change: Callable[[Any], Any]) -> None:
    world.store.items[id_] = change(world.store.items[id_])


@pytest.mark.parametrize("change", versions.DAMAGED.values(), ids=versions.DAMAGED)
def test_a_tick_goes_on_behind_a_record_that_it_cannot_read(change: Callable[[Any], Any]) -> None:
    """The readable one's webhook is lost, so only the sweep ends it."""
    world = World()
    bad, good = world.accept(tenant="other"), world.accept()
    alter(world, bad.id, change)
    for record in (bad, good):
        world.succeed(str(record.provider_id))
    failed: set[str] = set()
    for _ in range(30):
        world.clock.advance(60)
        failed |= world.sweep_service(lambda: 110_000).failed.keys()
        for old, new in world.store.stream:
            if "due_at" not in new or new["id"]["S"] == good.id:
                world.relay(read_prediction(old) if old else None, read_prediction(new))
        world.store.stream.clear()
        world.run_queues()
    assert world.record(good.id).state is State.SUCCEEDED
    # Reported in each tick that claims it, and never at the front of the index for long.
    assert failed == {bad.id}
    with pytest.raises(UnreadableRecordError):
        world.store.get(bad.id)
    (key,) = world.store.due(10**15, 10)
    assert key.due_at > world.clock.now - 120_000


@pytest.mark.parametrize("change", versions.DAMAGED.values(), ids=versions.DAMAGED)
def test_what_a_record_is_due_for_is_told_whatever_it_holds(change: Callable[[Any], Any]) -> None:
    world = World()
    record = world.accept()
    key = Due(record.id, 7)
    seen = read_due(key, change(world.store.items[record.id]))
    assert (seen.key, seen.tenant, seen.due_at) == (key, "acme", record.due_at)
    assert type(seen.deadline) is type(seen.created_at) is int
    assert seen.urgency in Urgency


def table(change: Callable[[Any], Any]) -> World:
    """The previous release's table, changed, and a provider with all its predictions."""
    world = World()
    for item in versions.last_release():
        record = read_prediction(item)
        world.store.items[record.id] = change(item)
        for provider_id in filter(None, (record.provider_id, *record.extra_provider_ids)):
            world.provider.upstream[provider_id] = {
                "id": provider_id,
                "status": "processing",
                "created_at": rfc3339(record.created_at),
            }
    return world


RELEASES = {"the last": lambda item: item, **versions.READABLE}


@pytest.mark.parametrize("change", RELEASES.values(), ids=RELEASES)
def test_a_table_of_another_release_is_listed_and_brought_to_its_end(
    change: Callable[[Any], Any],
) -> None:
    world = table(change)
    listed = world.read.page("acme", None, None, world.shown)
    assert (len(listed.results), listed.unreadable) == (len(world.store.items), [])
    for _ in range(60):
        world.sweep(120)
        world.settle()
    assert all(world.record(id_).state.terminal for id_ in world.store.items)
    assert world.store.due(10**15, 100) == []
