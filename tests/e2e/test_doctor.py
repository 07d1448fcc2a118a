"""`ops doctor` on the embedded cloud: silent about healthy parts, and problems by name."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from ops import cdn_key
from ops.__main__ import main
from ops.doctor import examine
from ops.queues import failure_queues
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.deployment import Deployment
    from ops.doctor import Check
    from tests.e2e.driver import Driver


def checks(deployment: Deployment) -> dict[str, Check]:
    """Return the checks by name; the last line of one with several."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        return {check.name: check for check in examine(deployment, "local", client)}


@contextmanager
def stored(deployment: Deployment, output: str, value: str) -> Iterator[None]:
    """Set the secret temporarily; functions keep the value that they have read."""
    client, name = deployment.client("secretsmanager"), deployment.outputs[output]
    before = deployment.secret(name)
    client.put_secret_value(SecretId=name, SecretString=value)
    yield
    client.put_secret_value(SecretId=name, SecretString=before)


@pytest.mark.usefixtures("announced")
def test_nothing_is_wrong_with_a_new_deployment(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.run("for the doctor", megapixels="0.25")
    for queue in failure_queues(driver.cloud.outputs):
        # What other tests left.
        driver.cloud.client("sqs").purge_queue(QueueUrl=driver.cloud.outputs[queue])
    code = main(["doctor", "--local", "--json"])
    shown = json.loads(capsys.readouterr().out)
    states = {check["name"]: check["state"] for check in shown}
    states.pop("dedicated account")  # Other tests use the account too.
    assert states == dict.fromkeys(
        (
            "stacks",
            "functions",
            "API",
            "webhooks",
            "secrets",
            "API keys",
            "Replicate",
            "webhook secret",
            "webhook echo",
            "dead letters",
            "sweep",
            "wait",
            "mcp",
            "openai",
            "thumbnails",
            "console",
        ),
        "OK",
    )
    assert code == 0
    assert driver.cloud.replicate_token not in json.dumps(shown)


def test_a_token_that_replicate_does_not_know(driver: Driver) -> None:
    with stored(driver.deployment, "ReplicateTokenSecret", "r8_taken_back"):
        found = checks(driver.deployment)
    assert found["Replicate"].state == "FAIL"
    assert "rotate replicate-token" in found["Replicate"].remedy
    assert "webhook secret" not in found


@pytest.mark.parametrize(("kept", "state"), [(True, "WARN"), (False, "FAIL")])
def test_another_webhook_secret_than_replicates(driver: Driver, *, kept: bool, state: str) -> None:
    held = json.loads(
        driver.deployment.secret(driver.deployment.outputs["ReplicateWebhookSecret"]) or ""
    )
    pair = {"current": "whsec_" + "b2xk" * 8} | ({"previous": held["current"]} if kept else {})
    with stored(driver.deployment, "ReplicateWebhookSecret", json.dumps(pair)):
        found = checks(driver.deployment)["webhook secret"]
    assert found.state == state
    assert "rotate webhook-secret" in found.remedy


@pytest.mark.parametrize(("dedicated", "state"), [("true", "OK"), ("false", "WARN")])
def test_an_account_that_does_not_echo_webhooks(driver: Driver, dedicated: str, state: str) -> None:
    driver.run("without an echo", megapixels="0.25")
    driver.faults(echo_webhook=False)
    with driver.told("Submit", DEDICATED_ACCOUNT=dedicated):
        found = checks(driver.deployment)["webhook echo"]
    assert found.state == state
    assert ("dedicated_account" in found.remedy) == (state == "WARN")


def test_somebody_else_uses_the_dedicated_account(driver: Driver) -> None:
    made = driver.make_upstream("somebody else's")
    found = checks(driver.deployment)["dedicated account"]
    assert found.state == "WARN"
    assert made in found.text


def test_dead_letters(driver: Driver) -> None:
    sqs, queue = driver.cloud.client("sqs"), driver.cloud.outputs["DeliverDlq"]
    sqs.send_message(QueueUrl=queue, MessageBody='{"prediction": "none", "event": "completed"}')
    found = checks(driver.deployment)["dead letters"]
    sqs.purge_queue(QueueUrl=queue)
    assert found.state == "FAIL"
    assert "redrive" in found.remedy


def test_what_has_been_due_for_long(driver: Driver) -> None:
    """A row of the index, while the sweep that would claim it does not run."""
    dynamodb, table = driver.cloud.client("dynamodb"), driver.cloud.outputs["PredictionsTable"]
    ago = str(int(time.time() * 1000) - 3_600_000)
    key = {"id": {"S": "overdue"}}
    row = {**key, "due_shard": {"N": "3"}, "due_at": {"N": ago}}

    def overdue() -> Check | None:
        # Again and again: a tick that had begun before may still claim it.
        dynamodb.put_item(TableName=table, Item=row)
        found = checks(driver.deployment)["sweep"]
        return found if found.state != "OK" else None

    try:
        with driver.configured("Sweep", Handler="darkroom.handlers.none.no"):
            found = until(overdue)
    finally:
        dynamodb.delete_item(TableName=table, Key=key)
    assert found.state in {"WARN", "FAIL"}
    assert "due for" in found.text


def test_stacks_and_outputs_that_are_not_there(driver: Driver) -> None:
    outputs = {k: v for k, v in driver.deployment.outputs.items() if k != "PersistDlq"}
    found = checks(replace(driver.deployment, outputs=outputs))
    assert found["dead letters"].state == "FAIL"
    assert "PersistDlq" in found["dead letters"].text
    with httpx.Client(trust_env=False, timeout=60) as client:
        stacks = examine(driver.deployment, "elsewhere", client)[0]
    assert (stacks.name, stacks.state) == ("stacks", "FAIL")
    assert "Darkroom-elsewhere-Service" in stacks.text


def test_the_cdns_key(driver: Driver) -> None:
    with driver.told("Submit", CDN_DOMAIN="d111.cloudfront.net"):
        public, _ = cdn_key.ensure(driver.deployment, "local")
        deployed = {"CdnPublicKeyInUse": public, "CdnKeyId": "K1"}
        with_cdn = replace(driver.deployment, outputs=driver.deployment.outputs | deployed)
        assert checks(with_cdn)["CDN key"].state == "FAIL"

        client, secret = driver.deployment.client("secretsmanager"), cdn_key.secret_name("local")
        held = cdn_key.read(driver.deployment, "local")
        try:
            cdn_key.name_it(with_cdn, "local")
            assert checks(with_cdn)["CDN key"].state == "OK"
            aged = json.dumps({**held, "key_id": "K1", "made_at": 0})
            client.put_secret_value(SecretId=secret, SecretString=aged)
            old = checks(with_cdn)["CDN key"]
            assert (old.state, old.remedy) == ("WARN", "`ops rotate cdn-key`")
        finally:
            client.put_secret_value(SecretId=secret, SecretString=json.dumps(held))
