"""`ops audit` over moto: cases that the embedded cloud cannot show. The rest is in tests/e2e."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws.items import list_items, prediction_item
from darkroom.domain.prediction import State

from ops.audit import Difference, audit
from tests.support.records import accepted

if TYPE_CHECKING:
    from ops.deployment import Deployment

QUEUES = ("PersistQueue", "PersistDlq", "IntakeQueue", "IntakeDlq", "TasksQueue", "TasksDlq")
FAILURES = ("RelayFailures", "SweepFailures")


@pytest.fixture
def whole(deployment: Deployment) -> Deployment:
    """A deployment with everything that an audit reads."""
    dynamodb, sqs = deployment.client("dynamodb"), deployment.client("sqs")
    keys = {"PredictionsTable": ("id",), "DeliveriesTable": ("prediction", "event")}
    for table, names in keys.items():
        dynamodb.create_table(
            TableName=table,
            KeySchema=[
                {"AttributeName": name, "KeyType": kind}
                for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
            BillingMode="PAY_PER_REQUEST",
        )
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in (*QUEUES, *FAILURES)}
    outputs = {**deployment.outputs, **urls, **{table: table for table in keys}}
    return replace(deployment, outputs=outputs | {"OutputsBucket": "outputs"})


def damaged(item: dict[str, Any], name: str) -> dict[str, Any]:
    broken: dict[str, dict[str, Any]] = {
        "a state of a later version": {"state": {"S": "dreaming"}},
        "a code of a later version": {"code": {"S": "out_of_paint"}},
        "no text": {"input": {"B": b"not deflated"}},
        "another kind": {"create": {"S": "refused"}},
    }
    return {**item, **broken[name]}


@pytest.mark.parametrize(
    "name",
    ["a state of a later version", "a code of a later version", "no text", "another kind"],
)
def test_a_record_that_cannot_be_read_is_one_difference(whole: Deployment, name: str) -> None:
    dynamodb = whole.client("dynamodb")
    record = accepted(id="a" * 26, state=State.CANCELED, tags=("spring",))
    good, (row,) = prediction_item(record), list_items(record)
    bad = damaged(prediction_item(accepted(id="b" * 26)), name)
    for item in (good, row, bad):
        dynamodb.put_item(TableName="PredictionsTable", Item=item)
    report = audit(whole)
    assert [(d.kind, d.id) for d in report.differences] == [("unreadable", "b" * 26)]
    assert report.counts["predictions canceled"] == 1


def test_failures_that_stand_for_owed_work_are_differences(whole: Deployment) -> None:
    """A rejected request was answered, and a tick has no content; doctor reports those."""
    sqs = whole.client("sqs")
    for name in ("PersistDlq", "TasksDlq", "IntakeDlq", *FAILURES):
        sqs.send_message(QueueUrl=whole.outputs[name], MessageBody="{}")
    text = "1 messages: see `ops redrive`"
    assert audit(whole).differences == [
        Difference("dead letters", name, text)
        for name in ("PersistDlq", "TasksDlq", "RelayFailures")
    ]
