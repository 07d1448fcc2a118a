"""Darkroom's whole world for the proof: state that is cheap to save, and handlers built anew."""

from __future__ import annotations

import inspect
import logging
from contextlib import ExitStack, contextmanager
from dataclasses import MISSING, dataclass, fields
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from darkroom.adapters import aws, download, dynamodb, http, queues, replicate, s3
from darkroom.catalog import Catalogue
from darkroom.domain import keys, link
from darkroom.domain.timings import Timings
from darkroom.handlers import cancel, deliver, dispatch, persist, relay, submit, sweep, webhook
from darkroom.ports import ApiKey
from darkroom.runtime import observability, settings, wiring

from tests.fakes import (
    FakeClock,
    FakeControls,
    FakeDeliveries,
    FakeOutputs,
    FakeSecrets,
    FakeSigner,
    FakeUploads,
)
from tests.proof.doubles import Bus, Client, OutputHost, Predictions, Queue
from tests.proof.gate import Gate, Gated
from tests.proof.states import canonical_key
from tests.proof.upstream import Upstream
from tests.world import PUBLIC_URL, load_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from darkroom.domain.prediction import Prediction

TOKEN = "dk_proof"
TENANT = "acme"
TIMINGS = Timings(unknown_poll_s=240.0)
"""Production's, but for fewer looks at the list: each of them costs the proof a tick."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a stage and its provider may be like."""

    echo: bool = False
    """GET and list show the webhook."""
    dedicated: bool = False
    late: bool = False
    """A create whose connection hung may come to be later."""
    lag: bool = False
    """List and GET show a new prediction only after a minute."""
    deaf: bool = False
    """No webhook arrives any more while the schedule is healed: polls and the list are left."""

    def __str__(self) -> str:
        return "-".join(f.name for f in fields(self) if getattr(self, f.name)) or "plain"

    @classmethod
    def read(cls, text: str) -> Config:
        words = text.split("-")
        return cls(**{f.name: f.name in words for f in fields(cls)})


