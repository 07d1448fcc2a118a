"""Predictions with pending callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkroom.domain.callback import Callback

    from tests.support.world import World

HOOK = "https://client.test/hook"


def ended(world: World, tenant: str = "acme", url: str = HOOK) -> str:
    """Create a failed prediction with a pending callback; return its id."""
    record = world.accept(webhook=url, tenant=tenant)
    world.provider.finish(str(record.provider_id), "failed")
    world.webhook(record.id, str(record.provider_id))
    world.run_stream()
    return record.id


def row(world: World, id_: str, event: str = "completed") -> Callback:
    return world.deliveries.rows[id_, event]
