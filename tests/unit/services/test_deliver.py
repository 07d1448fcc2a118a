"""Deliver: signed callbacks that a client can verify and distinguish, until it accepts them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from darkroom.domain.callback import EVENTS, KEPT_MS, PAUSES_S, Attempt, Callback
from darkroom.domain.receivers import FAILURES, REFUSALS, SLOW_MS, Endpoint, Receivers, host
from darkroom.ports import CallbackAnswer, SecretVersion
from darkroom.services.callbacks.deliver import Outcome
from darkroom.services.callbacks.secrets import callback_secret
from standardwebhooks import webhooks

from tests.support.callbacks import HOOK, ended, row
from tests.support.fakes import Crash
from tests.support.world import World


def verified(world: World, monkeypatch: pytest.MonkeyPatch, secret: str) -> Any:
    """Return the last callback's body, as the reference implementation of the signature parses
    it."""

    class Now(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(world.clock() / 1000, tz or UTC)

    monkeypatch.setattr(webhooks, "datetime", Now)
    _, headers, body = world.callbacks.posts[-1]
    return webhooks.Webhook(secret).verify(body, headers)


def meanwhile(world: World, id_: str) -> list[Outcome]:
    """Let the next attempt run concurrently with another callback's, which is made before the
    client answers; return the other's outcome."""
    post, seen = world.callbacks.post, list[Outcome]()

    def met(*args: Any) -> CallbackAnswer:
        world.callbacks.post = post  # type: ignore[method-assign]
        seen.append(world.deliver(id_, "completed"))
        return post(*args)

    world.callbacks.post = met  # type: ignore[method-assign]
    return seen


# Content


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


# Retries


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

    def beaten(delivery: Callback, *, seen: Callback) -> bool:
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


def test_one_job_that_is_gone_silences_no_other() -> None:
    world = World()
    first, second = ended(world, url=f"{HOOK}?id=1"), ended(world, url=f"{HOOK}?id=2")
    world.callbacks.first = [410]
    world.settle()
    world.sweep(7 * 86_400)
    world.settle()
    assert [row(world, id_).state for id_ in (first, second)] == ["failed", "delivered"]
    assert [row(world, id_).attempts for id_ in (first, second)] == [1, 1]
    assert world.bus.types.count("Callback Disabled") == 0


def test_an_address_that_is_gone_is_called_no_more_and_that_is_told() -> None:
    world = World()
    ids = [ended(world) for _ in range(REFUSALS + 1)]
    other = ended(world, "other")
    world.callbacks.first = [410] * REFUSALS
    world.settle()
    states = ["failed"] * (REFUSALS - 1) + ["disabled"] * 2
    assert [row(world, id_).state for id_ in ids] == states
    assert [row(world, id_).attempts for id_ in ids] == [1] * REFUSALS + [0]
    assert row(world, other).state == "delivered"
    told = [detail for kind, detail in world.bus.events if kind == "Callback Disabled"]
    assert told == [
        {
            "event_id": f"{ids[REFUSALS - 1]}:completed:disabled",
            "id": ids[REFUSALS - 1],
            "tenant": "acme",
            "host": "client.test",
            "callback": "completed",
            "status": 410,
        }
    ]


def test_an_endpoint_that_failed_for_five_days_is_called_no_more_and_that_is_told() -> None:
    world = World()
    id_ = ended(world)
    five_days = Endpoint(failing_since=world.clock.now - 5 * 86_400_000)
    world.controls.receiving["acme"] = Receivers(endpoints={host(HOOK): five_days})
    world.callbacks.status = None
    assert world.deliver(id_, "completed") is Outcome.DISABLED
    assert row(world, id_).state == "disabled"
    assert world.bus.types[-1] == "Callback Disabled"
    assert world.bus.events[-1][1]["status"] is None
    assert world.deliver(ended(world), "completed") is Outcome.CLOSED


def test_one_success_makes_an_endpoint_well_again() -> None:
    world = World()
    ended(world)
    long = Endpoint(failing_since=world.clock.now - 4 * 86_400_000, failures=FAILURES)
    world.controls.receiving["acme"] = Receivers(endpoints={host(HOOK): long})
    world.settle()
    assert world.controls.receivers("acme") == Receivers(2)


def test_a_success_on_a_well_endpoint_writes_nothing_of_it() -> None:
    world = World()
    ended(world)
    world.settle()
    assert world.controls.receiving == {}


# Waiting for an endpoint


def slow_by(world: World, seconds: float, status: int | None = 200) -> None:
    """Let every attempt take so long."""
    post = world.callbacks.post

    def slow(*args: Any) -> CallbackAnswer:
        world.clock.advance(seconds)
        return post(*args)

    world.callbacks.status = status
    world.callbacks.post = slow  # type: ignore[method-assign]


