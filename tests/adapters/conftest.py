"""Every port twice: its fake, and its adapter over AWS as emulated by moto in this process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from darkroom.aws.controls import DynamoControls
from darkroom.aws.deliveries import DynamoDeliveries
from darkroom.aws.items import from_item, to_item
from darkroom.aws.predictions import DynamoPredictions
from darkroom.aws.queues import EventBridgeBus, SqsQueue
from darkroom.aws.s3 import S3Outputs, S3Uploads
from darkroom.outbound.http import Client
from moto import mock_aws
from pytest_socket import disable_socket, enable_socket, socket_allow_hosts

from tests.adapters.aws import Aws, LedgerStore
from tests.adapters.crowded import Crowded
from tests.support.fakes import (
    FakeControls,
    FakeDeliveries,
    FakeOutputs,
    FakePredictions,
    FakeUploads,
    Month,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.outbound.http import Guard
    from darkroom.ports import Controls, DeliveryStore, OutputStore, PredictionStore, UploadStore


@pytest.fixture(autouse=True)
def _this_machine_only() -> Iterator[None]:
    """Allow the tests' own servers on the loopback address only."""
    socket_allow_hosts(["127.0.0.1"])
    yield
    enable_socket()


@pytest.fixture(autouse=True)
def _no_connection_is_left_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every HTTP client of a test, because a function keeps its own for its whole life."""
    made: list[Client] = []
    init = Client.__init__

    def tracked(self: Client, guard: Guard | None = None) -> None:
        init(self, guard)
        made.append(self)

    monkeypatch.setattr(Client, "__init__", tracked)
    yield
    for client in made:
        client.close()


@pytest.fixture(scope="session")
def clients() -> Aws:
    """Created once, because loading their models takes time; moto works below them."""
    once = Config(retries={"max_attempts": 1})
    services = ("dynamodb", "s3", "sqs", "events", "secretsmanager")
    return Aws(*(boto3.client(service, config=once) for service in services))


@pytest.fixture
def aws(clients: Aws) -> Iterator[Aws]:
    # moto answers below the socket; without sockets nothing can reach AWS by mistake.
    disable_socket()
    with mock_aws():
        _make_tables(clients.dynamodb)
        for bucket in ("outputs", "uploads"):
            clients.s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
        yield clients
    enable_socket()


def _make_tables(dynamodb: Any) -> None:
    due = _index("due", due_shard="N", due_at="N")
    _table(dynamodb, "predictions", [due, _index("tenant", tenant="S", created_at="N")], id="S")
    _table(dynamodb, "deliveries", [due], prediction="S", event="S")
    _table(dynamodb, "controls", [], pk="S")


_TYPES = {"due_shard": "N", "due_at": "N", "tenant": "S", "created_at": "N"}


def _keys(names: dict[str, str]) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": n, "KeyType": kind} for n, kind in zip(names, kinds, strict=False)]


def _index(name: str, **keys: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": _keys(keys),
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def _table(dynamodb: Any, name: str, indexes: list[dict[str, Any]], **keys: str) -> None:
    names = {key["AttributeName"] for index in indexes for key in index["KeySchema"]}
    attributes = {**keys, **{n: _TYPES[n] for n in names}}
    dynamodb.create_table(
        TableName=name,
        KeySchema=_keys(keys),
        AttributeDefinitions=[
            {"AttributeName": n, "AttributeType": kind} for n, kind in attributes.items()
        ],
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
    )


BOTH = pytest.fixture(params=["fake", "moto"])


def _real(request: pytest.FixtureRequest) -> Aws | None:
    return request.getfixturevalue("aws") if request.param == "moto" else None


@BOTH
def store(request: pytest.FixtureRequest) -> PredictionStore:
    aws = _real(request)
    if aws is None:
        return FakePredictions()
    return DynamoPredictions(Crowded(aws.dynamodb), "predictions", "controls", lambda _pause: None)


@BOTH
def books(request: pytest.FixtureRequest) -> LedgerStore:
    aws = _real(request)
    if aws is None:
        fake = FakePredictions()
        controls = FakeControls(days=fake.days)
        meet = partial(setattr, fake, "conflicts")
        return LedgerStore(fake, controls, lambda row: fake.months[row], meet)
    crowded = Crowded(aws.dynamodb)
    store = DynamoPredictions(crowded, "predictions", "controls", lambda _pause: None)

    def month(row: str) -> Month:
        found = from_item(
            aws.dynamodb.get_item(TableName="controls", Key=to_item({"pk": row}))["Item"]
        )
        assert found["expires_at"] > 1_800_000_000
        return Month(found["committed"], found["spent"], found["in_flight"])

    controls = DynamoControls(crowded, "controls", lambda _pause: None)
    return LedgerStore(store, controls, month, partial(setattr, crowded, "conflicts"))


@BOTH
def deliveries(request: pytest.FixtureRequest) -> DeliveryStore:
    aws = _real(request)
    return DynamoDeliveries(aws.dynamodb, "deliveries") if aws else FakeDeliveries()


@BOTH
def controls(request: pytest.FixtureRequest) -> Controls:
    aws = _real(request)
    if aws is None:
        return FakeControls()
    return DynamoControls(Crowded(aws.dynamodb), "controls", lambda _pause: None)


@BOTH
def outputs(request: pytest.FixtureRequest) -> OutputStore:
    aws = _real(request)
    return S3Outputs(aws.s3, "outputs") if aws else FakeOutputs()


@BOTH
def uploads(request: pytest.FixtureRequest) -> UploadStore:
    aws = _real(request)
    return S3Uploads(aws.s3, "uploads") if aws else FakeUploads()


@pytest.fixture
def queue(aws: Aws) -> tuple[SqsQueue, str]:
    url = aws.sqs.create_queue(QueueName="queue")["QueueUrl"]
    return SqsQueue(aws.sqs, url), url


@pytest.fixture
def bus(aws: Aws) -> EventBridgeBus:
    aws.events.create_event_bus(Name="bus")
    return EventBridgeBus(aws.events, "bus")
