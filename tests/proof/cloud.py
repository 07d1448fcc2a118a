"""Darkroom's environment for the proof: the doubles of the ports, and state that is cheap to
save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.domain import keys
from darkroom.ports import ApiKey
from darkroom.runtime.function import declared

from tests.proof import versions
from tests.proof.config import TENANT, TOKENS
from tests.proof.doubles import Bus, Client, OutputHost, Parked, Queue, Secrets, Tasks
from tests.proof.gate import Gate, Gated, OutageError
from tests.proof.states import canonical_key
from tests.proof.table import Predictions
from tests.proof.upstream import Upstream
from tests.proof.wired import handler
from tests.support.fakes import FakeClock, FakeControls, FakeDeliveries, FakeOutputs, FakeUploads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from darkroom.domain.money import LedgerEntry
    from darkroom.domain.prediction import Prediction

    from tests.proof.config import Config

PERSISTENCE = 6
"""Number of attempts with a broken row before it is repaired."""
QUEUES = ("persist", "dispatch", "deliver", "tasks_queue", "intake")
LEFT_OUT = {
    "read": "writes nothing but that a client polls, and is asked for no look here",
    "files": "touches no record",
    "wait": "as read",
    "mcp": "calls the services of submit, read and cancel; its messages write nothing themselves",
    "console": "serves files of its own asset, and touches nothing else",
    "images": "creates by the use case of submit, and by no other call",
    "thumbnail": "as read, beside objects that it writes, which no record knows of",
    "imagewait": "as read, beside answers that are too large, which no record knows of",
}
"""Functions that no schedule runs, with the reason."""


class Cloud:
    """State, the ports over it behind the fault gate, and the handlers."""

    def __init__(self, config: Config, gate: Gate | None = None) -> None:
        self.config = config
        self.gate = gate or Gate()
        self.clock = FakeClock()
        self.store = Predictions()
        self.store.clock = self.clock
        self.store.clock = self.clock
        self.deliveries = FakeDeliveries()
        self.controls = FakeControls(days=self.store.days)
        for tenant, token in TOKENS.items():
            self.controls.keys[keys.key_id(token)] = ApiKey(tenant, frozenset({"submit", "read"}))
        self.controls.tenants[TENANT] = config.limits
        self.outputs = FakeOutputs()
        self.uploads = FakeUploads(self.clock)
        self.queues = {name: Queue(self.clock) for name in QUEUES}
        self.bus = Bus()
        self.client = Client()
        self.client.broken = config.stays == "endpoint"
        self.tasks, self.parked = Tasks(), Parked()
        self.secrets = Secrets()
        self.upstream = Upstream(self.clock, config)
        self.upstream.signs = lambda: int(self.secrets.turn >= 1)
        self.submitted: tuple[int, ...] = ()
        """The kinds of the requests sent, in order."""
        self.accepted: frozenset[str] = frozenset()
        """The ids that a client has received."""
        self.asked: frozenset[int] = frozenset()
        """The kinds of the requests that arrived as events."""
        self.firsts: tuple[int, ...] = ()
        """The kinds of the requests that are not repetitions, in order."""
        self.wished: frozenset[str] = frozenset()
        """The ids whose cancellation a client requested."""
        self.acting = "sweep"
        """The handler that runs now; its clock is the product's time."""
        self.posts_before: frozenset[str] = frozenset()
        """Callbacks that the client had received when the current run began."""
        self.refusals = 0
        """Failed writes of a month's broken row, up to the limit."""
        self.mended = config.stays != "row"
        self.gap = False
        """The clock jumped so far that no sweep ran for most of an hour."""
        self.tally: dict[str, int] = {}
        """Counted metrics; not part of the saved state."""
        self.owed: frozenset[str] = frozenset()
        """Events that a change in the stream must cause, even if no later check requires them."""
        self.store.shape = lambda item: versions.written(config, self.acting, item)
        self.store.strangers = versions.due(config)
        self.store.on_entries = self._enter
        named = {
            "store": self.store,
            "deliveries": self.deliveries,
            "controls": self.controls,
            "outputs": self.outputs,
            "uploads": self.uploads,
            "bus": self.bus,
            "sender": self.client,
            "provider": self.upstream,
            "fetcher": OutputHost(self.upstream),
            "secrets": self.secrets,
            "tasks": self.tasks,
            "dead": self.parked,
            **self.queues,
        }
        self.ports: dict[str, Any] = {n: Gated(n, port, self.gate) for n, port in named.items()}
        self.handlers = {
            name: handler(function, self)
            for name, function in declared().items()
            if name not in LEFT_OUT
        }

    def count(self, *, name: str, value: int, unit: object) -> None:
        """Count a metric."""
        self.tally[name] = self.tally.get(name, 0) + value

    def _enter(self, entries: Sequence[LedgerEntry]) -> None:
        """Called before months are written; the ends of one tenant's predictions may fail here."""
        if self.mended or all(entry.in_flight > 0 for entry in entries):
            return
        self.refusals = min(self.refusals + 1, PERSISTENCE)
        raise OutageError("the month")

    def process_clock(self) -> int:
        """The time by the clock of the process that runs now."""
        return self.clock.now + self.config.ahead_ms(self.acting)

    # State

    def save(self) -> tuple[Any, ...]:
        """Return all state that outlives a process, as shallow copies; the values are immutable."""
        up, store = self.upstream, self.store
        return (
            self.clock.now,
            dict(store.items),
            dict(store.before),
            dict(store.owners),
            tuple(store.stream),
            dict(self.deliveries.rows),
            dict(self.outputs.objects),
            tuple((queue.messages, queue.dead) for queue in self.queues.values()),
            self.bus.events,
            (self.client.posts, self.client.gone, self.tasks.answers, self.parked.bodies),
            dict(up.ups),
            (up.hooks, up.late, dict(up.posts)),
            (self.submitted, self.accepted, self.asked, self.wished, self.gap, self.owed),
            (
                (self.secrets.turn, self.refusals, self.mended, self.firsts),
                dict(store.months),
                {d: dict(row) for d, row in store.days.items()},
            ),
            tuple(dict(table) for table in self._tables()),
        )

    def load(self, saved: tuple[Any, ...]) -> None:
        """Restore a saved state."""
        up, store = self.upstream, self.store
        self.clock.now = saved[0]
        store.items, store.before, store.owners = dict(saved[1]), dict(saved[2]), dict(saved[3])
        store.stream = list(saved[4])
        self.deliveries.rows, self.outputs.objects = dict(saved[5]), dict(saved[6])
        for queue, (messages, dead) in zip(self.queues.values(), saved[7], strict=True):
            queue.messages, queue.dead = messages, dead
        self.bus.events = saved[8]
        self.client.posts, self.client.gone, self.tasks.answers, self.parked.bodies = saved[9]
        up.ups = dict(saved[10])
        up.hooks, up.late, up.posts = saved[11][0], saved[11][1], dict(saved[11][2])
        (
            self.submitted,
            self.accepted,
            self.asked,
            self.wished,
            self.gap,
            self.owed,
        ) = saved[12]
        turn, months, days = saved[13]
        self.secrets.turn, self.refusals, self.mended, self.firsts = turn
        store.months = dict(months)
        store.days.clear()
        store.days.update((day, dict(row)) for day, row in days.items())
        for table, kept in zip(self._tables(), saved[14], strict=True):
            table.clear()
            table.update(kept)

    def _tables(self) -> list[dict[Any, Any]]:
        """The tables that change rarely, and in place."""
        controls = self.controls
        return [
            controls.schemas,
            controls.seen,
            controls.receiving,
            controls.results,
            controls.buckets,
            self.uploads.objects,
            self.store.keys,
            self.store.rows,
        ]

    def records(self) -> list[Prediction]:
        return [self.store.read(item) for item in self.store.items.values()]

    def record(self, id_: str) -> Prediction | None:
        return self.store.read(self.store.items[id_]) if id_ in self.store.items else None

    def key(self) -> bytes:
        """Return equal keys for equal states. Times are relative to now, and included only while
        they can still have an effect."""
        return canonical_key(self)

    def advance(self, to: int) -> None:
        """Advance the clock to `to`, with its effects upstream."""
        self.gap = self.gap or to - self.clock.now >= 2_400_000
        self.clock.now = max(self.clock.now, to)
        self.upstream.passing_time()
