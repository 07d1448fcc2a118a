"""The whole of Darkroom over the fakes: services wired as in production, moved by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

from darkroom.adapters.items import read_prediction
from darkroom.catalog import Catalogue
from darkroom.domain import link, signature
from darkroom.services.authenticate import Authenticate
from darkroom.services.callback_secrets import CallbackSecrets
from darkroom.services.cancel import Cancel
from darkroom.services.carry_out import CarryOut
from darkroom.services.changes import Changes
from darkroom.services.create import SendCreate
from darkroom.services.deliver import DeliverCallback
from darkroom.services.deliveries import Deliveries
from darkroom.services.dispatch import Dispatch
from darkroom.services.files import Files
from darkroom.services.find_model import FindModel
from darkroom.services.intake import NotTaken
from darkroom.services.limits import TenantLimits
from darkroom.services.look import AskForLook, Look
from darkroom.services.models import Models
from darkroom.services.owed import EnqueueOwed
from darkroom.services.persist import Persist
from darkroom.services.read import Read
from darkroom.services.read_input import ReadInput
from darkroom.services.receive import Receive, Received
from darkroom.services.relay import Relay
from darkroom.services.reuse import Remember, Reuse
from darkroom.services.run_times import RunTimes
from darkroom.services.shown import Shown
from darkroom.services.submit import NewPrediction, Submit
from darkroom.services.sweep import Sweep, Tick
from darkroom.services.tasks import TASK, TellTask
from darkroom.services.usage import Usage

from tests.fakes import (
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
from tests.records import TIMINGS

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction
    from darkroom.domain.timings import Timings

load_catalogue = lru_cache(Catalogue.load)
PUBLIC_URL = "https://darkroom.test"
SCHNELL = "black-forest-labs/flux-schnell"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x03\x08\x02\x00\x00\x00"
    b"\x12\x34\x56\x78\x00\x00\x00\x00IEND\xaeB`\x82"
)
"""A picture of 2 by 3 pixels as far as its header and its end go."""


@dataclass
class World:
    """Every use case over one set of fakes. `settle` moves everything until nothing moves."""

    dedicated: bool = False
    timings: Timings = TIMINGS
    open_models: bool = False
    store: FakePredictions = field(default_factory=FakePredictions)

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
        signer = FakeSigner()
        self.shown = Shown(signer, PUBLIC_URL)
        self.changes = Changes(
            self.store, self.clock, self.timings, dedicated_account=self.dedicated
        )
        self.limits = TenantLimits(self.controls, self.clock)
        self.reuse = Reuse(self.controls, self.store, self.outputs)
        create = SendCreate(
            self.changes, self.provider, signer, self.secrets, lambda: 0.5, PUBLIC_URL
        )
        self.submit = Submit(
            changes=self.changes,
            create=create,
            find_model=FindModel(load_catalogue, self.controls, self.provider, self.open_models),
            read_input=ReadInput(self.uploads, self.outputs, signer, PUBLIC_URL),
            random=Random(7),  # noqa: S311 - the same seeds in every run
            retention_days=90,
            public_url=PUBLIC_URL,
            limits=self.limits,
            run_times=RunTimes(self.controls, self.clock),
            reuse=self.reuse,
        )
        self.usage = Usage(self.controls, self.clock)
        self.models = Models(
            load_catalogue,
            self.controls,
            RunTimes(self.controls, self.clock),
            self.open_models,
        )
        self.tasks = FakeTasks()
        self.tell_task = TellTask(self.store, self.tasks, self.shown)
        self.intake_queue, self.rejected = FakeQueue(), FakeDeadLetters()
        self.not_taken = NotTaken(
            self.bus, self.rejected, self.intake_queue, self.tasks, lambda: 0.5
        )
        self.authenticate = Authenticate(self.controls)
        self.forms = FakeForms(self.uploads)
        self.files = Files(self.uploads, self.clock, PUBLIC_URL, self.forms, self.limits)
        self.read = Read(self.store)
        self.cancel = Cancel(self.changes, self.provider, self.read, self.limits)
        self.receive = Receive(self.changes, self.secrets)
        self.dispatch = Dispatch(self.changes, create, self.provider)
        self.ask_for_look = AskForLook(self.store, self.dispatch_queue, self.clock)
        self.look = Look(self.changes, self.provider, self.controls)
        carry_out = CarryOut(
            persist=self.persist_queue,
            dispatch=self.dispatch_queue,
            deliver=self.deliver_queue,
            tasks_queue=self.tasks_queue,
            bus=self.bus,
            deliveries=self.deliveries,
            clock=self.clock,
            timings=self.timings,
        )
        self.relay = Relay(carry_out, self.store, Remember(self.controls))
        self.persist = Persist(
            self.changes, self.fetcher, self.outputs, RunTimes(self.controls, self.clock)
        )
        self.callback_secrets = CallbackSecrets(self.secrets, self.controls, self.clock)
        self.deliver = DeliverCallback(
            deliveries=self.deliveries,
            store=self.store,
            controls=self.controls,
            sender=self.callbacks,
            secrets=self.callback_secrets,
            shown=self.shown,
            queue=self.deliver_queue,
            bus=self.bus,
            random=lambda: 0.5,
            clock=self.clock,
            timings=self.timings,
        )
        self.delivered = Deliveries(
            read=self.read,
            limits=self.limits,
            deliveries=self.deliveries,
            controls=self.controls,
            queue=self.deliver_queue,
            clock=self.clock,
            timings=self.timings,
        )
        self.sweep_service = Sweep(
            changes=self.changes,
            provider=self.provider,
            carry_out=carry_out,
            owed=EnqueueOwed(
                self.deliveries, self.store, self.deliver_queue, self.clock, self.timings
            ),
            public_host="darkroom.test",
            choices=Catalogue.load().choices,
        )

    # What clients do

    def accept(self, input_: dict[str, Any] | None = None, **request: Any) -> Prediction:
        """Submit a flux-schnell prediction and return the record as submit left it."""
        request.setdefault("tenant", "acme")
        request.setdefault("reference", SCHNELL)
        given = {"prompt": "a corgi"} if input_ is None else input_
        wanted = NewPrediction(input=given, **request)
        return self.submit(wanted).record

    def record(self, id_: str) -> Prediction:
        """The record as it is stored now."""
        found = self.store.get(id_)
        assert found is not None
        return found

    # What the provider does

    def succeed(self, provider_id: str, *names: str) -> None:
        """End it well, with one picture for each name, served by the fake output host."""
        urls = [f"https://replicate.delivery/{provider_id}/{name}" for name in names or ["0.png"]]
        self.fetcher.pages.update(dict.fromkeys(urls, PNG))
        self.provider.finish(provider_id, output=urls)

    def webhook(
        self, id_: str, provider_id: str, *, token: str | None = None, key: bytes | None = None
    ) -> Received:
        """Deliver what the provider knows of `provider_id` to the record's webhook URL."""
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
        return self.receive(id_, token, headers, body)

    # What AWS does

    def run_stream(self) -> None:
        """Hand every change in the stream to relay, in order."""
        while self.store.stream:
            old, new = self.store.stream.pop(0)
            self.relay(read_prediction(old) if old else None, read_prediction(new))

    def run_queues(self) -> None:
        """Run every message that waits, whatever its delay."""
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
        tick = self.sweep_service(lambda: 50_000)
        for error in tick.failed.values():
            raise error
        return tick

    def settle(self) -> None:
        """Run stream and queues until nothing is left to do at this moment.

        Messages that wait already are run whatever their delay; those that come to wait meanwhile
        (the next try of a copy, say) stay, since the clock stands still.
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
