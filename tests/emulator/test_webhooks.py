"""Webhooks: selection, signature and repetition."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from emulator.server import running
from tests.emulator.client import TOKEN, Client, Receiver, until

if TYPE_CHECKING:
    from emulator.server import Emulator


def create(client: Client, receiver: Receiver, *events: str, **values: object) -> dict:
    body = {"webhook": receiver.url, "webhook_events_filter": list(events or ["completed"])}
    return client.create(body=body, **values)


def attempts(client: Client, prediction: dict) -> list[dict]:
    everything = client.get("/_emulator/webhooks").json()
    return [attempt for attempt in everything if attempt["prediction"] == prediction["id"]]


def test_terminal_webhook_is_signed_and_equals_get(
    client: Client, receiver: Receiver, emulator: Emulator
) -> None:
    prediction = create(client, receiver, prompt="ein Kännchen Tee ☕")
    headers, body = receiver.next()
    Webhook(emulator.options.webhook_secret).verify(body, headers)
    assert json.loads(body) == client.prediction(prediction["id"])
    assert json.loads(body)["webhook"] == receiver.url
    assert "☕".encode() in body


def test_all_events(client: Client, receiver: Receiver) -> None:
    client.faults(time_scale=0.5)
    create(client, receiver, "start", "output", "logs", "completed")
    received = [json.loads(receiver.next()[1])]
    while received[-1]["status"] != "succeeded":
        received.append(json.loads(receiver.next()[1]))
    assert received[0]["status"] == "processing"
    assert received[-1]["logs"].startswith(received[0]["logs"])
    # Ten lines of progress in about a second, but one message per half second.
    assert 3 <= len(received) <= 6


@pytest.mark.parametrize(("events", "statuses"), [(["start"], ["processing"]), ([], ["succeeded"])])
def test_filter(client: Client, receiver: Receiver, events: list[str], statuses: list[str]) -> None:
    prediction = create(client, receiver, *events)
    assert [receiver.next_status() for _ in statuses] == statuses
    until(lambda: client.prediction(prediction["id"])["completed_at"])
    assert receiver.arrived.empty()


def test_canceled_is_told(client: Client, receiver: Receiver) -> None:
    client.faults(time_scale=1000)
    client.post(create(client, receiver)["urls"]["cancel"])
    assert receiver.next_status() == "canceled"


def test_terminal_one_is_sent_again_until_accepted(
    client: Client, receiver: Receiver, emulator: Emulator
) -> None:
    receiver.answers = [500, 404, 302]
    prediction = create(client, receiver)
    received = [receiver.next() for _ in range(4)]
    assert len({headers["webhook-id"] for headers, _ in received}) == 1
    assert len({body for _, body in received}) == 1
    for headers, body in received:
        Webhook(emulator.options.webhook_secret).verify(body, headers)
    tried = until(lambda: len(a := attempts(client, prediction)) == 4 and a)
    assert [attempt["response"] for attempt in tried] == [500, 404, 302, 200]
    assert [attempt["attempt"] for attempt in tried] == [1, 2, 3, 4]


def test_it_gives_up_after_seven_attempts(client: Client) -> None:
    body = {"webhook": "http://127.0.0.1:1/", "webhook_events_filter": ["completed"]}
    prediction = client.create(body=body)
    tried = until(lambda: len(a := attempts(client, prediction)) == 7 and a)
    assert all("ConnectError" in attempt["error"] for attempt in tried)
    pauses = [b["time"] - a["time"] for a, b in pairwise(tried)]
    assert pauses == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64], abs=0.2)


def test_others_are_not_sent_again(client: Client, receiver: Receiver) -> None:
    receiver.answers = [500]
    prediction = create(client, receiver, "start", "completed")
    until(lambda: len(attempts(client, prediction)) == 2)
    assert {attempt["event"] for attempt in attempts(client, prediction)} == {"start", "completed"}


def test_drop(client: Client, receiver: Receiver) -> None:
    client.faults(webhook_drop=1)
    prediction = create(client, receiver)
    until(lambda: len(attempts(client, prediction)) >= 2)
    assert receiver.arrived.empty()
    client.faults()
    assert receiver.next_status() == "succeeded"


def test_duplicate(client: Client, receiver: Receiver) -> None:
    client.faults(webhook_duplicate=1)
    create(client, receiver)
    (one, body), (other, same) = receiver.next(), receiver.next()
    assert one["webhook-id"] == other["webhook-id"]
    assert body == same


def test_reorder(client: Client, receiver: Receiver) -> None:
    client.faults(webhook_reorder=1)
    create(client, receiver, "start", "completed")
    assert [receiver.next_status(), receiver.next_status()] == ["succeeded", "processing"]


@pytest.mark.parametrize("fault", ["webhook_bad_signature", "webhook_stale"])
def test_forgeries(client: Client, receiver: Receiver, emulator: Emulator, fault: str) -> None:
    verifier = Webhook(emulator.options.webhook_secret)
    client.faults(**{fault: 1})
    receiver.answers = [401]
    create(client, receiver)
    headers, body = receiver.next()
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body, headers)
    client.faults()
    headers, body = receiver.next()
    verifier.verify(body, headers)


def test_delay_ends_with_the_faults(client: Client, receiver: Receiver) -> None:
    client.faults(webhook_delay_s=60)
    prediction = create(client, receiver)
    until(lambda: client.prediction(prediction["id"])["status"] == "succeeded")
    assert receiver.arrived.empty()
    client.delete("/_emulator/faults")
    assert receiver.next_status() == "succeeded"


def test_echo_can_be_turned_off(client: Client, receiver: Receiver) -> None:
    client.faults(echo_webhook=False)
    created = create(client, receiver)
    assert "webhook" not in created
    assert "webhook" not in json.loads(receiver.next()[1])
    assert "webhook" not in client.prediction(created["id"])
    client.faults(echo_webhook=True)
    assert client.prediction(created["id"])["webhook"] == receiver.url


def test_a_rotated_secret_is_shown_and_signs_beside_the_old_one_for_the_overlap(
    receiver: Receiver,
) -> None:
    with running(token=TOKEN) as emulator, Client(emulator.url) as client:
        client.faults()
        old = emulator.options.webhook_secret
        rotation = client.post("/_emulator/webhook_secret", json={"overlap_s": 60})
        assert rotation.status_code == 200
        new = client.get("/v1/webhooks/default/secret").json()["key"]
        assert new != old
        create(client, receiver, prompt="signed twice")
        headers, body = receiver.next()
        for secret in (old, new):
            Webhook(secret).verify(body, headers)

        client.post("/_emulator/webhook_secret")
        create(client, receiver, prompt="signed once")
        headers, body = receiver.next()
        Webhook(client.get("/v1/webhooks/default/secret").json()["key"]).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(new).verify(body, headers)


@pytest.mark.parametrize("overlap", [-1, 3601, "60", None])
def test_an_overlap_that_is_none_is_refused(client: Client, overlap: object) -> None:
    answer = client.post("/_emulator/webhook_secret", json={"overlap_s": overlap})
    assert answer.status_code == 422
