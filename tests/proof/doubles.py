"""Doubles beyond those of tests/support: queues that redeliver, keys that rotate, foreign
messages."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from darkroom.domain.errors import TransferFailedError
from darkroom.ports import CallbackAnswer

from tests.support.fakes import FakeDownload, FakeSecrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.proof.upstream import Upstream
    from tests.support.fakes import FakeClock

WEBHOOK_KEYS = b"w" * 32, b"W" * 32
LINK_KEYS = b"l" * 32, b"L" * 32
TURNS = 4
VISIBILITY_MS = 180_000
RECEIVES = 3
"""After so many receives a message goes to the dead-letter queue; fewer than in production."""


class Secrets(FakeSecrets):
    """Secrets that are rotated in four steps, see `World.rotate`."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0

    def webhook_keys(self, *, refresh: bool = False) -> tuple[bytes, ...]:
        # Until it refreshes, a function has the keys from before the rotation.
        return WEBHOOK_KEYS[::-1] if self.turn >= 2 and refresh else WEBHOOK_KEYS[:1]

    def link_keys(self) -> tuple[bytes, ...]:
        return LINK_KEYS[:1] if self.turn < 3 else LINK_KEYS[:: 1 if self.turn == 3 else -1]


@dataclass(frozen=True, slots=True)
class Message:
    """One message on a queue."""

    body: tuple[tuple[str, str], ...]
    visible_at: int
    receives: int = 0
    receipt: str = ""


class Queue:
    """SQS: at least once, delays, a visibility timeout, a dead-letter queue."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.messages: tuple[Message, ...] = ()
        self.dead: tuple[Message, ...] = ()
        self.receipts = 0

    def send(self, message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        visible_at = self.clock() + 1000 * min(delay_s, 900)
        self.messages = (*self.messages, Message(tuple(sorted(message.items())), visible_at))

    def receive(self, message: Message) -> Message:
        """Receive a message, which is invisible to others until the timeout."""
        self.receipts += 1
        taken = replace(
            message,
            visible_at=self.clock() + VISIBILITY_MS,
            receives=message.receives + 1,
            receipt=str(self.receipts),
        )
        self.messages = tuple(taken if m is message else m for m in self.messages)
        return taken

    def change_visibility(self, receipt: str, seconds: int) -> None:
        """Make a received message visible again after so many seconds."""
        at = self.clock() + 1000 * seconds
        self.messages = tuple(
            replace(m, visible_at=at) if m.receipt == receipt else m for m in self.messages
        )

    def of(self, receipt: str) -> Message:
        """Return the message that was received under this receipt."""
        return next(m for m in self.messages if m.receipt == receipt)


class Bus:
    """EventBridge: the events that it accepted, by the id that repetitions share."""

    def __init__(self) -> None:
        self.events: frozenset[str] = frozenset()
        self.on_publish: Callable[[str, dict[str, Any]], None] = lambda _type, _detail: None

    def publish(self, detail_type: str, detail: dict[str, Any]) -> None:
        self.on_publish(detail_type, detail)
        self.events |= {detail["event_id"]}


class Tasks:
    """Step Functions: the answer of each task, which can happen once."""

    def __init__(self) -> None:
        self.answers: frozenset[tuple[str, str]] = frozenset()
        self.on_answer: Callable[[str, str], None] = lambda _token, _error: None

    def succeed(self, token: str, output: str) -> bool:
        return self._answer(token, "")

    def fail(self, token: str, error: str, cause: str) -> bool:
        return self._answer(token, error)

    def heartbeat(self, token: str) -> bool:
        return all(answered != token for answered, _ in self.answers)

    def _answer(self, token: str, error: str) -> bool:
        waits = self.heartbeat(token)
        if waits:
            self.on_answer(token, error)
            self.answers |= {(token, error)}
        return waits


class Parked:
    """The dead-letter queue of requests."""

    def __init__(self) -> None:
        self.bodies: frozenset[str] = frozenset()

    def park(self, body: str, reason: str) -> None:
        self.bodies |= {body}


class Client:
    """The client's webhook endpoint, and the callbacks that it received."""

    def __init__(self) -> None:
        self.posts: frozenset[str] = frozenset()
        self.gone: frozenset[str] = frozenset()
        """Callbacks that it answered with 410."""
        self.on_post: Callable[[str, bytes], None] = lambda _id, _body: None
        self.broken = False
        """It never answers."""

    def post(
        self, url: str, headers: dict[str, str], body: bytes, fault: str = ""
    ) -> CallbackAnswer:
        if self.broken:
            raise TransferFailedError("no answer")
        self.on_post(headers["webhook-id"], body)
        self.posts |= {headers["webhook-id"]}
        if fault == "status410":
            self.gone |= {headers["webhook-id"]}
        return CallbackAnswer(int(fault.removeprefix("status") or 200))


class OutputHost:
    """The provider's output host."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    def serves(self, url: str) -> bool:
        return url.startswith("https://replicate.delivery/")

    @contextmanager
    def open(self, url: str, fault: str = "") -> Iterator[FakeDownload]:
        data = self.upstream.file(url)
        if data is None:
            raise TransferFailedError("status 404")
        if fault:
            data = data[:-9]
        yield FakeDownload(data, None if fault else len(data), breaks=fault == "break")
