"""Failures are injected, and the metric of each alarm passes the alarm's own threshold."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from darkroom.runtime.function import declared

from infra.stacks.observability import NAMESPACE
from tests.e2e.test_callbacks import receiving
from tests.e2e.test_creates import SCHNELL, created, submit
from tests.e2e.test_webhooks import signed, webhook_key
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.cloud import EmbeddedCloud


ALARMS = {alarm.name: alarm for function in declared().values() for alarm in function.alarms}
CONCERNED = ("Submit", "Dispatch", "Sweep", "Webhook", "Relay", "Persist", "Deliver", "Read")


class Logs:
    """The functions' log lines since the creation of this object, as in CloudWatch."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self._client = cloud.client("logs")
        self._since = int(time.time() * 1000)

    def lines(self, function: str) -> list[dict[str, Any]]:
        """Return the lines of one function that are JSON objects."""
        found = []
        for group in self._client.describe_log_groups()["logGroups"]:
            if f"/{function}Logs" not in group["logGroupName"]:
                continue
            pages = self._client.get_paginator("filter_log_events").paginate(
                logGroupName=group["logGroupName"], startTime=self._since
            )
            for event in (event for page in pages for event in page["events"]):
                texts = event["message"].splitlines()
                found += [json.loads(text) for text in texts if text.startswith("{")]
        return found

    def values(self, function: str, metric: str) -> list[float]:
        """Return the values of a metric that the function has written."""
        written = []
        for line in self.lines(function):
            if "_aws" in line and metric in line:
                (stated,) = line["_aws"]["CloudWatchMetrics"]
                assert (stated["Namespace"], stated["Dimensions"]) == (NAMESPACE, [["service"]])
                assert line["service"] == "darkroom-local"
                written += line[metric]
        return written

    def alarming(self, name: str, *functions: str) -> Callable[[], bool]:
        """Return a check whether the functions' metrics are sufficient for the alarm."""
        alarm = ALARMS[name]

        def check() -> bool:
            values = [v for f in functions for v in self.values(f, alarm.metric)]
            total = sum(values) if alarm.sums else max(values, default=0)
            return total >= alarm.threshold

        return check


@pytest.fixture
def logs(cloud: EmbeddedCloud) -> Logs:
    return Logs(cloud)


def test_forged_webhooks_are_signature_failures(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    logs: Logs,
    upstream: Callable[[], list[dict[str, Any]]],
) -> None:
    prompt = f"forged {uuid.uuid4()}"
    submit(api, prompt)
    (made,) = created(upstream, prompt)
    url = urlsplit(made["webhook"])
    for _ in range(ALARMS["SignatureFailures"].threshold):
        assert hook(cloud, f"{url.path}?{url.query}", b"{}", bytes(32)) == 401
    until(logs.alarming("SignatureFailures", "Webhook"))
    assert logs.values("Webhook", "WebhookRefused")


def hook(cloud: EmbeddedCloud, path: str, body: bytes, key: bytes) -> int:
    now = int(time.time())
    headers = {
        "content-type": "application/json",
        "webhook-id": "msg_forged",
        "webhook-timestamp": str(now),
        "webhook-signature": signed(key, now, body),
    }
    url = f"{cloud.base_url}{path}"
    return httpx.post(url, content=body, headers=headers, trust_env=False).status_code


def test_a_token_that_replicate_refuses_parks_creates(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    logs: Logs,
) -> None:
    functions = cloud.client("lambda")
    name = cloud.outputs["FunctionSubmit"]
    kept = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    wrong = {**kept, "REPLICATE_TOKEN_SECRET": cloud.outputs["CallbackKeySecret"]}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": wrong})
    try:
        shown = submit(api, f"parked {uuid.uuid4()}")
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": kept})
    assert shown["status"] == "starting"
    until(logs.alarming("ParkedCreates", "Relay"))


def test_a_second_upstream_prediction_is_a_double_create(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    logs: Logs,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
) -> None:
    """The record has two attempts, each of which has created a prediction."""
    set_faults(create_429=1, retry_after_s=1)
    prompt = f"double {uuid.uuid4()}"
    id_ = submit(api, prompt)["id"]
    set_faults()
    finished(id_)
    (made,) = created(upstream, prompt)
    again = httpx.post(
        f"{cloud.replicate_url}/v1/models/{SCHNELL}/predictions",
        json={name: made[name] for name in ("input", "webhook")},
        headers={"Authorization": f"Bearer {cloud.replicate_token}"},
        trust_env=False,
    )
    assert again.status_code == 201, again.text
    until(logs.alarming("DoubleCreates", "Relay"))
    (warned,) = [line for line in logs.lines("Relay") if line.get("message") == "double create"]
    assert (warned["prediction"], warned["provider_ids"]) == (id_, [again.json()["id"]])