def test_one_that_fails_in_a_row_is_put_off_and_no_attempt_is_lost() -> None:
    world = World()
    failing = [ended(world) for _ in range(FAILURES)]
    waiting, other = ended(world), ended(world, url="https://other.test/hook")
    world.callbacks.first = [500] * FAILURES
    for id_ in failing:
        assert world.deliver(id_, "completed") is Outcome.NOT_TAKEN
    world.deliver_queue.take()
    assert world.deliver(waiting, "completed") is Outcome.PUT_OFF
    found = row(world, waiting)
    assert (found.state, found.attempts, found.history) == ("pending", 0, ())
    # The delay plus some jitter, so that not all are due at once.
    assert found.next_at == world.clock.now + 22_500
    assert found.due_at == found.next_at + 60_000
    assert world.deliver_queue.messages == [({"prediction": waiting, "event": "completed"}, 23)]
    assert world.deliver_queue.groups[-1] == "acme"
    assert world.deliver(other, "completed") is Outcome.TAKEN
    world.clock.advance(23)
    assert world.deliver(waiting, "completed") is Outcome.TAKEN
    assert row(world, waiting).attempts == 1


def test_a_slow_one_gets_one_attempt_at_a_time_and_others_are_not_made_to_wait() -> None:
    world = World()
    first, second, third = (ended(world) for _ in range(3))
    slow_by(world, SLOW_MS / 1000)
    world.deliver(first, "completed")
    seen = meanwhile(world, third)
    assert world.deliver(second, "completed") is Outcome.TAKEN
    assert seen == [Outcome.PUT_OFF]
    assert row(world, third).attempts == 0
    # The place is released at the end of the attempt.
    assert world.controls.receivers("acme").busy == ()
    world.clock.advance(30)
    assert world.deliver(third, "completed") is Outcome.TAKEN


def test_a_stage_with_more_consumers_lets_a_slow_one_have_more() -> None:
    world = World()
    world.deliver = replace(world.deliver, share=2)
    first, second, third = (ended(world) for _ in range(3))
    slow_by(world, SLOW_MS / 1000)
    world.deliver(first, "completed")
    seen = meanwhile(world, third)
    world.deliver(second, "completed")
    assert seen == [Outcome.TAKEN]


def test_a_place_is_given_back_where_another_was_faster() -> None:
    world = World()
    id_ = ended(world)
    slow = Receivers(endpoints={host(HOOK): Endpoint(strikes=5)})
    world.controls.receiving["acme"] = slow
    world.deliveries.write = lambda *_, **__: False  # type: ignore[method-assign]
    assert world.deliver(id_, "completed") is Outcome.NOTHING
    assert world.controls.receivers("acme") == replace(slow, revision=2)


def test_a_place_that_a_crash_left_taken_is_free_when_its_claim_ends() -> None:
    world = World()
    world.controls.receiving["acme"] = Receivers(endpoints={host(HOOK): Endpoint(strikes=5)})
    first, second = ended(world), ended(world)
    world.callbacks.post = _die  # type: ignore[assignment, method-assign]
    with pytest.raises(Crash):
        world.deliver(first, "completed")
    del world.callbacks.post  # type: ignore[attr-defined]
    assert world.deliver(second, "completed") is Outcome.PUT_OFF
    world.clock.advance(60)
    assert world.deliver(second, "completed") is Outcome.TAKEN


def test_who_writes_of_an_endpoint_at_the_same_time_loses_nothing() -> None:
    world = World()
    first, second = ended(world), ended(world)
    world.callbacks.status = 500
    meanwhile(world, second)
    world.deliver(first, "completed")
    assert world.controls.receivers("acme").endpoints[host(HOOK)].failures == 2


def test_who_is_too_slow_to_write_of_an_endpoint_leaves_it_to_others() -> None:
    world = World()
    id_ = ended(world)
    world.callbacks.status = 500
    world.controls.put_receivers = lambda *_: False  # type: ignore[method-assign]
    assert world.deliver(id_, "completed") is Outcome.NOT_TAKEN
    assert row(world, id_).attempts == 1
    world.controls.receiving["acme"] = Receivers(endpoints={host(HOOK): Endpoint(strikes=5)})
    assert world.deliver(ended(world), "completed") is Outcome.PUT_OFF


def test_what_waited_for_too_long_is_given_up() -> None:
    world = World()
    id_ = ended(world)
    receivers = Receivers(
        endpoints={host(HOOK): Endpoint(strikes=5)}, busy=(world.clock.now + 10 * 86_400_000,)
    )
    world.controls.receiving["acme"] = receivers
    begun = world.clock.now
    tries = 0
    while row(world, id_).state == "pending":
        world.sweep(60)
        for message in world.deliver_queue.take():
            tries += world.deliver(message["prediction"], message["event"]) is Outcome.PUT_OFF
    assert row(world, id_).state == "failed"
    assert row(world, id_).attempts == 0
    assert 5 * 86_400_000 <= world.clock.now - begun < 5 * 86_400_000 + 3 * 3_600_000
    # Waiting costs less than one write per hour.
    assert tries < 5 * 24 + 12


