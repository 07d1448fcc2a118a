"""All services over the fakes, with faults in any order, and recovery afterwards."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from darkroom.domain.errors import InvalidInputError, ProviderUnavailableError, WebhookRefusedError
from darkroom.domain.prediction import Prediction, State
from darkroom.ports import Answered
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.support.fakes import Crash
from tests.support.world import World

ANSWERS = st.sampled_from(
    [
        None,
        "drop",
        "hang",
        "refuse",
        "die",
        "die late",
        Answered(429, None, 30),
        Answered(429),
        Answered(401),
        Answered(422, {"detail": "no"}),
        Answered(500),
        Answered(201, {"unreadable": True}),
    ]
)
CREATES_NOTHING = ("hang", "die")
TENANTS = ("acme", "other")
picks = st.integers(0, 1_000_000)


class Faults(RuleBasedStateMachine):
    """Clients, provider and cloud in any order; `teardown` lets everything settle."""

    @initialize(dedicated=st.booleans(), echo=st.booleans())
    def begin(self, dedicated: bool, echo: bool) -> None:
        self.world = World(dedicated=dedicated)
        self.world.provider.echo = echo
        self.twins = not dedicated
        self.seen: dict[str, Prediction] = {}
        self.hung: list[dict[str, Any]] = []
        self.number = 0
        self.keyed: dict[tuple[str, str], str] = {}

    # Clients

    @rule(
        answer=ANSWERS,
        again=ANSWERS,
        twin=st.booleans(),
        hook=st.booleans(),
        tenant=st.sampled_from(TENANTS),
    )
    def submit(self, answer: Any, again: Any, twin: bool, hook: bool, tenant: str) -> None:
        self.number += 1
        # On a shared account equal inputs must not matter at all.
        equal = twin and self.twins
        given = {"prompt": "twin", "seed": 1} if equal else {"prompt": f"picture {self.number}"}
        self.world.provider.answers = [answer, again]
        webhook = "https://client.test/hook" if hook else None
        events = ("start", "completed")
        self.ours(
            lambda: self.world.accept(given, tenant=tenant, webhook=webhook, webhook_events=events)
        )

    @rule(key=st.sampled_from(["one", "two"]), tenant=st.sampled_from(TENANTS), answer=ANSWERS)
    def submit_with_a_key(self, key: str, tenant: str, answer: Any) -> None:
        """The same key and body make one prediction, whatever happened to the first request."""
        self.world.provider.answers = [answer]
        given = {"prompt": f"keyed {key}"}
        made: list[Prediction] = []
        self.ours(lambda: made.append(self.world.accept(given, tenant=tenant, idempotency_key=key)))
        for record in made:
            assert self.keyed.setdefault((tenant, key), record.id) == record.id
            with pytest.raises(InvalidInputError):
                self.world.accept({"prompt": "other"}, tenant=tenant, idempotency_key=key)

    @precondition(lambda self: self.seen)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        record = self.any_record(pick)
        self.ours(lambda: self.world.cancel(record.tenant, record.id))

    # The provider

    @precondition(lambda self: self.world.provider.upstream)
    @rule(pick=picks, status=st.sampled_from(["processing", "succeeded", "failed", "canceled"]))
    def progress(self, pick: int, status: str) -> None:
        provider_id = self.any_upstream(pick)
        body = self.world.provider.upstream[provider_id]
        if body["status"] not in {"starting", "processing"}:
            return
        if status == "succeeded":
            self.world.succeed(provider_id, "0.png", "1.png")
        elif status == "processing":
            body.update(status="processing", logs=body["logs"] + "step\n")
        else:
            self.world.provider.finish(provider_id, status)

    @precondition(lambda self: self.hung)
    @rule(pick=picks, seconds=st.sampled_from([0, 60, 200]))
    def create_late(self, pick: int, seconds: int) -> None:
        request = self.hung.pop(pick % len(self.hung))
        self.ours(lambda: self.world.sweep(seconds))
        self.ours(self.world.settle)
        self.world.provider.make(**request)

    @precondition(lambda self: self.world.provider.upstream)
    @rule(pick=picks)
    def webhook(self, pick: int) -> None:
        self.hear(self.any_upstream(pick))

    @precondition(lambda self: self.world.provider.upstream and self.seen)
    @rule(pick=picks, other=picks, forged=st.sampled_from(["token", "key"]))
    def forge(self, pick: int, other: int, forged: str) -> None:
        before = dict(self.world.store.items)
        wrong: dict[str, Any] = {"token": "x" * 32} if forged == "token" else {"key": b"?" * 32}
        with pytest.raises(WebhookRefusedError):
            self.world.webhook(self.any_record(other).id, self.any_upstream(pick), **wrong)
        assert self.world.store.items == before

    @rule(down=st.booleans())
    def outage(self, down: bool) -> None:
        self.world.provider.down = down

    @rule()
    def rotate_the_secret(self) -> None:
        """The provider signs with a new secret; the functions still have the old one in memory."""
        key = bytes([self.number % 256]) * 32
        self.world.secrets.rotated = (key, self.world.secrets.webhook[0])

    @precondition(lambda self: self.world.provider.upstream)
    @rule(pick=picks)
    def expire(self, pick: int) -> None:
        """The provider deletes its files an hour early; a pending copy must fail in the end."""
        provider_id = self.any_upstream(pick)
        for url in list(self.world.fetcher.pages):
            if provider_id in url:
                del self.world.fetcher.pages[url]

    # The cloud

    @rule()
    def stream(self) -> None:
        self.ours(self.world.run_stream)

    @precondition(lambda self: self.world.store.stream)
    @rule()
    def lose_a_change(self) -> None:
        self.world.store.stream.pop(0)

    @precondition(lambda self: self.world.store.stream)
    @rule()
    def relay_dies(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.world.bus, "publish", die)
            self.ours(self.world.run_stream)

    @rule()
    def queues(self) -> None:
        self.ours(self.world.run_queues)

    @rule(times=st.integers(1, 3))
    def redrive(self, times: int) -> None:
        """Messages return from a dead-letter queue, long after their work was done."""
        for record in self.seen.values():
            for _ in range(times):
                self.world.persist_queue.send({"id": record.id})
                self.world.dispatch_queue.send({"action": "create", "id": record.id})

    @rule()
    def lose_the_messages(self) -> None:
        for queue in self.all_queues():
            queue.messages.clear()

    @rule()
    def persist_dies(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.world.store, "commit", die)
            for message in self.world.persist_queue.take():
                id_ = message["id"]
                self.ours(lambda id_=id_: self.world.persist(id_))

    @rule(seconds=st.sampled_from([0, 1, 30, 61, 150, 400]))
    def sweep(self, seconds: int) -> None:
        self.ours(lambda: self.world.sweep(seconds))

    # Permanent invariants

    @invariant()
    def every_record_moves_forward_only(self) -> None:
        if not hasattr(self, "world"):
            return
        assert self.seen.keys() <= self.world.store.items.keys()
        for id_ in self.world.store.items:
            record, before = self.world.record(id_), self.seen.get(id_)
            self.seen[id_] = record
            if before is None:
                continue
            assert record.state.rank >= before.state.rank
            assert before.provider_id in {None, record.provider_id}
            if before.state.terminal:
                assert (record.state, record.error, record.files) == (
                    before.state,
                    before.error,
                    before.files,
                )

    @invariant()
    def no_prediction_upstream_has_two_owners(self) -> None:
        held = [
            provider_id
            for record in self.seen.values()
            for provider_id in [record.provider_id, *record.extra_provider_ids]
            if provider_id is not None
        ]
        assert len(held) == len(set(held))
        assert set(held) <= set(self.world.provider.upstream)

    @invariant()
    def success_means_that_the_bytes_are_ours(self) -> None:
        for record in self.seen.values():
            if record.state is not State.SUCCEEDED:
                continue
            assert len(record.files) == len(record.output or [])
            for file in record.files:
                _, data = self.world.outputs.objects[file.key]
                assert hashlib.sha256(data).hexdigest() == file.sha256
                assert file.key.startswith(f"{record.tenant}/")

    @invariant()
    def no_create_is_repeated_while_an_earlier_one_could_still_exist(self) -> None:
        made: dict[str, int] = {}
        for request in self.world.provider.creates:
            id_ = request["webhook"].split("/")[-1].split("?")[0]
            made[id_] = made.get(id_, 0) + 1
        for id_, number in made.items():
            # An attempt may have died before it was sent, but not the other way round.
            assert number <= self.world.record(id_).create.attempt

    # Recovery

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.provider.down = False
        self.world.provider.answers = []
        for minute in range(75):
            self.world.sweep(60)
            self.world.settle()
            if minute == 10:
                while self.hung:
                    self.world.provider.make(**self.hung.pop())
            for provider_id, body in list(self.world.provider.upstream.items()):
                if body["status"] in {"starting", "processing"}:
                    self.world.succeed(provider_id)
                    self.hear(provider_id)
            ever = self.world.clock.now * 2
            if not self.world.store.due(ever, 1) and not self.world.deliveries.due(ever, 1):
                break
        self.world.settle()
        self.every_record_moves_forward_only()
        self.nothing_is_stuck()
        self.nothing_upstream_is_without_an_owner()
        self.every_end_was_told()
        self.no_prediction_upstream_has_two_owners()
        self.success_means_that_the_bytes_are_ours()

    def nothing_is_stuck(self) -> None:
        for record in self.seen.values():
            assert record.state.terminal, record
            assert record.effects_done, record
            assert record.due_at is None
        assert not any(map(len, self.all_queues()))
        for row in self.world.deliveries.rows.values():
            # A start that was still pending at the end is not sent any more.
            late = row.event == "start" and row.state == "superseded"
            assert row.state == "delivered" or late

    def nothing_upstream_is_without_an_owner(self) -> None:
        # By now every webhook has been received once, late ones too.
        for provider_id in self.world.provider.upstream:
            self.hear(provider_id)
        self.every_record_moves_forward_only()
        self.world.settle()
        held = {
            provider_id
            for record in self.seen.values()
            for provider_id in [record.provider_id, *record.extra_provider_ids]
        }
        assert set(self.world.provider.upstream) <= held
        for record in self.seen.values():
            assert set(record.extra_provider_ids) <= set(self.world.provider.cancels)

    def every_end_was_told(self) -> None:
        told = {detail["event_id"] for _, detail in self.world.bus.events}
        for record in self.seen.values():
            assert f"{record.id}:{record.state.value}" in told
            if record.webhook:
                row = self.world.deliveries.rows[record.id, "completed"]
                assert row.state == "delivered"

    # Helpers

    def ours(self, act: Any) -> None:
        """Run one of our own processes, which may die; record the creates that the provider
        received."""
        provider = self.world.provider
        number, answers = len(provider.creates), list(provider.answers)
        try:
            act()
        except Crash:
            pass
        except ProviderUnavailableError:
            # Only a queue's consumer raises it, and the message is redelivered.
            assert provider.down
        made = provider.creates[number:]
        self.hung += [
            request
            for request, answer in zip(made, answers, strict=False)
            if answer in CREATES_NOTHING and answer != "die"
        ]

    def hear(self, provider_id: str) -> None:
        body = self.world.provider.upstream[provider_id]
        id_ = body["webhook"].split("/")[-1].split("?")[0]
        newest = self.world.secrets.rotated or self.world.secrets.webhook
        self.world.webhook(id_, provider_id, key=newest[0])

    def any_record(self, pick: int) -> Prediction:
        records = list(self.seen.values())
        return records[pick % len(records)]

    def any_upstream(self, pick: int) -> str:
        ids = list(self.world.provider.upstream)
        return ids[pick % len(ids)]

    def all_queues(self) -> list[Any]:
        world = self.world
        queues = [world.persist_queue, world.dispatch_queue, world.deliver_queue]
        return [*queues, world.tasks_queue]


def die(*_: Any, **__: Any) -> None:
    raise Crash


TestFaults = Faults.TestCase
TestFaults.settings = settings(
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)
