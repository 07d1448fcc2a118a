"""HandleWebhook: an authentic webhook changes its record once."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from darkroom.aws.items import prediction_item
from darkroom.domain import link, signature, strict_json
from darkroom.domain.errors import BadRequestError, ConflictError, WebhookRefusedError
from darkroom.domain.prediction import State
from darkroom.services.predictions.handle_webhook import WebhookOutcome

from tests.support.fakes import ContendedPredictions, item_size
from tests.support.world import World


def deliver(world: World, id_: str, body: bytes, token: str | None = None) -> WebhookOutcome:
    """Send any body with the provider's signature."""
    now = world.clock() // 1000
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signature.sign("msg_1", now, body, key=world.secrets.webhook[0]),
    }
    if token is None:
        created = world.record(id_).created_at
        token = link.token(id_, created, key=world.secrets.link[0])
    return world.receive(id_, token, headers, body)


def test_the_same_news_again_changes_nothing() -> None:
    world = World()
    record = world.accept()
    provider_id = str(record.provider_id)
    world.succeed(provider_id)
    assert world.webhook(record.id, provider_id) is WebhookOutcome.CHANGED
    after = world.record(record.id)
    assert world.webhook(record.id, provider_id) is WebhookOutcome.NOTHING_NEW
    assert world.record(record.id) == after


def test_news_of_an_earlier_state_comes_too_late() -> None:
    world = World()
    record = world.accept()
    provider_id = str(record.provider_id)
    world.provider.finish(provider_id, "failed")
    world.webhook(record.id, provider_id)
    after = world.record(record.id)
    world.provider.upstream[provider_id].update(status="processing")
    assert world.webhook(record.id, provider_id) is WebhookOutcome.NOTHING_NEW
    world.provider.upstream[provider_id].update(status="succeeded", output=["https://x.test/1"])
    assert world.webhook(record.id, provider_id) is WebhookOutcome.NOTHING_NEW
    assert world.record(record.id) == after


@pytest.mark.parametrize(
    "forgery",
    [
        {"token": ""},
        {"token": "x" * 32},
        {"token": "é"},
        {"key": b"another key of thirty-two bytes!"},
    ],
    ids=["no token", "wrong token", "odd token", "wrong signature"],
)
def test_a_forged_webhook_changes_nothing(forgery: dict[str, Any]) -> None:
    world = World()
    record = world.accept()
    with pytest.raises(WebhookRefusedError):
        world.webhook(record.id, str(record.provider_id), **forgery)
    assert world.record(record.id) == record


def test_a_stale_webhook_is_refused() -> None:
    world = World()
    record = world.accept()
    body = json.dumps(world.provider.body(str(record.provider_id))).encode()
    then = world.clock() // 1000
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(then),
        "webhook-signature": signature.sign("msg_1", then, body, key=world.secrets.webhook[0]),
    }
    token = link.token(record.id, record.created_at, key=world.secrets.link[0])
    world.clock.advance(301)
    with pytest.raises(WebhookRefusedError) as refused:
        world.receive(record.id, token, headers, body)
    assert refused.value.reason != "link"
    assert world.secrets.refreshes == 0


def test_one_records_token_is_no_other_records() -> None:
    world = World()
    mine, other = world.accept(), world.accept()
    token = link.token(mine.id, mine.created_at, key=world.secrets.link[0])
    with pytest.raises(WebhookRefusedError) as refused:
        world.webhook(other.id, str(other.provider_id), token=token)
    assert refused.value.reason == "link"


@pytest.mark.parametrize("id_", ["0" * 26, "", "../etc", "A" * 26])
def test_an_unknown_record_is_refused_as_a_wrong_link_is(id_: str) -> None:
    world = World()
    with pytest.raises(WebhookRefusedError) as refused:
        deliver(world, id_, b"{}", token="x")
    assert refused.value.reason == "link"