class Cloud:
    """State, the ports over it behind the gate, and the handlers."""

    def __init__(self, config: Config, gate: Gate | None = None) -> None:
        self.config = config
        self.gate = gate or Gate()
        self.clock = FakeClock()
        self.store = Predictions()
        self.deliveries = FakeDeliveries()
        self.controls = FakeControls()
        self.controls.keys[keys.key_id(TOKEN)] = ApiKey(TENANT, frozenset({"submit", "read"}))
        self.outputs = FakeOutputs()
        self.uploads = FakeUploads(self.clock)
        self.queues = {name: Queue(self.clock) for name in ("persist", "dispatch", "deliver")}
        self.bus = Bus()
        self.client = Client()
        self.upstream = Upstream(self.clock, echo=config.echo, late=config.late, lag=config.lag)
        self.submitted: tuple[int, ...] = ()
        """The kinds of the requests sent, in order."""
        self.accepted: frozenset[str] = frozenset()
        """The ids that a client was told."""
        self.wished: frozenset[str] = frozenset()
        """The ids that a client asked to cancel."""
        self.gap = False
        """The clock jumped so far that no sweep ran for most of an hour."""
        self.tally: dict[str, int] = {}
        """Metrics counted; not a part of the saved state."""
        self.owed: frozenset[str] = frozenset()
        """Events that a change in the stream must cause, though no later look would."""
        self._read_settings: dict[type[Any], Any] = {}
        self._ports()

    def _ports(self) -> None:
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
            "secrets": FakeSecrets(),
            **self.queues,
        }
        self.ports: dict[str, Any] = {n: Gated(n, port, self.gate) for n, port in named.items()}
        self.handlers = {
            module.__name__.rpartition(".")[2]: inspect.unwrap(module.handler)
            for module in (submit, cancel, webhook, dispatch, relay, persist, deliver, sweep)
        }

    # Composition: the product's own wiring, over the gated doubles in place of the adapters

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The handlers run over this world, each run wired anew as after a cold start."""
        p = self.ports

        def port(name: str) -> Callable[..., Any]:
            return lambda *_args, **_named: p[name]

        def nothing(*_args: Any, **_named: Any) -> None:
            return None

        drawn = SimpleNamespace(randint=lambda low, _high: low + len(self.submitted))
        dice = SimpleNamespace(SystemRandom=lambda: drawn, random=lambda: 0.5)
        replaced: list[tuple[Any, str, Any]] = [
            (aws, "client", nothing),
            (dynamodb, "DynamoPredictions", port("store")),
            (dynamodb, "DynamoControls", port("controls")),
            (dynamodb, "DynamoDeliveries", port("deliveries")),
            (s3, "S3Outputs", port("outputs")),
            (s3, "S3Uploads", port("uploads")),
            (s3, "S3Signer", lambda *_: FakeSigner()),
            (queues, "SqsQueue", lambda _client, url: p[url.removesuffix("_queue")]),
            (queues, "EventBridgeBus", port("bus")),
            (http, "Client", nothing),
            (download, "OutputFetcher", port("fetcher")),
            (download, "Callbacks", port("sender")),
            (replicate, "Replicate", port("provider")),
            (Catalogue, "load", load_catalogue),
            (settings.Settings, "from_env", classmethod(self._settings)),
            (wiring, "_secrets", port("secrets")),
            (wiring, "now", self.clock),
            (wiring, "random", dice),
            (link, "new_id", lambda *_: f"{len(self.submitted) - 1:026d}"),
            (observability.metrics, "add_metric", self._count),
        ]
        replaced += [(wiring, n, getattr(wiring, n).__wrapped__) for n in self.handlers]
        off = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        with ExitStack() as patches:
            for where, name, value in replaced:
                patches.enter_context(patch.object(where, name, value))
            yield
        logging.disable(off)

    def _settings(self, kind: type[Any]) -> Any:
        """A function's settings without an environment; what is a name is its own value."""
        known = self._read_settings.get(kind)
        if known is None:
            ours = {
                "public_url": PUBLIC_URL,
                "timings": TIMINGS,
                "dedicated_account": self.config.dedicated,
                "open_models": True,
            }
            required = {f.name: f.name for f in fields(kind) if f.default is MISSING}
            given = {f.name: ours[f.name] for f in fields(kind) if f.name in ours}
            known = self._read_settings[kind] = kind(**(required | given))
        return known

    def _count(self, *, name: str, value: int, unit: object) -> None:
        self.tally[name] = self.tally.get(name, 0) + value

    # State

    def save(self) -> tuple[Any, ...]:
        """Everything that outlives a process, as shallow copies: the values never change."""
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
            self.client.posts,
            dict(up.ups),
            (up.hooks, up.late, dict(up.posts)),
            (self.submitted, self.accepted, self.wished, self.gap, self.owed),
            tuple(dict(table) for table in self._tables()),
        )

    def load(self, saved: tuple[Any, ...]) -> None:
        """Back to a saved state."""
        up, store = self.upstream, self.store
        self.clock.now = saved[0]
        store.items, store.before, store.owners = dict(saved[1]), dict(saved[2]), dict(saved[3])
        store.stream = list(saved[4])
        self.deliveries.rows, self.outputs.objects = dict(saved[5]), dict(saved[6])
        for queue, (messages, dead) in zip(self.queues.values(), saved[7], strict=True):
            queue.messages, queue.dead = messages, dead
        self.bus.events, self.client.posts = saved[8], saved[9]
        up.ups = dict(saved[10])
        up.hooks, up.late, up.posts = saved[11][0], saved[11][1], dict(saved[11][2])
        self.submitted, self.accepted, self.wished, self.gap, self.owed = saved[12]
        for table, kept in zip(self._tables(), saved[13], strict=True):
            table.clear()
            table.update(kept)

    def _tables(self) -> list[dict[Any, Any]]:
        """What changes rarely, and in place."""
        controls = self.controls
        return [
            controls.schemas,
            controls.seen,
            controls.endpoints,
            self.uploads.objects,
            self.store.keys,
        ]

    def records(self) -> list[Prediction]:
        return [self.store.read(item) for item in self.store.items.values()]

    def record(self, id_: str) -> Prediction | None:
        return self.store.read(self.store.items[id_]) if id_ in self.store.items else None

    def key(self) -> bytes:
        """Equal for equal states: times count from now, and only while they can still matter."""
        return canonical_key(self)

    def advance(self, to: int) -> None:
        """Let the clock run to `to`, with what that does upstream."""
        self.gap = self.gap or to - self.clock.now >= 2_400_000
        self.clock.now = max(self.clock.now, to)
        self.upstream.passing_time()
