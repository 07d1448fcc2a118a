"""Deliver: signed callbacks that a client can verify and tell apart, until it takes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from darkroom.domain.callbacks import EVENTS, PAUSES_S, Endpoint, endpoint_key
from darkroom.ports import Attempt, Delivery, SecretVersion
from darkroom.services.callback_secrets import callback_secret
from standardwebhooks import webhooks

from tests.fakes import Crash
from tests.world import World

HOOK = "https://client.test/hook"
KEY = endpoint_key("acme", HOOK)


def ended(world: World, tenant: str = "acme") -> str:
    """A failed prediction whose callback is owed; its id."""
    record = world.accept(webhook=HOOK, tenant=tenant)
    world.provider.finish(str(record.provider_id), "failed")
    world.webhook(record.id, str(record.provider_id))
    world.run_stream()
    return record.id


def row(world: World, id_: str, event: str = "completed") -> Delivery:
    return world.deliveries.rows[id_, event]


def verified(world: World, monkeypatch: pytest.MonkeyPatch, secret: str) -> Any:
    """The last callback's body, as the reference implementation of the signature reads it."""

    class Now(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(world.clock() / 1000, tz or UTC)

    monkeypatch.setattr(webhooks, "datetime", Now)
    _, headers, body = world.callbacks.posts[-1]
    return webhooks.Webhook(secret).verify(body, headers)


# What is sent


def test_a_client_can_verify_what_it_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    id_ = ended(world)
    assert world.deliver(id_, "completed")
    ((url, headers, body),) = world.callbacks.posts
    assert url == HOOK
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == f"{id_}_completed"
    secret = world.callback_secrets.current("acme")
    assert verified(world, monkeypatch, secret) == json.loads(body)
    assert json.loads(body) == world.shown(world.record(id_))
    assert json.loads(body)["status"] == "failed"


def test_each_tenant_has_a_secret_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.deliver(ended(world, "acme"), "completed")
    with pytest.raises(webhooks.WebhookVerificationError):
        verified(world, monkeypatch, world.callback_secrets.current("other"))
    assert callback_secret(b"c" * 32, "acme") != callback_secret(b"c" * 32, "acme", 2)
    assert callback_secret(b"c" * 32, "acme") != callback_secret(b"d" * 32, "acme")


def test_while_a_rotation_overlaps_both_secrets_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    old = world.callback_secrets.current("acme")
    world.controls.versions["acme"] = SecretVersion(2, world.clock() + 1000)
    new = world.callback_secrets.current("acme")
    assert old != new
    world.deliver(ended(world), "completed")
    assert verified(world, monkeypatch, old) == verified(world, monkeypatch, new)
    _, headers, _ = world.callbacks.posts[-1]
    assert len(headers["webhook-signature"].split(" ")) == 2
    world.clock.advance(1)
    world.deliver(ended(world), "completed")
    verified(world, monkeypatch, new)
    with pytest.raises(webhooks.WebhookVerificationError):
        verified(world, monkeypatch, old)


def test_the_status_is_that_of_the_event_and_urls_are_those_of_the_attempt() -> None:
    world = World()
    record = world.accept(webhook=HOOK, webhook_events=("start", "logs"))
    provider_id = str(record.provider_id)
    world.provider.upstream[provider_id].update(status="processing", logs="step 1\n")
    world.webhook(record.id, provider_id)
    world.run_stream()
    world.provider.upstream[provider_id]["logs"] += "step 2\n"
    world.clock.advance(1)
    world.webhook(record.id, provider_id)
    world.run_stream()
    world.run_queues()
    seen = [(h["webhook-id"], json.loads(b)) for _, h, b in world.callbacks.posts]
    assert [name for name, _ in seen] == [
        f"{record.id}_start",
        f"{record.id}_logs-000003",
        f"{record.id}_logs-000004",
    ]
    assert [(body["status"], body["logs"]) for _, body in seen] == [
        ("processing", "step 1\n"),
        ("processing", "step 1\n"),
        ("processing", "step 1\nstep 2\n"),
    ]


def test_a_success_shows_its_files_under_urls_of_ours() -> None:
    world = World()
    record = world.accept(webhook=HOOK, webhook_events=EVENTS)
    world.succeed(str(record.provider_id))
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    ids = [headers["webhook-id"] for _, headers, _ in world.callbacks.posts]
    assert ids[-1] == f"{record.id}_completed"
    body = json.loads(world.callbacks.posts[-1][2])
    assert body["status"] == "succeeded"
    assert body["output"][0].startswith("https://outputs.test/acme/")


# Until it is taken


def test_once_delivered_it_is_not_sent_again() -> None:
    world = World()
    id_ = ended(world)
    assert world.deliver(id_, "completed")
    assert not world.deliver(id_, "completed")
    assert len(world.callbacks.posts) == 1
    found = row(world, id_)
    assert (found.state, found.attempts, found.last_status) == ("delivered", 1, 200)
    assert found.due_at is None
    assert found.expires_at == world.clock.now // 1000 + 30 * 86_400
    assert found.history == (Attempt(world.clock.now, 0, 200),)


@pytest.mark.parametrize("status", [301, 400, 500, None])
def test_what_the_client_did_not_take_is_sent_again_with_the_same_id(status: int | None) -> None:
    world = World()
    id_ = ended(world)
    world.callbacks.first = [status]
    world.deliver_queue.take()
    assert not world.deliver(id_, "completed")
    found = row(world, id_)
    assert (found.state, found.attempts, found.last_status) == ("pending", 1, status)
    assert found.last_error == (None if status else "no answer")
    assert found.next_at == world.clock.now + 5000
    assert world.deliver_queue.messages == [({"prediction": id_, "event": "completed"}, 5)]
    assert not world.deliver(id_, "completed")
    assert len(world.callbacks.posts) == 1
    world.clock.advance(5)
    world.run_queues()
    first, second = (headers for _, headers, _ in world.callbacks.posts)
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) == int(first["webhook-timestamp"]) + 5
    assert row(world, id_).state == "delivered"
    assert [attempt.status for attempt in row(world, id_).history] == [status, 200]


