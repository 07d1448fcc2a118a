"""Failures are injected, and the metric of each alarm passes the alarm's own threshold."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.e2e.logs import ALARMS, Logs
from tests.e2e.receiver import receiving
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from tests.e2e.driver import Driver


CONCERNED = ("Submit", "Dispatch", "Sweep", "Webhook", "Relay", "Persist", "Deliver", "Read")


@pytest.fixture
def logs(driver: Driver) -> Logs:
    return Logs(driver.cloud)


def test_forged_webhooks_are_signature_failures(driver: Driver, logs: Logs) -> None:
    prompt = f"forged {uuid.uuid4()}"
    driver.submit(prompt)
    path = driver.hook_path(prompt)
    alarming = logs.alarming("SignatureFailures", "Webhook")

    def forge() -> bool:
        assert driver.hook(path, b"{}", key=bytes(32)).status_code == 401
        return alarming()

    for _ in range(ALARMS["SignatureFailures"].threshold - 1):
        forge()
    # On a busy machine the emulated log gets a line at the function's next invocation only.
    until(forge)
    assert logs.values("Webhook", "WebhookRefused")


def test_a_token_that_replicate_refuses_parks_creates(driver: Driver, logs: Logs) -> None:
    wrong = driver.cloud.outputs["CallbackKeySecret"]
    with driver.told("Submit", REPLICATE_TOKEN_SECRET=wrong):
        shown = driver.submit(f"parked {uuid.uuid4()}")
    assert shown["status"] == "starting"
    until(logs.alarming("ParkedCreates", "Relay"))


def test_a_second_upstream_prediction_is_a_double_create(driver: Driver, logs: Logs) -> None:
    """The record has two attempts, each of which has created a prediction."""
    driver.faults(create_429=1, retry_after_s=1)
    prompt = f"double {uuid.uuid4()}"
    id_ = driver.submit(prompt)["id"]
    driver.faults()
    driver.finished(id_)
    (made,) = driver.made_of(prompt)
    again = driver.make_upstream(prompt, webhook=made["webhook"])
    until(logs.alarming("DoubleCreates", "Relay"))
    (warned,) = [line for line in logs.lines("Relay") if line.get("message") == "double create"]
    assert (warned["prediction"], warned["provider_ids"]) == (id_, [again])


def test_a_result_that_cannot_be_copied_is_storing_late(driver: Driver, logs: Logs) -> None:
    driver.faults(output_404=1)
    id_ = driver.submit(f"stuck {uuid.uuid4()}")["id"]
    until(lambda: logs.values("Persist", "StoringAge"))
    assert not logs.alarming("StoringLate", "Persist", "Sweep")()
    alarming = logs.alarming("StoringVeryLate", "Persist", "Sweep")

    def very_late() -> bool:
        # Repeatedly, because a run of persist that read the record before writes its old state.
        set_back(driver, id_, "finished_at", 46 * 60)
        return alarming()

    until(very_late)
    assert logs.alarming("StoringLate", "Persist", "Sweep")()
    driver.faults()
    assert driver.finished(id_)["status"] == "succeeded"
    # Values of other tests' predictions may arrive meanwhile.
    until(lambda: max(logs.values("Relay", "StoringTime"), default=0) >= 46 * 60)


def set_back(driver: Driver, id_: str, name: str, seconds: int) -> None:
    """Set one of the record's times to so long ago."""
    driver.change(id_, name, {"N": str(int((time.time() - seconds) * 1000))})


def test_what_relay_does_not_do_is_due_late(driver: Driver, logs: Logs) -> None:
    """Without relay there are no effects; the sweep does them and reports the delay."""
    alarming = logs.alarming("DueLate", "Sweep")

    def late() -> bool:
        # Again and again: the sweep may have claimed it just before.
        if driver.record(id_)["state"]["S"] == "storing":
            set_back(driver, id_, "due_at", ALARMS["DueLate"].threshold + 5)
        return alarming()

    with driver.without("Relay"):
        id_ = driver.submit(f"no relay {uuid.uuid4()}")["id"]
        driver.recorded(id_, lambda item: item["state"]["S"] == "storing")
        until(late)
        assert driver.finished(id_)["status"] == "succeeded"
        kinds = {line["kind"] for line in logs.lines("Sweep") if line.get("prediction") == id_}
        assert "storing" in kinds
        assert sum(logs.values("Sweep", "SweptStoring")) >= 1
        assert logs.alarming("SweepStopped", "Sweep")(), "above the threshold, it does not alarm"


def test_a_message_that_nobody_takes_is_a_dead_letter(driver: Driver) -> None:
    sqs = driver.cloud.client("sqs")
    sqs.send_message(QueueUrl=driver.cloud.outputs["IntakeQueue"], MessageBody="no request")
    dead = driver.cloud.outputs["IntakeDlq"]

    def depth() -> int:
        asked = ["ApproximateNumberOfMessages"]
        found = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=asked)
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    assert until(depth) >= 1
    got = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]
    for message in (m for m in got if m["Body"] == "no request"):
        sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])


def test_one_id_is_in_the_lines_of_every_function_that_had_to_do_with_it(
    driver: Driver, logs: Logs
) -> None:
    """Rejected at first, then without webhooks; the last one is sent late, by hand."""
    driver.faults(create_429=1, retry_after_s=1, webhook_drop=1)
    prompt = f"followed {uuid.uuid4()}"
    with receiving() as receiver:
        id_ = driver.called_back(receiver.url, "completed", prompt=prompt)
        driver.faults(webhook_drop=1)
        # No client polls meanwhile, which would cause a refresh; the sweep finds it.
        until(lambda: receiver.got)
        driver.finished(id_)
    assert receiver.ids == [f"{id_}_completed"]
    (made,) = driver.made_of(prompt)
    assert urlsplit(made["webhook"]).path.endswith(f"/{id_}")
    body = json.dumps({**made, "status": "succeeded"}).encode()
    assert driver.hook(driver.hook_path(prompt), body).status_code == 200

    def silent() -> set[str]:
        return {f for f in CONCERNED if all(li.get("prediction") != id_ for li in logs.lines(f))}

    until(lambda: not silent())