def test_the_previous_link_key_still_counts() -> None:
    world = World()
    record = world.accept()
    old = link.token(record.id, record.created_at, key=world.secrets.link[0])
    world.secrets.link = (b"n" * 32, *world.secrets.link)
    world.provider.finish(str(record.provider_id), "failed")
    assert world.webhook(record.id, str(record.provider_id), token=old) is WebhookOutcome.CHANGED


def test_a_secret_rotated_by_the_provider_is_read_again() -> None:
    world = World()
    record = world.accept()
    new = b"n" * 32
    world.secrets.rotated = (new, *world.secrets.webhook)
    world.provider.finish(str(record.provider_id), "failed")
    assert world.webhook(record.id, str(record.provider_id), key=new) is WebhookOutcome.CHANGED
    assert world.secrets.refreshes == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[]", b'{"id":"x"}', b'{"id":"x","status":7}', b'{"id":1,"id":2}'],
)
def test_a_proven_body_that_is_no_prediction_is_a_bad_request(body: bytes) -> None:
    world = World()
    record = world.accept()
    with pytest.raises(BadRequestError):
        deliver(world, record.id, body)
    assert world.record(record.id) == record


def test_a_race_lost_too_often_raises_so_that_the_provider_sends_it_again() -> None:
    store = ContendedPredictions()
    world = World(store=store)
    record = world.accept()

    def touch() -> None:
        item = store.items[record.id]
        revision = str(int(item["revision"]["N"]) + 1)
        store.items[record.id] = {**item, "revision": {"N": revision}}

    world.provider.finish(str(record.provider_id), "failed")
    store.rivals = [touch] * 4
    with pytest.raises(ConflictError):
        world.webhook(record.id, str(record.provider_id))
    store.rivals = [touch] * 3
    assert world.webhook(record.id, str(record.provider_id)) is WebhookOutcome.CHANGED
    assert world.record(record.id).state is State.FAILED


def test_two_records_that_bind_one_prediction_at_once_leave_it_with_its_owner() -> None:
    # The owner is found only when the write fails, because it was bound between read and write.
    store = ContendedPredictions()
    world = World(dedicated=True, store=store)
    world.provider.answers = ["hang", "drop"]
    owner, other = world.accept(), world.accept()
    (provider_id,) = world.provider.upstream
    store.rivals = [lambda: world.webhook(owner.id, provider_id)]
    assert world.webhook(other.id, provider_id) is WebhookOutcome.NOTHING_NEW
    assert world.record(owner.id).provider_id == provider_id
    assert world.record(other.id).provider_id is None


def test_a_prediction_whose_owner_is_gone_binds_nothing() -> None:
    world = World(dedicated=True)
    world.provider.answers = ["drop"]
    record = world.accept()
    (provider_id,) = world.provider.upstream
    world.store.owners[provider_id] = "0" * 26
    assert world.webhook(record.id, provider_id) is WebhookOutcome.MISDIRECTED
    assert world.record(record.id).provider_id is None


def test_the_largest_record_that_can_come_about_fits_into_an_item() -> None:
    """A record of texts that hardly compress."""
    noise = base64.b85encode(hashlib.shake_256().digest(204_600)).decode()
    world = World()
    record = world.accept({"prompt": noise}, webhook="https://client.test/" + "x" * 2000)
    provider_id = str(record.provider_id)
    names = [hashlib.shake_256(bytes([number])).hexdigest(281) for number in range(100)]
    world.succeed(provider_id, *names)
    world.provider.upstream[provider_id].update(
        logs=noise[:100_000],
        metrics={"x": noise[:3_800]},
        urls={"stream": "https://stream.test/" + "x" * 1900},
    )
    assert world.webhook(record.id, provider_id) is WebhookOutcome.CHANGED
    storing = world.record(record.id)
    assert strict_json.size(storing.output) > 60_000
    assert 250_000 < item_size(prediction_item(storing)) < 400_000
    world.settle()
    after = world.record(record.id)
    assert after.state is State.SUCCEEDED
    assert len(after.files) == 100