def test_the_schedule_ends_after_ten_attempts() -> None:
    world = World()
    id_ = ended(world)
    world.callbacks.status = 503
    begun = world.clock.now
    for _ in range(10 * 24 * 60):
        world.settle()
        if row(world, id_).state != "pending":
            break
        world.sweep(60)
    found = row(world, id_)
    assert (found.state, found.attempts, found.due_at) == ("failed", 10, None)
    assert len(world.callbacks.posts) == len(found.history) == 10
    assert sum(PAUSES_S) <= (world.clock.now - begun) / 1000 <= sum(PAUSES_S) + 20 * 60
    times = [attempt.at for attempt in found.history]
    assert times == sorted(times)


def test_a_pause_that_no_message_can_wait_for_is_the_sweeps() -> None:
    world = World()
    id_ = ended(world)
    world.callbacks.status = 503
    world.callbacks.retry_after_s = 1000.0
    world.settle()
    assert row(world, id_).due_at == row(world, id_).next_at == world.clock.now + 1_000_000
    assert len(world.deliver_queue) == 0
    world.sweep(999)
    assert len(world.deliver_queue) == 0
    world.sweep(1)
    world.run_queues()
    assert len(world.callbacks.posts) == 2


def test_a_message_that_was_lost_is_the_sweeps_too() -> None:
    world = World()
    id_ = ended(world)
    world.callbacks.first = [500]
    world.settle()
    world.deliver_queue.messages.clear()
    world.sweep(64)
    assert len(world.deliver_queue) == 0
    world.sweep(1)
    world.run_queues()
    assert row(world, id_).state == "delivered"


# Crashes and races


def test_an_attempt_that_died_is_made_again_when_its_claim_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    id_ = ended(world)
    world.clock.advance(30)
    with monkeypatch.context() as patch:
        patch.setattr(world.callbacks, "post", _die)
        with pytest.raises(Crash):
            world.deliver(id_, "completed")
    world.deliver_queue.messages.clear()
    assert row(world, id_).next_at == row(world, id_).due_at == world.clock.now + 60_000
    assert not world.deliver(id_, "completed")
    world.sweep(59)
    assert len(world.deliver_queue) == 0
    world.sweep(1)
    world.run_queues()
    found = row(world, id_)
    assert (found.state, found.attempts) == ("delivered", 1)


def _die(*_: Any) -> None:
    raise Crash