def test_what_waits_for_long_is_the_sweeps() -> None:
    world = World()
    id_ = ended(world)
    world.clock.advance(3600)
    receivers = Receivers(
        endpoints={host(HOOK): Endpoint(strikes=5)}, busy=(world.clock.now + 10**9,)
    )
    world.controls.receiving["acme"] = receivers
    world.deliver_queue.take()
    assert world.deliver(id_, "completed") is Outcome.PUT_OFF
    assert len(world.deliver_queue) == 0
    assert row(world, id_).due_at == row(world, id_).next_at == world.clock.now + 3_600_000
    assert world.deliveries.lanes[id_, "completed"] == "acme"


def test_a_redelivered_callback_waits_from_when_it_was_asked_for() -> None:
    world = World()
    id_ = ended(world)
    world.settle()
    world.clock.advance(6 * 86_400)
    asked = world.delivered.redeliver("acme", id_, "completed")
    assert 1000 * asked.expires_at == world.clock.now + KEPT_MS
    receivers = Receivers(
        endpoints={host(HOOK): Endpoint(strikes=5)}, busy=(world.clock.now + 10**9,)
    )
    world.controls.receiving["acme"] = receivers
    assert world.deliver(id_, "completed") is Outcome.PUT_OFF
    assert row(world, id_).next_at == world.clock.now + 15_000


# Not sent


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
    assert "completed_at" not in json.loads(body)


def shown_at_end(events: tuple[str, ...], status: str = "succeeded") -> list[tuple[str, Any]]:
    """Return the callbacks for a picture that grows: each event and its output."""
    world = World()
    record = world.accept(webhook=HOOK, webhook_events=events)
    provider_id = str(record.provider_id)
    world.provider.upstream[provider_id] |= {
        "status": "processing",
        "output": ["https://replicate.delivery/a.png"],
    }
    world.webhook(record.id, provider_id)
    world.settle()
    if status == "succeeded":
        world.succeed(provider_id)
    else:
        world.provider.finish(provider_id, status)
    world.webhook(record.id, provider_id)
    world.settle()
    return [
        (headers["webhook-id"].partition("_")[2], json.loads(body)["output"])
        for _, headers, body in world.callbacks.posts
    ]


def test_field_f8_who_asks_for_outputs_alone_gets_the_stored_files() -> None:
    *_, (event, output) = shown_at_end(("output",))
    assert event == "output"
    assert [url.partition("/acme/")[0] for url in output] == ["https://outputs.test"]
    *_, (event, output) = shown_at_end(("start", "output", "logs"))
    assert (event, len(output)) == ("output", 1)


def test_field_f8_with_the_end_the_outputs_come_once() -> None:
    told = shown_at_end(("output", "completed"))
    assert [event for event, output in told if output] == ["completed"]


@pytest.mark.parametrize("events", [("start",), ("logs",)])
def test_who_does_not_ask_for_outputs_gets_none(events: tuple[str, ...]) -> None:
    assert not any(output for _, output in shown_at_end(events))


def test_without_an_output_there_is_none_to_tell_of() -> None:
    assert "output" not in [event for event, _ in shown_at_end(("output",), "failed")]


def test_nothing_is_sent_that_is_not_owed() -> None:
    world = World()
    id_ = ended(world)
    assert not world.deliver(id_, "start")
    assert world.deliver("0" * 26, "completed") is Outcome.NOTHING
    del world.store.items[id_]["webhook"]
    assert not world.deliver(id_, "completed")
    assert world.callbacks.posts == []


def test_a_callback_whose_record_is_gone_is_closed() -> None:
    world = World()
    id_ = ended(world)
    world.store.items.clear()
    enqueued = 0
    for _ in range(100):
        world.sweep(60)
        enqueued += len(world.deliver_queue)
        world.run_queues()
    assert (row(world, id_).state, row(world, id_).due_at) == ("expired", None)
    assert enqueued <= 2
    assert world.callbacks.posts == []


def test_a_callback_whose_records_time_is_over_shows_nothing_that_is_dead() -> None:
    world = World()
    id_ = ended(world)
    # A stage may keep records for a shorter time than callbacks' rows.
    world.store.items[id_]["expires_at"] = {"N": str(world.clock() // 1000)}
    assert world.deliver(id_, "completed") is Outcome.CLOSED
    assert row(world, id_).state == "expired"
