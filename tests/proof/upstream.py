"""Replicate as the proof sees it: what exists upstream, webhooks on their way, late creates."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from darkroom.domain.lifecycle import Answered, NoAnswer, NotSent
from darkroom.domain.snapshot import read_snapshot, rfc3339
from darkroom.ports import Found

from tests.proof.pictures import output_urls, picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.snapshot import Snapshot

    from tests.fakes import FakeClock

LIFE_MS = 3_600_000
"""Inputs and outputs are deleted this long after completion."""
LAG_MS = 60_000
"""Where the list lags, a new prediction shows in list and GET after so long."""
RETRY_AFTER_S = 30
FINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})


@dataclass(frozen=True, slots=True)
class Up:
    """One prediction upstream."""

    id: str
    record: str
    request: dict[str, Any]
    created_at: int
    ends_by: int
    status: str = "starting"
    completed_at: int | None = None
    told: int = 0
    """Webhooks about it that were answered with a 2xx."""
    cut_off: bool = False
    """Ended by its own time limit, and not by a cancel."""
    in_time: bool = True
    """It showed upstream before a repetition of its create was allowed."""
    extra_since: int | None = None
    """When its record learned that it is one too many."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook on its way: what it says, and since when."""

    id: str
    status: str
    at: int
    signed: int = 0
    """Which of the provider's secrets signs it."""


@dataclass(frozen=True, slots=True)
class Post:
    """One create that left us: what we were told, and when the next one may leave."""

    attempt: int
    sure: bool
    not_before: int


