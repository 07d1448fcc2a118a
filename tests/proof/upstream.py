"""Replicate in the proof: the predictions upstream, webhooks in transit, late creates."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from darkroom.domain.errors import PageTooLargeError, ProviderUnavailableError
from darkroom.ports import Answered, NoAnswer, NotSent

from tests.proof import shows
from tests.proof.pictures import OUTPUTS, picture
from tests.proof.reading import answer_of, page_of, snapshot_of
from tests.proof.shows import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.snapshot import Snapshot
    from darkroom.ports import ProviderPage

    from tests.proof.config import Config
    from tests.support.fakes import FakeClock

LIFE_MS = 3_600_000
"""Time after completion at which inputs and outputs are deleted."""
LAG_MS = 60_000
"""Time after which list and GET show a new prediction, if the list lags."""
TICK_MS = 60_000
"""Age of the state that an old list shows."""
RUN_MS = 1500
"""Minimum computing time of a model."""
RETRY_AFTER_S = 30
STRANGER_MS = 1000
"""Time after the start at which the foreign item appeared in the account's list."""
NOT_MADE = {"429": 429, "401": 401, "403": 403, "413": 413, "409": 409}
REFUSED_FOR_GOOD = frozenset({"413"})


@dataclass(frozen=True, slots=True)
class Up:
    """One prediction upstream."""

    id: str
    record: str
    request: dict[str, Any]
    created_at: int
    ends_by: int
    status: str = "starting"
    started_at: int | None = None
    completed_at: int | None = None
    run_ms: int = 0
    """The computing time, which is billed."""
    pictures: int = OUTPUTS
    """Number of outputs of a success."""
    grown: int = 0
    """Progress while it runs: 1, a first picture; 2, more of its log as well."""
    told: int = 0
    """Number of its webhooks that were answered with a 2xx."""
    gets: int = 0
    """Number of its GETs, counted up to two."""
    cut_off: bool = False
    """Ended by its own time limit, not by a cancellation."""
    in_time: bool = True
    """It appeared upstream before a repetition of its create was allowed."""
    extra_since: int | None = None
    """Time at which its record learned that it is a duplicate."""
    before: str = ""
    """Its status until `changed_at`."""
    changed_at: int = 0

    def removed(self, now: int) -> bool:
        """Whether its input and output are deleted."""
        return self.completed_at is not None and now >= self.completed_at + LIFE_MS


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook in transit: its content and its time."""

    id: str
    status: str
    at: int
    signed: int = 0
    """Index of the provider's secret that signs it."""
    grown: int = 0


@dataclass(frozen=True, slots=True)
class Post:
    """One create that was sent: its answer, and the time from which the next one may be sent."""

    attempt: int
    sure: bool
    not_before: int
    for_good: bool = False
    """Rejected, and not to be sent again."""


