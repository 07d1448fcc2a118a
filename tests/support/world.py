"""All of Darkroom over the fakes: its functions built as in production, driven by tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import read_prediction
from darkroom.catalog import Catalogue
from darkroom.domain import link, signature
from darkroom.runtime.adapters import Adapters
from darkroom.runtime.function import declared
from darkroom.services.predictions.submit import NewPrediction
from darkroom.services.predictions.tasks import TASK

from tests.support.fakes import (
    FakeBus,
    FakeCallbacks,
    FakeClock,
    FakeControls,
    FakeDeadLetters,
    FakeDeliveries,
    FakeFetcher,
    FakeForms,
    FakeOutputs,
    FakePredictions,
    FakeProvider,
    FakeQueue,
    FakeSecrets,
    FakeSigner,
    FakeTasks,
    FakeUploads,
)
from tests.support.records import TIMINGS
from tests.support.stream import relayed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from darkroom import ports
    from darkroom.domain.prediction import Prediction
    from darkroom.domain.timings import Timings
    from darkroom.runtime.settings import Settings
    from darkroom.services.predictions.handle_webhook import WebhookOutcome
    from darkroom.services.predictions.sweep import Tick

load_catalogue = lru_cache(Catalogue.load)
PUBLIC_URL = "https://darkroom.test"
SCHNELL = "black-forest-labs/flux-schnell"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x03\x08\x02\x00\x00\x00"
    b"\x12\x34\x56\x78\x00\x00\x00\x00IEND\xaeB`\x82"
)
"""A picture of 2 by 3 pixels, with a valid header and end only."""


def named(kind: type[Settings], given: Mapping[str, Any]) -> Any:
    """Return settings without an environment: a required value that is not given is its own name.

    Given values that this function does not have are ignored.
    """
    ours = {name: value for name, value in given.items() if name in kind.kinds()}
    return kind(**({name: name for name in kind.required()} | ours))


class Doubles(Adapters):
    """Returns the existing fakes of a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def clock(self) -> FakeClock:
        return self.world.clock

    def sleep(self) -> Any:
        return self.world.pass_time

    def dice(self) -> Any:
        return lambda: 0.5

    def seeds(self) -> Random:
        return Random(7)  # noqa: S311 - the same seeds in every run

    def catalogue(self) -> Any:
        return load_catalogue

    def predictions(self, table: str, controls: str = "") -> FakePredictions:
        return self.world.store

    def controls(self, table: str) -> FakeControls:
        return self.world.controls

    def deliveries(self, table: str) -> FakeDeliveries:
        return self.world.deliveries

    def uploads(self, bucket: str) -> FakeUploads:
        return self.world.uploads

    def forms(self, bucket: str, endpoint: str) -> FakeForms:
        return self.world.forms

    def outputs(self, bucket: str, *, lazy: bool = False) -> FakeOutputs:
        return self.world.outputs

    def signer(self, outputs: str, uploads: str, endpoint: str) -> FakeSigner:
        return self.world.signer

    def secrets(self, **names: str) -> FakeSecrets:
        return self.world.secrets

    def provider(self, url: str, secrets: ports.Secrets) -> FakeProvider:
        return self.world.provider

    def queue(self, url: str, *, lazy: bool = False) -> FakeQueue:
        """By the name of the setting, which is the attribute of the world."""
        found: FakeQueue = getattr(self.world, url)
        return found

    def redelivery(self, url: str) -> FakeQueue:
        return self.queue(url)

    def dead_letters(self, url: str) -> FakeDeadLetters:
        return self.world.rejected

    def bus(self, name: str, *, lazy: bool = False) -> FakeBus:
        return self.world.bus

    def tasks(self) -> FakeTasks:
        return self.world.tasks

    def previews(self) -> Any:
        """By the URL, like a client of the function, whose redirect leads to an object."""
        return self.world.previews.get

    def fetcher(self, hosts: tuple[str, ...], most: int, budget_s: float) -> FakeFetcher:
        return self.world.fetcher

    def sender(self, *, local: bool) -> FakeCallbacks:
        return self.world.callbacks


