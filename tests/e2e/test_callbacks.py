"""Callbacks to a receiver on this machine: signed, retried, abandoned, redelivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from ops.callbacks import rotate
from tests.e2e.driver import SCHNELL, without_thumbnails
from tests.e2e.receiver import receiving
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from tests.e2e.driver import Driver


@pytest.fixture
def secret(driver: Driver) -> str:
    return driver.callback_secret()


def test_a_callback_comes_once_and_can_be_verified(driver: Driver, secret: str) -> None:
    with receiving() as receiver:
        id_ = driver.called_back(f"{receiver.url}?order=7", "completed")
        until(lambda: driver.callback_state(id_) == "delivered")
        assert receiver.ids == [f"{id_}_completed"]
        ((headers, raw),) = receiver.got
    body = Webhook(secret).verify(raw, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(raw + b" ", headers)
    shown = driver.finished(id_)
    assert body["webhook"] == f"{receiver.url}?order=7"
    # The URLs differ, because they are created anew each time.
    assert [without_urls(body), len(body["output"])] == [without_urls(shown), 1]
    assert driver.api.get(body["output"][0]).status_code == 200


def without_urls(shown: dict[str, Any]) -> dict[str, Any]:
    """Return it without URLs, and without the fields that only answers have: the watch URL, the
    revision and the URLs of thumbnails."""
    urls = {name: value for name, value in shown["urls"].items() if name != "watch"}
    ours = {name: value for name, value in shown["darkroom"].items() if name != "revision"}
    kept = {name: value for name, value in shown.items() if name != "output"}
    return kept | {"urls": urls, "darkroom": ours | {"files": without_thumbnails(ours["files"])}}


def test_all_events_of_a_prediction_are_told_and_the_end_is_the_last(driver: Driver) -> None:
    driver.faults(time_scale=6)
    with receiving() as receiver:
        id_ = driver.called_back(receiver.url, "start", "output", "logs", "completed")
        until(lambda: driver.callback_state(id_) == "delivered")
        rows = driver.deliveries(id_)
        until(lambda: all(row["state"] != "pending" for row in driver.deliveries(id_).values()))
    statuses = [body["status"] for body in receiver.bodies]
    assert statuses[-1] == "succeeded"
    assert statuses.count("succeeded") == 1
    assert set(statuses[:-1]) == {"processing"}
    assert f"{id_}_start" in receiver.ids
    assert len(set(receiver.ids)) == len(receiver.ids)
    assert any(event.startswith("logs-") for event in rows)
    told = {
        name.rpartition("-")[2]: body["logs"]
        for name, body in zip(receiver.ids, receiver.bodies, strict=True)
        if "_logs-" in name
    }
    assert told
    # Each shows the logs of its own revision, whenever it was sent, and logs only grow.
    sizes = [len(told[revision]) for revision in sorted(told)]
    assert sizes == sorted(set(sizes))


def test_a_receiver_that_fails_is_called_again_with_the_same_id(
    driver: Driver, secret: str
) -> None:
    with receiving(500, 302) as receiver:
        id_ = driver.called_back(receiver.url, "completed")
        until(lambda: len(receiver.got) >= 2)
        until(lambda: driver.callback_state(id_) == "delivered")
    assert receiver.ids == [f"{id_}_completed"] * 3
    for headers, raw in receiver.got:
        assert Webhook(secret).verify(raw, headers)["status"] == "succeeded"
    row = driver.deliveries(id_)["completed"]
    assert [attempt["status"] for attempt in row["history"]] == [500, 302, 204]
    assert (row["attempts"], row["next_at"]) == (3, None)


def test_one_job_that_is_gone_silences_no_other(driver: Driver) -> None:
    with receiving(410) as receiver:
        first = driver.called_back(f"{receiver.url}?id=1", "completed")
        until(lambda: driver.callback_state(first) == "failed")
        second = driver.called_back(f"{receiver.url}?id=2", "completed")
        until(lambda: driver.callback_state(second) == "delivered")
    assert receiver.ids == [f"{first}_completed", f"{second}_completed"]


def test_an_address_that_is_gone_is_called_again_only_when_asked(driver: Driver) -> None:
    with receiving(410, 410, 410) as receiver:
        gone = []
        for ends in ("failed", "failed", "disabled"):
            gone.append(driver.called_back(receiver.url, "completed"))
            until(lambda ends=ends: driver.callback_state(gone[-1]) == ends)  # type: ignore[misc]
        last = driver.called_back(receiver.url, "completed")
        until(lambda: driver.callback_state(last) == "disabled")
        assert receiver.ids == [f"{id_}_completed" for id_ in gone]
        again = driver.api.post(f"/v1/predictions/{last}/deliveries/completed/redeliver")
        assert again.status_code == 202
        assert again.json()["state"] == "pending"
        until(lambda: driver.callback_state(last) == "delivered")
        assert receiver.ids[3:] == [f"{last}_completed"]
        assert driver.callback_state(gone[-1]) == "disabled"


def test_a_rotated_secret_and_the_one_before_both_verify(driver: Driver, secret: str) -> None:
    table = driver.cloud.outputs["ControlsTable"]
    rotate(driver.cloud.client("dynamodb"), table, "local", overlap_hours=1)
    new = driver.callback_secret()
    assert new != secret
    with receiving() as receiver:
        id_ = driver.called_back(receiver.url, "completed")
        until(lambda: driver.callback_state(id_) == "delivered")
    ((headers, raw),) = receiver.got
    assert Webhook(new).verify(raw, headers) == Webhook(secret).verify(raw, headers)
    rotate(driver.cloud.client("dynamodb"), table, "local", overlap_hours=0)


def test_another_name_for_a_private_address_is_never_called(driver: Driver) -> None:
    answer = driver.api.post(
        "/v1/predictions",
        json={"version": SCHNELL, "input": {"prompt": "x"}, "webhook": "http://127.0.0.2:1/"},
    )
    assert answer.status_code == 422