class Upstream:
    """The provider's port, with state that can be saved."""

    def __init__(self, clock: FakeClock, config: Config) -> None:
        self.clock, self.config = clock, config
        self.began = clock()
        self.ups: dict[str, Up] = {}
        self.hooks: tuple[Hook, ...] = ()
        self.late: tuple[tuple[dict[str, Any], int], ...] = ()
        self.posts: dict[str, tuple[Post, ...]] = {}
        self.signs: Callable[[], int] = lambda: 0
        """Returns the index of the secret that signs webhooks now."""
        self.on_create: Callable[[str], tuple[int, int]] = lambda _record: (0, 0)
        """Checks that a create may be sent now; returns its attempt and the end of its silence."""

    # The port

    def create(self, *, fault: str = "", **request: Any) -> Answered | NoAnswer | NotSent:
        record = record_of(request["webhook"])
        attempt, silent_until = self.on_create(record)
        sure = fault in NOT_MADE or fault == "refuse"
        pause = RETRY_AFTER_S * 1000 if fault == "429" else 0
        not_before = self.clock() + pause if sure and fault != "409" else silent_until
        post = Post(attempt, sure, not_before, fault in REFUSED_FOR_GOOD)
        self.posts[record] = (*self.posts.get(record, ()), post)
        if fault in {"hang", "late", "drop"}:
            self.clock.now += int(request["budget_s"] * 1000)
        match fault:
            case "hang":
                return NoAnswer()
            case "late":
                if self.config.late:
                    self.late = (*self.late, (request, silent_until))
                return NoAnswer()
            case "500":
                return Answered(500)
            case "refuse":
                return NotSent()
        if fault in NOT_MADE:
            wait = float(RETRY_AFTER_S) if fault == "429" else None
            return Answered(NOT_MADE[fault], {"detail": "No."}, wait)
        made = self.make(request)
        match fault:
            case "drop":
                return NoAnswer()
            case "500-created":
                return Answered(500)
            case "garbage":
                return Answered(201, None)
        try:
            raw = shows.text(self.config, made, made.status, self.clock())
        except shows.UnreadableError:
            return Answered(201, None)
        return Answered(201, answer_of(raw))

    def get(self, provider_id: str, fault: str = "") -> Snapshot | None:
        up = self.ups.get(provider_id)
        if up is None or self.hidden(up) or fault == "404":
            return None
        if self.config.refused:
            raise ProviderUnavailableError("status 403")
        if self.config.blip and up.gets < 2:
            up = self.ups[up.id] = replace(up, gets=up.gets + 1)
            if up.gets == 2:
                return None
        return self._seen(up, "get")

    def page(
        self, created_after: int, created_before: int | None = None, cursor: str | None = None
    ) -> ProviderPage:
        """Return one page of the list, newest first; with one item per page if `listing` says
        so."""
        if self.config.listing == "down":
            raise ProviderUnavailableError("status 500")
        most = 1 if self.config.listing == "short" else 100
        shown = self._listed(created_after, created_before)
        rest = [(number, raw) for number, raw in shown if cursor is None or number < int(cursor)]
        page = [raw for _, raw in rest[:most] if raw is not None]
        if len(page) < len(rest[:most]):
            raise PageTooLargeError("the page is too large")
        more = f'"{rest[most - 1][0]}"' if len(rest) > most else "null"
        return page_of(b'{"results": [%b], "next": %b}' % (b", ".join(page), more.encode()))

    def token_works(self) -> bool:
        return True

    def cancel(self, provider_id: str, fault: str = "") -> Snapshot | None:
        up = self.ups.get(provider_id)
        if up is None or fault == "404":
            return None
        if up.status not in FINAL:
            up = self.end(up, "canceled")
        return self._seen(up, "cancel")

    def input_schema(self, model: str, version: str) -> dict[str, Any] | None:
        properties = {
            "prompt": {"type": "string"},
            "seed": {"type": "integer"},
            "disable_safety_checker": {"type": "boolean"},
        }
        output = {"type": "array", "items": {"type": "string", "format": "uri"}}
        component = {"Input": {"type": "object", "properties": properties}, "Output": output}
        return {"components": {"schemas": component}}

    # Changes upstream

    def make(self, request: dict[str, Any], silent_until: int | None = None) -> Up:
        """Create a prediction; a late one has the time until which its answer was awaited."""
        record = record_of(request["webhook"])
        number = sum(up.record == record for up in self.ups.values())
        now = self.clock()
        hidden_ms = LAG_MS if self.config.lag else TICK_MS if self.config.listing == "old" else 0
        up = Up(
            id=f"p{record[-4:]}{number}",
            record=record,
            request=request,
            created_at=now,
            ends_by=now + request["cancel_after_s"] * 1000,
            pictures=OUTPUTS + self.config.surplus,
            in_time=silent_until is None or now + hidden_ms <= silent_until,
            changed_at=now,
        )
        self.ups[up.id] = up
        return up

    def arrive(self, number: int) -> Up:
        """Let a create whose connection hung take effect."""
        request, silent_until = self.late[number]
        self.late = self.late[:number] + self.late[number + 1 :]
        return self.make(request, silent_until)

    def start(self, up: Up) -> Up:
        """Start the prediction, and send its start webhook."""
        now = self.clock()
        return self._tell(replace(self._was(up), status="processing", started_at=now))

    def grow(self, up: Up) -> Up:
        """Add a first picture, or more of its log, and send a webhook if one was requested."""
        grown = replace(up, grown=up.grown + 1)
        self.ups[up.id] = grown
        if {"output", "logs"} & set(up.request["events"]):
            self._tell(grown)
        return grown

    def end(self, up: Up, status: str, at: int | None = None) -> Up:
        """End the prediction, by itself or at its own time limit, and send its completed
        webhook."""
        ran = status == "succeeded" or up.started_at is not None
        started = (up.started_at or self.clock()) if ran else None
        if status == "succeeded" and self._metered:
            # A minimum time, if the time is billed.
            self.clock.now = max(self.clock.now, (started or 0) + RUN_MS)
        now = self.clock() if at is None else at
        run_ms = now - started if started else 0
        ended = replace(
            self._was(up),
            status=status,
            started_at=started,
            completed_at=now,
            run_ms=run_ms if self._metered else RUN_MS,
            cut_off=at is not None,
        )
        return self._tell(ended)

    @property
    def _metered(self) -> bool:
        return self.config.price == "second"

    def _was(self, up: Up) -> Up:
        return replace(up, before=up.status, changed_at=self.clock())

    def _tell(self, up: Up) -> Up:
        self.ups[up.id] = up
        hook = Hook(up.id, up.status, self.clock(), self.signs(), up.grown)
        self.hooks = (*self.hooks, hook)
        return up

    def passing_time(self) -> None:
        """Stop runs that exceed their own limit, as time passes."""
        for up in list(self.ups.values()):
            if up.status not in FINAL and self.clock() >= up.ends_by:
                stopped = "aborted" if up.status == "starting" else "canceled"
                self.end(up, stopped, at=up.ends_by)

    # The provider's view

    def hidden(self, up: Up) -> bool:
        return self.config.lag and self.clock() < up.created_at + LAG_MS

    def removed(self, up: Up) -> bool:
        return up.removed(self.clock())

    def said(self, hook: Hook) -> bytes:
        """Return a webhook's body. Raises UnreadableError if it is too large for any reader."""
        up = replace(self.ups[hook.id], grown=hook.grown)
        return shows.text(self.config, up, hook.status, self.clock(), hook.at)

    @property
    def legible(self) -> bool:
        """Whether every item of the list can be read as shown."""
        config = self.config
        whole = config.body == "plain" and config.item == "plain"
        return whole and config.stays not in {"get", "item"} and config.listing != "down"

    def names(self, up: Up) -> bool:
        """Whether the list shows it, readable, with the webhook that identifies its record."""
        config = self.config
        shown = config.echo != "none" and config.listing != "down" and config.body != "size"
        return shown and not (int(up.record) == 0 and config.stays in {"get", "item"})

    def broken(self, up: Up) -> bool:
        """Whether nothing of it can ever be read, although it can be canceled."""
        return int(up.record) == 0 and (self.config.stays == "get" or self.config.body == "size")

    def _seen(self, up: Up, site: str) -> Snapshot:
        if self.broken(up):
            raise PageTooLargeError(f"{site}: the answer cannot be read")
        echo = self.config.echo != "none"
        return snapshot_of(shows.listed(self.config, up, up.status, self.clock(), echo=echo))

    def _listed(
        self, created_after: int, created_before: int | None
    ) -> list[tuple[int, bytes | None]]:
        """Return the items with their numbers, newest first; None for one that makes its page too
        large."""
        config, now = self.config, self.clock()
        old = now - TICK_MS if config.listing == "old" else now
        items: list[tuple[int, int, bytes | None]] = []
        if config.item != "plain" and old >= self.began + STRANGER_MS:
            items.append((self.began + STRANGER_MS, 0, shows.stranger(config)))
        for number, up in enumerate(self.ups.values(), 1):
            if up.created_at > old or self.hidden(up):
                continue
            status = up.before if up.changed_at > old and up.before else up.status
            items.append((up.created_at, number, self._item(up, status)))
        first, last = created_after, created_before
        return [
            (number, raw)
            for at, number, raw in reversed(items)
            if (shown := at + config.provider_ms) >= first and (last is None or shown < last)
        ]

    def _item(self, up: Up, status: str) -> bytes | None:
        first = int(up.record) == 0
        if first and self.config.stays in {"get", "item"}:
            return b'"unreadable"'
        if first and self.config.body == "size":
            return None
        echo = self.config.echo != "none"
        return shows.listed(self.config, up, status, self.clock(), echo=echo)

    def file(self, url: str) -> bytes | None:
        """Return a file of the output host, or None if it is deleted or never existed."""
        provider_id, _, name = url.removeprefix("https://replicate.delivery/").partition("/")
        up = self.ups.get(provider_id)
        if up is None or up.status != "succeeded" or self.removed(up):
            return None
        return picture(f"{provider_id}/{name}")


def record_of(webhook: str) -> str:
    """Return the record's id in the webhook URL that we sent."""
    return webhook.partition("?")[0].rpartition("/")[2]


def canonical(up: Up) -> str:
    """Return the input that equal predictions share."""
    return json.dumps(up.request["input_"], sort_keys=True)
