"""A deployment emulated by moto: the Controls table and the secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from ops.deployment import Deployment
from tests.ops.stacks import TABLE, Stacks, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRETS = {
    "ReplicateTokenSecret": "r8_old",
    "ReplicateWebhookSecret": json.dumps({"current": "whsec_b2xk"}),
    "LinkKeySecret": json.dumps({"current": "l" * 64}),
    "CallbackKeySecret": "c" * 64,
}


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for name, value in SECRETS.items():
            boto3.client("secretsmanager").create_secret(Name=name, SecretString=value)
        outputs = {"ControlsTable": TABLE, **{name: name for name in SECRETS}}
        yield Deployment(boto3.Session(), None, outputs)


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stacks]:
    """The account's stacks; none at first."""
    with serving(monkeypatch) as found:
        yield found


@pytest.fixture
def controls(deployment: Deployment) -> tuple[Any, str]:
    """A client of DynamoDB, and the Controls table's name."""
    return deployment.client("dynamodb"), TABLE
