"""Predictions whose outputs are to be stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.fakes import Crash, FakeDownload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.domain.prediction import Prediction

    from tests.support.world import World


def storing(world: World, *names: str, output: Any = None) -> Prediction:
    """Return a prediction whose outputs are complete upstream; their URLs end in `names`."""
    record = world.accept()
    world.succeed(str(record.provider_id), *names)
    if output is not None:
        world.provider.finish(str(record.provider_id), output=output)
    world.webhook(record.id, str(record.provider_id))
    return world.record(record.id)


def urls(record: Prediction) -> list[str]:
    found: list[str] = record.output
    return found


@dataclass
class Dying(FakeDownload):
    """A download in the middle of which the process dies."""

    def chunks(self) -> Iterator[bytes]:
        yield self.data[:20]
        raise Crash
