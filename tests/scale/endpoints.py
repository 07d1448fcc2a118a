"""The output host and the clients' endpoints, with the delays of a scenario."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from darkroom.domain.errors import TransferFailedError
from darkroom.ports import CallbackAnswer

from tests.scale.replicate import OUTPUT_LIFE_MS
from tests.scale.times import CALLBACK, OUTPUT
from tests.support.fakes import FakeDownload
from tests.support.world import PNG

if TYPE_CHECKING:
    from collections.abc import Iterator

HANG_S = 15.0
"""Duration of a call to an endpoint that never answers: the sender's own timeout."""


@dataclass
class OutputHost:
    """Serves each output for an hour; `cloud` is set after creation."""

    slow_s: float = 0.0
    cloud: Any = None
    opened: int = 0

    def serves(self, url: str) -> bool:
        return urlsplit(url).hostname == "replicate.delivery"

    @contextmanager
    def open(self, url: str) -> Iterator[FakeDownload]:
        """Serve one download."""
        self.opened += 1
        self.cloud.spend(OUTPUT)
        if self.slow_s:
            self.cloud.wait(self.slow_s)
        run = self.cloud.upstream.runs[urlsplit(url).path.split("/")[1]]
        if self.cloud.clock() >= run.done_at + OUTPUT_LIFE_MS:
            raise TransferFailedError("status 404")
        yield FakeDownload(PNG, len(PNG))


@dataclass
class Callbacks:
    """Accepts callbacks, by host; `dead` ones never answer."""

    dead: str = "dead.test"
    cloud: Any = None
    calls: Counter[str] = field(default_factory=Counter)
    told: dict[str, int] = field(default_factory=dict)
    """Time of each accepted callback, by its id."""

    def post(self, url: str, headers: dict[str, str], _body: bytes) -> CallbackAnswer:
        """Accept or delay one attempt."""
        host = str(urlsplit(url).hostname)
        self.calls[host] += 1
        if host == self.dead:
            self.cloud.wait(HANG_S)
            raise TransferFailedError("no answer")
        self.cloud.spend(CALLBACK)
        self.told.setdefault(headers["webhook-id"], self.cloud.clock())
        return CallbackAnswer(200)
