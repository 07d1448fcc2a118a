"""Queues: encrypted, TLS only, and a dead-letter queue for each work queue."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from ..nag import acknowledge


class FailureQueue(sqs.Queue):
    """Keeps failed work for 14 days, the longest that SQS keeps a message."""

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
    """A work queue. A message received `max_receives` times moves to its dead-letter queue."""

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
