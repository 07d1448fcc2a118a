"""SQS queues and the EventBridge bus."""

from __future__ import annotations

import json
from typing import Any

from darkroom.domain.events import SOURCE
from darkroom.domain.values import immutable

LONGEST_DELAY_S = 900


class EventNotTakenError(Exception):
    """EventBridge answered, but did not accept the event. The text is its error code."""


@immutable
class SqsQueue:
    """Queue and Redelivery for SQS. Messages are small JSON objects of strings."""

    client: Any
    url: str

    def send(self, message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        # On a standard queue a group does not order messages; SQS delivers fairly between groups.
        fair = {"MessageGroupId": group} if group else {}
        self.client.send_message(
            QueueUrl=self.url,
            MessageBody=json.dumps(message, separators=(",", ":")),
            DelaySeconds=min(delay_s, LONGEST_DELAY_S),
            **fair,
        )

    def change_visibility(self, receipt: str, seconds: int) -> None:
        self.client.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=seconds
        )


@immutable
class SqsDeadLetters:
    """DeadLetters for SQS. The reason is a message attribute."""

    client: Any
    url: str

    def park(self, body: str, reason: str) -> None:
        # SQS rejects most control characters in an attribute.
        plain = "".join(c if c.isprintable() else " " for c in reason)
        attribute = {"DataType": "String", "StringValue": plain or "unknown"}
        self.client.send_message(
            QueueUrl=self.url, MessageBody=body, MessageAttributes={"reason": attribute}
        )


@immutable
class EventBridgeBus:
    """EventBus for EventBridge. PutEvents answers 200 for rejected entries, so each answer is
    checked."""

    client: Any
    name: str

    def publish(self, detail_type: str, detail: dict[str, Any]) -> None:
        answer = self.client.put_events(
            Entries=[
                {
                    "EventBusName": self.name,
                    "Source": SOURCE,
                    "DetailType": detail_type,
                    "Detail": json.dumps(detail, separators=(",", ":")),
                }
            ]
        )
        if answer.get("FailedEntryCount"):
            raise EventNotTakenError(str(answer["Entries"][0].get("ErrorCode")))