@dataclass
class World:
    """Every use case over one set of fakes. `settle` runs everything until nothing is left to
    do."""

    dedicated: bool = False
    timings: Timings = TIMINGS
    open_models: bool = False
    store: FakePredictions = field(default_factory=FakePredictions)
    waits: bool = False
    """The stage has the door `wait`."""
    thumbnails: bool = False
    """The stage has the door `thumbnails`, and no CDN."""

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.store.clock = self.clock
        self.controls = FakeControls(days=self.store.days, clock=self.clock)
        self.provider = FakeProvider(self.clock)
        self.uploads = FakeUploads(self.clock)
        self.outputs = FakeOutputs()
        self.fetcher = FakeFetcher()
        self.secrets = FakeSecrets()
        self.bus = FakeBus()
        self.deliveries = FakeDeliveries(clock=self.clock)
        self.callbacks = FakeCallbacks()
        self.persist_queue, self.dispatch_queue = FakeQueue(), FakeQueue()
        self.deliver_queue, self.tasks_queue = FakeQueue(), FakeQueue()
        self.tasks, self.signer = FakeTasks(), FakeSigner()
        self.intake_queue, self.rejected = FakeQueue(), FakeDeadLetters()
        self.forms = FakeForms(self.uploads)
        given = {
            "public_url": PUBLIC_URL,
            "timings": self.timings,
            "dedicated_account": self.dedicated,
            "open_models": self.open_models,
            "result_cache": True,
            "tasks": True,
            "copies_at_once": 1,
            "predictions_table": "predictions_table",
            "thumbnails": self.thumbnails,
            **({"watch_key_secret": "link_key_secret"} if self.waits else {}),
            **({"thumbnail_key_secret": "link_key_secret"} if self.thumbnails else {}),
        }
        self.previews: dict[str, bytes] = {}
        """Thumbnails that can be read, by their URLs."""
        self.naps: list[float] = []
        """The durations of sleeps, in seconds."""
        self.meanwhile: dict[int, Callable[[], object]] = {}
        """Actions during the sleep with this number, from 0."""
        doubles = Doubles(self)
        self.functions = {
            name: function.build(named(function.settings, given), doubles)
            for name, function in declared().items()
        }
        """The parts of each function, by its name."""
        made = SimpleNamespace(**self.functions)
        self.authenticate, self.submit, self.shown = (
            made.submit.authenticate,
            made.submit.submit,
            made.submit.shown,
        )
        self.limits, self.reuse = self.submit.limits, self.submit.reuse
        self.read, self.models, self.usage = made.read.read, made.read.models, made.read.usage
        self.ask_for_look = made.read.ask_for_look
        self.cancel, self.files = made.cancel.cancel, made.files.files
        self.retry_or_reject = made.intake.retry_or_reject
        self.receive, self.relay, self.persist = made.webhook, made.relay, made.persist
        self.dispatch, self.look = made.dispatch.dispatch, made.dispatch.look
        self.changes = self.dispatch.changes
        self.deliver, self.tell_task = made.deliver.deliver, made.deliver.tell_task
        self.callback_secrets = self.deliver.secrets
        self.delivered, self.sweep_service = made.deliveries.deliveries, made.sweep

    def pass_time(self, seconds: float) -> None:
        """Sleep: advance the clock, and run the action for this sleep."""
        self.naps.append(seconds)
        self.clock.advance(seconds)
        self.meanwhile.pop(len(self.naps) - 1, lambda: None)()

    # Clients

    def accept(self, input_: dict[str, Any] | None = None, **request: Any) -> Prediction:
        """Submit a flux-schnell prediction and return the record as submit wrote it."""
        request.setdefault("tenant", "acme")
        request.setdefault("reference", SCHNELL)
        given = {"prompt": "a corgi"} if input_ is None else input_
        wanted = NewPrediction(input=given, **request)
        record: Prediction = self.submit(wanted).record
        return record

    def record(self, id_: str) -> Prediction:
        """Return the record as it is stored now."""
        found = self.store.get(id_)
        assert found is not None
        return found

    # Provider

    def succeed(self, provider_id: str, *names: str) -> None:
        """End it successfully, with one picture per name, served by the fake output host."""
        urls = [f"https://replicate.delivery/{provider_id}/{name}" for name in names or ["0.png"]]
        self.fetcher.pages.update(dict.fromkeys(urls, PNG))
        self.provider.finish(provider_id, output=urls)

    def webhook(
        self, id_: str, provider_id: str, *, token: str | None = None, key: bytes | None = None
    ) -> WebhookOutcome:
        """Deliver the provider's record of `provider_id` to the record's webhook URL."""
        record = self.record(id_)
        body = json.dumps(self.provider.body(provider_id)).encode()
        now = self.clock() // 1000
        mac = signature.sign("msg_1", now, body, key=key or self.secrets.webhook[0])
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(now),
            "webhook-signature": mac,
        }
        if token is None:
            token = link.token(id_, record.created_at, key=self.secrets.link[0])
        received: WebhookOutcome = self.receive(id_, token, headers, body)
        return received

    # AWS

    def run_stream(self) -> None:
        """Pass every change in the stream that its filter lets through to relay, in order."""
        while self.store.stream:
            old, new = self.store.stream.pop(0)
            if not relayed(old, new):
                continue
            self.relay(read_prediction(old) if old else None, read_prediction(new))

    def run_queues(self) -> None:
        """Run every waiting message, whatever its delay."""
        for message in self.persist_queue.take():
            self.persist(message["id"])
        for message in self.dispatch_queue.take():
            if message["action"] == "create":
                self.dispatch.create_upstream(message["id"])
            elif message["action"] == "look":
                self.look(message["id"])
            else:
                self.dispatch.cancel_upstream(message["id"], message["provider_id"])
        for message in (*self.deliver_queue.take(), *self.tasks_queue.take()):
            if message["event"] == TASK:
                self.tell_task(message["prediction"])
            else:
                self.deliver(message["prediction"], message["event"])

    def sweep(self, seconds: float = 0) -> Tick:
        """Let time pass, then run one tick."""
        self.clock.advance(seconds)
        tick: Tick = self.sweep_service(lambda: 50_000)
        for error in tick.failed.values():
            raise error
        return tick

    def settle(self) -> None:
        """Run stream and queues until nothing is left to do at this moment.

        Messages that already wait are run whatever their delay; those sent meanwhile (such as the
        next attempt of a copy) stay, since the clock stands still.
        """
        queues = (
            *(self.persist_queue, self.dispatch_queue),
            *(self.deliver_queue, self.tasks_queue),
        )
        self.run_stream()
        self.run_queues()
        while self.store.stream or any(queue.ready for queue in queues):
            self.run_stream()
            if any(queue.ready for queue in queues):
                self.run_queues()
