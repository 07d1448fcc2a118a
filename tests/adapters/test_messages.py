"""Calls of intake and deliver to SQS and Step Functions."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, EndpointConnectionError
from darkroom.aws.queues import SqsDeadLetters, SqsQueue
from darkroom.aws.stepfunctions import StepFunctionsTasks

from tests.support.fakes import FakeTasks

if TYPE_CHECKING:
    from tests.adapters.aws import Aws


def make_queue(aws: Aws, name: str) -> str:
    return str(aws.sqs.create_queue(QueueName=name)["QueueUrl"])


def test_a_message_that_is_put_off_is_hidden(aws: Aws) -> None:
    url = make_queue(aws, "intake")
    aws.sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = aws.sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    SqsQueue(aws.sqs, url).change_visibility(message["ReceiptHandle"], 900)
    assert "Messages" not in aws.sqs.receive_message(QueueUrl=url)
    hidden = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert hidden["ApproximateNumberOfMessagesNotVisible"] == "1"


def test_a_message_is_of_its_group(aws: Aws) -> None:
    url = make_queue(aws, "deliver")
    queue = SqsQueue(aws.sqs, url)
    queue.send({"a": "1"}, group="acme")
    queue.send({"a": "2"})
    received = aws.sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
    )["Messages"]
    groups = {m["Body"]: m.get("Attributes", {}).get("MessageGroupId") for m in received}
    assert groups == {'{"a":"1"}': "acme", '{"a":"2"}': None}


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("no prompt: \u00fc", "no prompt: \u00fc"),
        ("a\0b\nc\x1b", "a b c "),
        ("", "unknown"),
    ],
)
def test_a_dead_letter_holds_the_message_as_it_came_and_why(
    aws: Aws, reason: str, kept: str
) -> None:
    url = make_queue(aws, "dead")
    SqsDeadLetters(aws.sqs, url).park('{"a": "\u00fc"}', reason)
    (message,) = aws.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert message["Body"] == '{"a": "\u00fc"}'
    assert message["MessageAttributes"]["reason"]["StringValue"] == kept


# Step Functions, as its own client reads it


class Answering:
    """A client whose every request gets this answer; `requests` are the sent ones."""

    def __init__(self, status: int, error: str = "") -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.client = botocore.session.get_session().create_client("stepfunctions")
        self._status, self._error = status, error
        self.client.meta.events.register_first("before-send", self._send)

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        self.requests.append((operation, json.loads(request.body)))
        if self._status == 0:
            raise EndpointConnectionError(endpoint_url="https://states")
        body = json.dumps({"__type": self._error} if self._error else {}).encode()
        raw: Any = io.BytesIO(body)
        raw.stream = lambda *_, **__: iter([body])
        return AWSResponse(request.url, self._status, {}, raw)


def test_tasks_are_told() -> None:
    answering = Answering(200)
    tasks = StepFunctionsTasks(answering.client)
    assert tasks.succeed("t", '{"a":1}')
    assert tasks.fail("t", "Darkroom.canceled", "cause")
    assert tasks.heartbeat("t")
    assert answering.requests == [
        ("SendTaskSuccess", {"taskToken": "t", "output": '{"a":1}'}),
        ("SendTaskFailure", {"taskToken": "t", "error": "Darkroom.canceled", "cause": "cause"}),
        ("SendTaskHeartbeat", {"taskToken": "t"}),
    ]


@pytest.mark.parametrize("error", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_where_nobody_waits_it_is_done(error: str) -> None:
    fake = FakeTasks()
    for tasks in (StepFunctionsTasks(Answering(400, error).client), fake):
        assert tasks.succeed("t", "{}") is False
        assert tasks.fail("t", "Darkroom.canceled", "") is False
        assert tasks.heartbeat("t") is False


def test_any_other_refusal_is_raised_but_of_a_heartbeat() -> None:
    tasks = StepFunctionsTasks(Answering(400, "AccessDeniedException").client)
    with pytest.raises(ClientError, match="AccessDenied"):
        tasks.succeed("t", "{}")
    with pytest.raises(ClientError, match="AccessDenied"):
        tasks.fail("t", "e", "c")
    assert tasks.heartbeat("t")


def test_an_outage_is_raised_but_of_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    tasks = StepFunctionsTasks(Answering(0).client)
    with pytest.raises(EndpointConnectionError):
        tasks.succeed("t", "{}")
    assert tasks.heartbeat("t")
