"""Doubles beyond tests/fakes.py: queues that redeliver, an index that lags, what clients got."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from darkroom.adapters.items import read_prediction
from darkroom.domain.errors import DownloadFailed
from darkroom.ports import CallbackAnswer, Due

from tests.fakes import FakeDownload, FakePredictions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from darkroom.domain.prediction import Prediction

    from tests.fakes import FakeClock
    from tests.proof.upstream import Upstream

VISIBILITY_MS = 180_000
RECEIVES = 3
"""Then a message goes to the dead-letter queue: sooner than in production."""


class Predictions(FakePredictions):
    """The fake, without its copies: items here are never changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, dict[str, Any] | None] = {}
        """Each item as it was one write ago: what a lagging index still shows."""
        self.on_write: Callable[[Prediction | None, Prediction], None] = lambda _old, _new: None
        self._known: dict[int, tuple[dict[str, Any], Prediction]] = {}

    def due(self, now: int, limit: int, fault: str = "") -> list[Due]:
        shown = self.items if not fault else self.before
        found = [
            Due(id_, int(item["due_at"]["N"]))
            for id_, item in shown.items()
            if item and "due_at" in item and "due_shard" in item
        ]
        return sorted((d for d in found if d.due_at <= now), key=lambda d: d.due_at)[:limit]

    def read(self, item: dict[str, Any]) -> Prediction:
        """The record in an item, read once per item."""
        known = self._known.get(id(item))
        if known is None or known[0] is not item:
            if len(self._known) > 20_000:
                self._known.clear()
            known = self._known[id(item)] = (item, read_prediction(item))
        return known[1]

    def _read(self, id_: str) -> Prediction:
        return self.read(self.items[id_])

    def _write(self, id_: str, item: dict[str, Any]) -> None:
        old = self.items.get(id_)
        if old == item:
            return
        new = self.read(item)
        self.on_write(self.read(old) if old else None, new)
        self.before[id_] = old
        self.items[id_] = item
        self.stream.append((old, item))


@dataclass(frozen=True, slots=True)
class Message:
    """One message on a queue."""

    body: tuple[tuple[str, str], ...]
    visible_at: int
    receives: int = 0


class Queue:
    """SQS: at least once, delays, a visibility time-out, a dead-letter queue."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.messages: tuple[Message, ...] = ()
        self.dead: tuple[Message, ...] = ()

    def send(self, message: dict[str, str], delay_s: int = 0) -> None:
        visible_at = self.clock() + 1000 * min(delay_s, 900)
        self.messages = (*self.messages, Message(tuple(sorted(message.items())), visible_at))

    def receive(self, message: Message) -> Message:
        """Take a message: invisible to others for the time-out."""
        taken = replace(
            message, visible_at=self.clock() + VISIBILITY_MS, receives=message.receives + 1
        )
        self.messages = tuple(taken if m is message else m for m in self.messages)
        return taken


class Bus:
    """EventBridge: which events it took, by the id that a repetition shares."""

    def __init__(self) -> None:
        self.events: frozenset[str] = frozenset()
        self.on_publish: Callable[[str, dict[str, Any]], None] = lambda _type, _detail: None

    def publish(self, detail_type: str, detail: dict[str, Any]) -> None:
        self.on_publish(detail_type, detail)
        self.events |= {detail["event_id"]}


class Client:
    """The client's webhook endpoint, and what it got."""

    def __init__(self) -> None:
        self.posts: frozenset[str] = frozenset()
        self.on_post: Callable[[str, bytes], None] = lambda _id, _body: None

    def post(
        self, url: str, headers: dict[str, str], body: bytes, fault: str = ""
    ) -> CallbackAnswer:
        self.on_post(headers["webhook-id"], body)
        self.posts |= {headers["webhook-id"]}
        return CallbackAnswer(500 if fault else 200)


class OutputHost:
    """The provider's output host."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    @contextmanager
    def open(self, url: str, fault: str = "") -> Iterator[FakeDownload]:
        data = self.upstream.file(url)
        if data is None:
            raise DownloadFailed("status 404")
        if fault:
            data = data[:-9]
        yield FakeDownload(data, None if fault else len(data), breaks=fault == "break")