class Upstream:
    """The provider's port, with state that can be saved. `limits` come from Timings."""

    def __init__(self, clock: FakeClock, *, echo: bool, late: bool, lag: bool) -> None:
        self.clock, self.echo, self.late_creates, self.lag = clock, echo, late, lag
        self.ups: dict[str, Up] = {}
        self.hooks: tuple[Hook, ...] = ()
        self.late: tuple[tuple[dict[str, Any], int], ...] = ()
        self.posts: dict[str, tuple[Post, ...]] = {}
        self.signs: Callable[[], int] = lambda: 0
        """Which secret signs webhooks now."""
        self.on_create: Callable[[str], tuple[int, int]] = lambda _record: (0, 0)
        """Checks that a create may leave now; gives its attempt and the end of its silence."""

    # The port

    def create(self, *, fault: str = "", **request: Any) -> Answered | NoAnswer | NotSent:
        record = record_of(request["webhook"])
        attempt, silent_until = self.on_create(record)
        sure = fault in {"429", "401", "refuse"}
        pause = RETRY_AFTER_S * 1000 if fault == "429" else 0
        not_before = self.clock() + pause if sure else silent_until
        post = Post(attempt, sure, not_before)
        self.posts[record] = (*self.posts.get(record, ()), post)
        if fault in {"hang", "late", "drop"}:
            self.clock.now += int(request["budget_s"] * 1000)
        match fault:
            case "hang":
                return NoAnswer()
            case "late":
                if self.late_creates:
                    self.late = (*self.late, (request, silent_until))
                return NoAnswer()
            case "429":
                return Answered(429, {}, float(RETRY_AFTER_S))
            case "500":
                return Answered(500)
            case "401":
                return Answered(401, {"detail": "Unauthenticated"})
            case "refuse":
                return NotSent()
        made = self.make(request)
        match fault:
            case "drop":
                return NoAnswer()
            case "500-created":
                return Answered(500)
            case "garbage":
                return Answered(201, None)
        return Answered(201, self.body(made, made.status))

    def get(self, provider_id: str) -> Snapshot | None:
        up = self.ups.get(provider_id)
        if up is None or self.hidden(up):
            return None
        return self._seen(up)

    def find(self, created_after: int) -> Found:
        shown = [
            self._seen(up)
            for up in reversed(self.ups.values())
            if up.created_at >= created_after and not self.hidden(up)
        ]
        return Found(shown, complete=True)

    def cancel(self, provider_id: str) -> Snapshot | None:
        up = self.ups.get(provider_id)
        if up is None:
            return None
        if up.status not in FINAL:
            up = self.end(up, "canceled")
        return self._seen(up)

    def input_schema(self, model: str, version: str) -> dict[str, Any] | None:
        properties = {"prompt": {"type": "string"}}
        component = {"Input": {"type": "object", "properties": properties}}
        return {"components": {"schemas": component}}

    # What happens there

    def make(self, request: dict[str, Any], silent_until: int | None = None) -> Up:
        """A create comes to be; a late one knows until when it was waited for."""
        record = record_of(request["webhook"])
        number = sum(up.record == record for up in self.ups.values())
        now = self.clock()
        shows = now + (LAG_MS if self.lag else 0)
        up = Up(
            id=f"p{record[-4:]}{number}",
            record=record,
            request=request,
            created_at=now,
            ends_by=now + request["cancel_after_s"] * 1000,
            in_time=silent_until is None or shows <= silent_until,
        )
        self.ups[up.id] = up
        return up

    def arrive(self, number: int) -> Up:
        """A create whose connection hung comes to be after all."""
        request, silent_until = self.late[number]
        self.late = self.late[:number] + self.late[number + 1 :]
        return self.make(request, silent_until)

    def start(self, up: Up) -> Up:
        """It runs; the start webhook leaves."""
        return self._tell(replace(up, status="processing"))

    def end(self, up: Up, status: str, *, cut_off: bool = False) -> Up:
        """It ends; the completed webhook leaves."""
        ended = replace(up, status=status, completed_at=self.clock(), cut_off=cut_off)
        return self._tell(ended)

    def _tell(self, up: Up) -> Up:
        self.ups[up.id] = up
        self.hooks = (*self.hooks, Hook(up.id, up.status, self.clock(), self.signs()))
        return up

    def passing_time(self) -> None:
        """What the clock does upstream: a run past its own limit is stopped."""
        for up in list(self.ups.values()):
            if up.status not in FINAL and self.clock() >= up.ends_by:
                stopped = "aborted" if up.status == "starting" else "canceled"
                self.end(up, stopped, cut_off=True)

    # What it shows

    def hidden(self, up: Up) -> bool:
        return self.lag and self.clock() < up.created_at + LAG_MS

    def removed(self, up: Up) -> bool:
        return up.completed_at is not None and self.clock() >= up.completed_at + LIFE_MS

    def body(self, up: Up, status: str) -> dict[str, Any]:
        """The prediction's JSON as a webhook or an answer carries it."""
        over = status in FINAL
        gone = over and self.removed(up)
        return {
            "id": up.id,
            "status": status,
            "model": up.request["model"],
            "version": up.request["version"] or "hidden",
            "input": {} if gone else up.request["input_"],
            "output": output_urls(up.id) if status == "succeeded" and not gone else None,
            "logs": "" if status == "starting" or gone else "50%" if not over else "50% 100%",
            "error": "the model failed" if status == "failed" else None,
            "metrics": {"predict_time": 1.5} if status == "succeeded" else {},
            "data_removed": gone,
            "created_at": rfc3339(up.created_at),
            "completed_at": rfc3339(up.completed_at) if over and up.completed_at else None,
            "webhook": up.request["webhook"],
        }

    def _seen(self, up: Up) -> Snapshot:
        body = self.body(up, up.status)
        if self.removed(up):
            body["input"] = None
        if not self.echo:
            del body["webhook"]
        return read_snapshot(body)

    def file(self, url: str) -> bytes | None:
        """The output host: the bytes, or None where they are gone or never were."""
        provider_id, _, name = url.removeprefix("https://replicate.delivery/").partition("/")
        up = self.ups.get(provider_id)
        if up is None or up.status != "succeeded" or self.removed(up):
            return None
        return picture(f"{provider_id}/{name}")


def record_of(webhook: str) -> str:
    """The record's id in the webhook URL that we gave."""
    return webhook.partition("?")[0].rpartition("/")[2]


def canonical(up: Up) -> str:
    """What two look-alikes share."""
    return json.dumps(up.request["input_"], sort_keys=True)