def test_of_two_workers_one_calls() -> None:
    world = World()
    id_ = ended(world)
    write = world.deliveries.write

    def beaten(delivery: Delivery, *, seen: Delivery) -> bool:
        world.deliveries.write = write  # type: ignore[method-assign]
        assert world.deliver(id_, "completed")
        return write(delivery, seen=seen)

    world.deliveries.write = beaten  # type: ignore[method-assign]
    assert not world.deliver(id_, "completed")
    assert len(world.callbacks.posts) == 1
    assert row(world, id_).attempts == 1


def test_an_attempt_that_outlived_its_claim_enqueues_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    id_ = ended(world)
    world.deliver_queue.take()
    post = world.callbacks.post

    def slow(*args: Any) -> Any:
        monkeypatch.setattr(world.callbacks, "post", post)
        world.clock.advance(61)
        assert world.deliver(id_, "completed")
        world.callbacks.first = [500]
        return post(*args)

    monkeypatch.setattr(world.callbacks, "post", slow)
    assert not world.deliver(id_, "completed")
    assert row(world, id_).state == "delivered"
    assert len(world.deliver_queue) == 0


def test_an_attempt_that_could_not_be_signed_is_made_later(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    id_ = ended(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.secrets, "callback_keys", _out_of_order)
        with pytest.raises(ConnectionError):
            world.deliver(id_, "completed")
    assert row(world, id_).attempts == 0
    world.clock.advance(60)
    assert world.deliver(id_, "completed")


def _out_of_order() -> tuple[bytes, ...]:
    raise ConnectionError


# Endpoints


def test_an_endpoint_that_is_gone_is_called_no_more() -> None:
    world = World()
    first, second = ended(world), ended(world)
    other = ended(world, "other")
    world.callbacks.first = [410]
    world.settle()
    assert [row(world, id_).state for id_ in (first, second)] == ["disabled", "disabled"]
    assert [row(world, id_).attempts for id_ in (first, second)] == [1, 0]
    assert row(world, other).state == "delivered"
    assert world.controls.endpoints[KEY].disabled_at == world.clock.now


def test_an_endpoint_that_failed_for_five_days_is_called_no_more() -> None:
    world = World()
    id_ = ended(world)
    world.controls.endpoints[KEY] = Endpoint(failing_since=world.clock.now - 5 * 86_400_000)
    world.callbacks.status = 500
    world.settle()
    assert row(world, id_).state == "disabled"
    assert len(world.deliver_queue) == 0


def test_one_success_makes_an_endpoint_well_again() -> None:
    world = World()
    ended(world)
    world.controls.endpoints[KEY] = Endpoint(failing_since=world.clock.now - 4 * 86_400_000)
    world.settle()
    assert world.controls.endpoints[KEY] == Endpoint()


def test_a_success_on_a_well_endpoint_writes_nothing_of_it() -> None:
    world = World()
    ended(world)
    world.settle()
    assert world.controls.endpoints == {}


# What is not sent


def test_after_the_end_an_older_status_is_not_sent() -> None:
    world = World()
    record = world.accept(webhook=HOOK, webhook_events=("start", "completed"))
    world.provider.upstream[str(record.provider_id)]["status"] = "processing"
    world.webhook(record.id, str(record.provider_id))
    world.run_stream()
    world.callbacks.first = [500]
    world.run_queues()
    world.provider.finish(str(record.provider_id), "failed")
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    world.clock.advance(5)
    assert not world.deliver(record.id, "start")
    assert row(world, record.id, "start").state == "superseded"
    assert row(world, record.id).state == "delivered"
    statuses = [json.loads(body)["status"] for _, _, body in world.callbacks.posts]
    assert statuses == ["processing", "failed"]


def test_who_asked_for_the_start_alone_gets_it_however_late() -> None:
    world = World()
    record = world.accept(webhook=HOOK, webhook_events=("start",))
    world.provider.upstream[str(record.provider_id)]["status"] = "processing"
    world.webhook(record.id, str(record.provider_id))
    world.provider.finish(str(record.provider_id), "failed")
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    ((_, _, body),) = world.callbacks.posts
    assert json.loads(body)["status"] == "processing"
    assert json.loads(body)["completed_at"] is None


def test_nothing_is_sent_that_is_not_owed() -> None:
    world = World()
    id_ = ended(world)
    assert not world.deliver(id_, "start")
    assert not world.deliver("0" * 26, "completed")
    record = world.record(id_)
    del world.store.items[id_]["webhook"]
    assert not world.deliver(id_, "completed")
    world.store.items.clear()
    assert not world.deliver(record.id, "completed")
    assert world.callbacks.posts == []
