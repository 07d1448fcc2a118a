"""`ops doctor` on the embedded cloud: silent about healthy parts, and problems by name."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ops import cdn_key
from ops.__main__ import main
from ops.deployment import embedded
from ops.doctor import examine
from ops.queues import failure_queues
from tests.e2e.test_creates import submit
from tests.e2e.test_operations import made_upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.cloud import EmbeddedCloud
    from ops.deployment import Deployment
    from ops.doctor import Check


@pytest.fixture
def deployment(cloud: EmbeddedCloud) -> Deployment:
    return embedded(cloud.aws_endpoint, cloud.replicate_url)


@pytest.fixture
def checks(deployment: Deployment) -> Callable[..., dict[str, Check]]:
    """Return the checks by name; the last line of one with several."""

    def look(changed: Deployment = deployment) -> dict[str, Check]:
        with httpx.Client(trust_env=False, timeout=60) as client:
            return {check.name: check for check in examine(changed, "local", client)}

    return look


@pytest.fixture
def tell(deployment: Deployment) -> Iterator[Callable[..., None]]:
    """Changes the submit function's environment until the end of the test."""
    functions, name = deployment.client("lambda"), deployment.outputs["FunctionSubmit"]
    told = deployment.environment("Submit")

    def change(**variables: str) -> None:
        environment = {"Variables": told | variables}
        functions.update_function_configuration(FunctionName=name, Environment=environment)

    yield change
    change()


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
    cloud: EmbeddedCloud,
    api: httpx.Client,
    finished: Callable[..., dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    finished(submit(api, "for the doctor", megapixels="0.25")["id"])
    for queue in failure_queues(cloud.outputs):
        cloud.client("sqs").purge_queue(QueueUrl=cloud.outputs[queue])  # Left by other tests.
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
            "openai",
        ),
        "OK",
    )
    assert code == 0
    assert cloud.replicate_token not in json.dumps(shown)


def test_a_token_that_replicate_does_not_know(
    deployment: Deployment, checks: Callable[..., dict[str, Check]]
) -> None:
    with stored(deployment, "ReplicateTokenSecret", "r8_taken_back"):
        found = checks()
    assert found["Replicate"].state == "FAIL"
    assert "rotate replicate-token" in found["Replicate"].remedy
    assert "webhook secret" not in found


@pytest.mark.parametrize(("kept", "state"), [(True, "WARN"), (False, "FAIL")])
def test_another_webhook_secret_than_replicates(
    deployment: Deployment, checks: Callable[..., dict[str, Check]], *, kept: bool, state: str
) -> None:
    held = json.loads(deployment.secret(deployment.outputs["ReplicateWebhookSecret"]) or "")
    pair = {"current": "whsec_" + "b2xk" * 8} | ({"previous": held["current"]} if kept else {})
    with stored(deployment, "ReplicateWebhookSecret", json.dumps(pair)):
        found = checks()["webhook secret"]
    assert found.state == state
    assert "rotate webhook-secret" in found.remedy


@pytest.mark.parametrize(("dedicated", "state"), [("true", "OK"), ("false", "WARN")])
def test_an_account_that_does_not_echo_webhooks(
    api: httpx.Client,
    finished: Callable[..., dict[str, Any]],
    set_faults: Callable[..., None],
    checks: Callable[..., dict[str, Check]],
    tell: Callable[..., None],
    dedicated: str,
    state: str,
) -> None:
    finished(submit(api, "without an echo", megapixels="0.25")["id"])
    set_faults(echo_webhook=False)
    tell(DEDICATED_ACCOUNT=dedicated)
    found = checks()["webhook echo"]
    assert found.state == state
    assert ("dedicated_account" in found.remedy) == (state == "WARN")


def test_somebody_else_uses_the_dedicated_account(
    cloud: EmbeddedCloud, checks: Callable[..., dict[str, Check]]
) -> None:
    made = made_upstream(cloud, "somebody else's")
    found = checks()["dedicated account"]
    assert found.state == "WARN"
    assert made in found.text


def test_dead_letters(cloud: EmbeddedCloud, checks: Callable[..., dict[str, Check]]) -> None:
    sqs, queue = cloud.client("sqs"), cloud.outputs["DeliverDlq"]
    sqs.send_message(QueueUrl=queue, MessageBody='{"prediction": "none", "event": "completed"}')
    found = checks()["dead letters"]
    sqs.purge_queue(QueueUrl=queue)
    assert found.state == "FAIL"
    assert "redrive" in found.remedy


def test_what_has_been_due_for_long(
    cloud: EmbeddedCloud, checks: Callable[..., dict[str, Check]]
) -> None:
    """A row of the index that is no record, so that no sweep can handle it."""
    dynamodb, table = cloud.client("dynamodb"), cloud.outputs["PredictionsTable"]
    ago = str(int(time.time() * 1000) - 3_600_000)
    key = {"id": {"S": "overdue"}}
    dynamodb.put_item(TableName=table, Item={**key, "due_shard": {"N": "3"}, "due_at": {"N": ago}})
    try:
        found = checks()["sweep"]
    finally:
        dynamodb.delete_item(TableName=table, Key=key)
    assert found.state in {"WARN", "FAIL"}
    assert "due for" in found.text


def test_stacks_and_outputs_that_are_not_there(
    deployment: Deployment, checks: Callable[..., dict[str, Check]]
) -> None:
    outputs = {k: v for k, v in deployment.outputs.items() if k != "PersistDlq"}
    found = checks(replace(deployment, outputs=outputs))
    assert found["dead letters"].state == "FAIL"
    assert "PersistDlq" in found["dead letters"].text
    with httpx.Client(trust_env=False) as client:
        stacks = examine(deployment, "elsewhere", client)[0]
    assert (stacks.name, stacks.state) == ("stacks", "FAIL")
    assert "Darkroom-elsewhere-Service" in stacks.text


def test_the_cdns_key(
    deployment: Deployment,
    checks: Callable[..., dict[str, Check]],
    tell: Callable[..., None],
) -> None:
    tell(CDN_DOMAIN="d111.cloudfront.net")
    public, _ = cdn_key.ensure(deployment, "local")
    deployed = {"CdnPublicKeyInUse": public, "CdnKeyId": "K1"}
    with_cdn = replace(deployment, outputs=deployment.outputs | deployed)
    assert checks(with_cdn)["CDN key"].state == "FAIL"

    client, secret = deployment.client("secretsmanager"), cdn_key.secret_name("local")
    held = cdn_key.read(deployment, "local")
    try:
        cdn_key.name_it(with_cdn, "local")
        assert checks(with_cdn)["CDN key"].state == "OK"
        aged = json.dumps({**held, "key_id": "K1", "made_at": 0})
        client.put_secret_value(SecretId=secret, SecretString=aged)
        old = checks(with_cdn)["CDN key"]
        assert (old.state, old.remedy) == ("WARN", "`ops rotate cdn-key`")
    finally:
        client.put_secret_value(SecretId=secret, SecretString=json.dumps(held))