def test_a_result_that_cannot_be_copied_is_storing_late(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    logs: Logs,
    set_faults: Callable[..., None],
    finished: Callable[..., dict[str, Any]],
) -> None:
    set_faults(output_404=1)
    id_ = submit(api, f"stuck {uuid.uuid4()}")["id"]
    until(lambda: logs.values("Persist", "StoringAge"))
    assert not logs.alarming("StoringLate", "Persist", "Sweep")()
    alarming = logs.alarming("StoringVeryLate", "Persist", "Sweep")

    def very_late() -> bool:
        # Repeatedly, because a run of persist that read the record before writes its old state.
        set_back(cloud, id_, "finished_at", 46 * 60)
        return alarming()

    until(very_late)
    assert logs.alarming("StoringLate", "Persist", "Sweep")()
    set_faults()
    assert finished(id_)["status"] == "succeeded"
    # Values of other tests' predictions may arrive meanwhile.
    until(lambda: max(logs.values("Relay", "StoringTime"), default=0) >= 46 * 60)


def set_back(cloud: EmbeddedCloud, id_: str, name: str, seconds: int) -> None:
    """Set one of the record's times to so long ago."""
    cloud.client("dynamodb").update_item(
        TableName=cloud.outputs["PredictionsTable"],
        Key={"id": {"S": id_}},
        UpdateExpression="SET #time = :then",
        ExpressionAttributeNames={"#time": name},
        ExpressionAttributeValues={":then": {"N": str(int((time.time() - seconds) * 1000))}},
    )


def is_storing(cloud: EmbeddedCloud, id_: str) -> bool:
    table, key = cloud.outputs["PredictionsTable"], {"id": {"S": id_}}
    item = cloud.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    return bool(item["state"]["S"] == "storing")


def test_what_relay_does_not_do_is_due_late(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    logs: Logs,
    finished: Callable[..., dict[str, Any]],
) -> None:
    """Without relay there are no effects; the sweep does them and reports the delay."""
    functions = cloud.client("lambda")
    name = cloud.outputs["FunctionRelay"]
    (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        id_ = submit(api, f"no relay {uuid.uuid4()}")["id"]
        until(lambda: is_storing(cloud, id_))
        set_back(cloud, id_, "due_at", ALARMS["DueLate"].threshold + 5)
        until(logs.alarming("DueLate", "Sweep"))
        assert finished(id_)["status"] == "succeeded"
        kinds = {line["kind"] for line in logs.lines("Sweep") if line.get("prediction") == id_}
        assert "storing" in kinds
        assert sum(logs.values("Sweep", "SweptStoring")) >= 1
        assert logs.alarming("SweepStopped", "Sweep")(), "above the threshold, it does not alarm"
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def test_a_message_that_nobody_takes_is_a_dead_letter(cloud: EmbeddedCloud) -> None:
    sqs = cloud.client("sqs")
    sqs.send_message(QueueUrl=cloud.outputs["IntakeQueue"], MessageBody="no request")
    dead = cloud.outputs["IntakeDlq"]

    def depth() -> int:
        asked = ["ApproximateNumberOfMessages"]
        found = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=asked)
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    assert until(depth) >= 1
    got = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]
    for message in (m for m in got if m["Body"] == "no request"):
        sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])


def test_one_id_is_in_the_lines_of_every_function_that_had_to_do_with_it(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    logs: Logs,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
) -> None:
    """Rejected at first, then without webhooks; the last one is sent late, by hand."""
    set_faults(create_429=1, retry_after_s=1, webhook_drop=1)
    prompt = f"followed {uuid.uuid4()}"
    with receiving() as receiver:
        wanted = {"version": SCHNELL, "input": {"prompt": prompt}, "webhook": receiver.url}
        wanted["webhook_events_filter"] = ["completed"]
        id_ = str(api.post("/v1/predictions", json=wanted).json()["id"])
        set_faults(webhook_drop=1)
        # No client polls meanwhile, which would cause a refresh; the sweep finds it.
        until(lambda: receiver.got)
        finished(id_)
    assert receiver.ids == [f"{id_}_completed"]
    (made,) = created(upstream, prompt)
    url = urlsplit(made["webhook"])
    assert url.path.endswith(f"/{id_}")
    body = json.dumps({**made, "status": "succeeded"}).encode()
    assert hook(cloud, f"{url.path}?{url.query}", body, webhook_key(cloud)) == 200

    def silent() -> set[str]:
        return {f for f in CONCERNED if all(li.get("prediction") != id_ for li in logs.lines(f))}

    until(lambda: not silent())
