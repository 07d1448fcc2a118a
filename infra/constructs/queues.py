"""Queues: encrypted, TLS only, and each work queue with a place for what keeps failing."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from ..nag import acknowledge


class FailureQueue(sqs.Queue):
    """Holds what could not be done for 14 days, the longest that SQS keeps a message."""

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(
            scope,
            id_,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        acknowledge(
            self,
            {
                "AwsSolutions-SQS3": "It is the dead-letter queue.",
                "Serverless-SQSRedrivePolicy": "It is the dead-letter queue.",
            },
        )


class TaskQueue(Construct):
    """A work queue; a message that was received so often goes to its dead-letter queue."""

    def __init__(self, scope: Construct, id_: str, *, visibility_s: int, max_receives: int) -> None:
        super().__init__(scope, id_)
        self.dlq = FailureQueue(self, "Dlq")
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(visibility_s),
            retention_period=Duration.days(4),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dlq, max_receive_count=max_receives),
        )
