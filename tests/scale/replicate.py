"""Replicate over HTTP, for the product's own adapter: real bytes, limits, silence, time."""

from __future__ import annotations

import bisect
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
from darkroom.domain.times import milliseconds, rfc3339

from tests.scale.times import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.scale.times import Cost
    from tests.support.fakes import FakeClock

URL = "https://api.replicate.test"
OUTPUT_LIFE_MS = 3_600_000
WAITS_MS = 1_000
"""From the create to the run."""
MOST_READS = 3_000
"""GETs and pages per minute before the provider answers 429."""
PIECE = 64 * 1024


@dataclass(slots=True)
class Run:
    """One prediction upstream; its state follows from the clock."""

    id: str
    created_at: int
    run_ms: int
    input: bytes
    webhook: str
    model: str
    files: int = 1
    talks: bool = False
    """It logs one character per second."""
    canceled_at: int | None = None

    @property
    def started_at(self) -> int:
        """Time at which it begins to run."""
        return self.created_at + WAITS_MS

    @property
    def done_at(self) -> int:
        """Time at which it ends, unless it is canceled before."""
        return self.started_at + self.run_ms

    @property
    def ended_at(self) -> int:
        """Time at which it ends or ended."""
        return self.canceled_at if self.canceled_at is not None else self.done_at

    def body(self, now: int) -> bytes:
        """Return the prediction as GET, list and webhook show it."""
        ended = self.ended_at
        over = now >= ended
        status = "starting" if now < self.started_at else "processing"
        shown: dict[str, Any] = {
            "id": self.id,
            "model": self.model,
            "version": "hidden",
            "webhook": self.webhook,
            "created_at": rfc3339(self.created_at),
            "output": None,
            "logs": "#" * ((min(now, ended) - self.started_at) // 1000) if self.talks else "",
            "error": None,
        }
        if over:
            status = "succeeded" if self.canceled_at is None else "canceled"
            shown["completed_at"] = rfc3339(ended)
            shown["started_at"] = rfc3339(self.started_at)
            shown["metrics"] = {"predict_time": self.run_ms / 1000}
        gone = over and now >= ended + OUTPUT_LIFE_MS
        if status == "succeeded" and not gone:
            shown["output"] = [
                f"https://replicate.delivery/{self.id}/{n}.png" for n in range(self.files)
            ]
        if gone:
            shown["data_removed"] = True
        head = json.dumps({**shown, "status": status}, separators=(",", ":")).encode()
        given = b"{}" if gone else self.input
        return head[:-1] + b',"input":' + given + b"}"


@dataclass
class Upstream:
    """The account at Replicate: every prediction, in the order of creation."""

    clock: FakeClock
    page_size: int
    run_ms: Callable[[int], int]
    """The run time of the nth prediction."""
    on_created: Callable[[Run], None]
    files: int = 1
    talks: bool = False
    runs: dict[str, Run] = field(default_factory=dict)
    silent: bool = False
    """Requests get no answer before the client's timeout."""
    unanswered: Callable[[int], bool] = lambda _number: False
    """Whether the answer to the nth create is lost."""
    creates: int = 0
    unheard: int = 0
    """GETs and pages requested during silence."""
    _order: list[tuple[int, str]] = field(default_factory=list)

    def create(self, asked: dict[str, Any]) -> Run:
        """Create a prediction."""
        self.creates += 1
        id_ = f"p{len(self.runs):025d}"
        given = json.dumps(asked["input"], ensure_ascii=False, separators=(",", ":")).encode()
        run = Run(
            id_,
            self.clock(),
            self.run_ms(self.creates),
            given,
            asked["webhook"],
            asked["version"],
            self.files,
            self.talks,
        )
        self.runs[id_] = run
        bisect.insort(self._order, (run.created_at, id_))
        self.on_created(run)
        return run

    def cancel(self, id_: str) -> None:
        """End it now, if it still runs."""
        run = self.runs[id_]
        if run.canceled_at is None and self.clock() < run.done_at:
            run.canceled_at = self.clock()

    def page(self, query: dict[str, list[str]]) -> Iterator[bytes]:
        """Return a page of the list, newest first, in pieces."""
        since = milliseconds(query["created_after"][0]) or 0
        until = milliseconds(query.get("created_before", [""])[0] or None) or 10**15
        last = bisect.bisect_left(self._order, (until, ""))
        first = bisect.bisect_left(self._order, (since, ""))
        last = min(last, int(query.get("cursor", ["1000000000"])[0]))
        begin = max(first, last - self.page_size)
        now = self.clock()
        yield b'{"results":['
        for place, (_, id_) in enumerate(reversed(self._order[begin:last])):
            body = (b"," if place else b"") + self.runs[id_].body(now)
            for start in range(0, len(body), PIECE):
                yield body[start : start + PIECE]
        following = None
        if begin > first:
            window = f"created_after={query['created_after'][0]}&created_before={rfc3339(until)}"
            following = f"{URL}/v1/predictions?{window}&cursor={begin}"
        yield b'],"next":' + json.dumps(following).encode() + b"}"


@dataclass
class Calls:
    """The calls of the provider by time and kind; one call may represent several."""

    by_second: dict[str, Counter[int]] = field(
        default_factory=lambda: {name: Counter() for name in PROVIDER}
    )
    """GETs and pages: by the second since the epoch."""

    def note(self, kind: str, at: int, number: int) -> None:
        """Count a call."""
        self.by_second[kind][at // 1000] += number

    def reads(self) -> Counter[int]:
        """Return GETs and pages by second."""
        return self.by_second["get"] + self.by_second["page"]

    def in_a_minute(self, before: int) -> int:
        """Return the reads within the last minute."""
        reads = self.by_second["get"], self.by_second["page"]
        seconds = range(before // 1000 - 59, before // 1000 + 1)
        return sum(kind[second] for kind in reads for second in seconds)

    def most_in_a_minute(self) -> int:
        """Return the maximum number of reads within sixty seconds."""
        reads = self.reads()
        most = running = 0
        if not reads:
            return 0
        for second in range(min(reads), max(reads) + 1):
            running += reads[second] - reads[second - 60]
            most = max(most, running)
        return most


@dataclass
class Http:
    """The adapter's HTTP client, as far as Replicate's API needs it."""

    upstream: Upstream
    calls: Calls
    spend: Callable[[Cost], None]
    wait: Callable[[float], None]
    """Lets seconds pass, at any scale."""
    each: int = 1
    """Predictions that one GET or cancellation represents."""
    wrote: bool = False

    @contextmanager
    def exchange(
        self, method: str, url: str, *, budget_s: float, headers: dict[str, str], content: bytes
    ) -> Iterator[SimpleNamespace]:
        """Do one request."""
        at = urlsplit(url)
        parts = at.path.split("/")[2:]
        match method, parts:
            case "POST", ["predictions"]:
                kind = "create"
            case "POST", ["predictions", _, "cancel"]:
                kind = "cancel"
            case "GET", ["predictions"]:
                kind = "page"
            case "GET", ["predictions", _]:
                kind = "get"
            case _:
                kind = "other"
        now = self.upstream.clock()
        self.calls.note(kind, now, self.each if kind in {"get", "cancel"} else 1)
        if self.upstream.silent:
            self.wrote = True
            self.upstream.unheard += kind in {"get", "page"}
            self.wait(budget_s)
            raise httpx.ReadTimeout("silent")
        self.spend(PROVIDER[kind])
        if kind in {"get", "page"} and self.calls.in_a_minute(now) > MOST_READS:
            yield _answer(429, [b"{}"])
            return
        yield self._answered(kind, parts, parse_qs(at.query), content)

    def _answered(
        self, kind: str, parts: list[str], query: dict[str, list[str]], content: bytes
    ) -> SimpleNamespace:
        up = self.upstream
        if kind == "page":
            return _answer(200, up.page(query))
        if kind == "create":
            run = up.create(json.loads(content))
            if up.unanswered(up.creates):
                self.wrote = True
                raise httpx.ReadTimeout("silent")
            return _answer(201, [run.body(up.clock())])
        if len(parts) < 2 or parts[1] not in up.runs:
            return _answer(404, [b"{}"])
        if kind == "cancel":
            up.cancel(parts[1])
        return _answer(200, [up.runs[parts[1]].body(up.clock())])


def _answer(status: int, chunks: Any) -> SimpleNamespace:
    return SimpleNamespace(status_code=status, headers={}, iter_raw=lambda: iter(chunks))
