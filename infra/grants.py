"""IAM statements of each function: the rights that its module declares, on a stage's resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import aws_iam as iam
from darkroom.domain.thumbnails import WIDTHS, key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from aws_cdk import aws_dynamodb as dynamodb
    from darkroom.runtime.function import Function, Right

    from .stacks.stateful import StatefulStack

TAKE_MESSAGES = "sqs:ReceiveMessage DeleteMessage GetQueueAttributes"
READ_STREAM = "dynamodb:DescribeStream GetRecords GetShardIterator ListStreams"


class UnknownResourceError(Exception):
    """A function declares a right on a resource that no stack has."""


def data(stateful: StatefulStack) -> dict[str, Sequence[str]]:
    """Map the resource names that rights use to ARNs, for the resources that hold data."""
    return {
        "predictions": [stateful.predictions.table_arn],
        "predictions/tenant": [_index(stateful.predictions, "tenant")],
        "predictions/due": [_index(stateful.predictions, "due")],
        "controls": [stateful.controls.table_arn],
        "deliveries": [stateful.deliveries.table_arn],
        "deliveries/due": [_index(stateful.deliveries, "due")],
        "outputs": [stateful.outputs.bucket_arn],
        "outputs/*": [stateful.objects_arn(stateful.outputs)],
        "thumbnails": [
            stateful.objects_arn(stateful.outputs, f"*{key_of('', width)}") for width in WIDTHS
        ],
        "uploads": [stateful.uploads.bucket_arn],
        "uploads/*": [stateful.objects_arn(stateful.uploads)],
        "replicate_token": [stateful.replicate_token.secret_arn],
        "replicate_webhook": [stateful.replicate_webhook.secret_arn],
        "link_key": [stateful.link_key.secret_arn],
        "callback_key": [stateful.callback_key.secret_arn],
        # By name and with a wildcard, since AWS appends six characters to the ARN of a secret.
        "cdn_key": [f"{stateful.cdn_key.secret_arn}-??????"],
    }


def statements(
    function: Function[Any, Any],
    resources: Mapping[str, Sequence[str]],
    switches: Collection[str],
    fed_by: Sequence[iam.PolicyStatement] = (),
) -> list[iam.PolicyStatement]:
    """Return the statements of a function: its rights that need no switch or one of `switches`, and
    the permissions of Lambda's pollers (`fed_by`). Raises UnknownResourceError."""
    wanted = [right for right in function.rights if not right.when or right.when in switches]
    return [*(_statement(right, resources) for right in wanted), *fed_by]


def take_messages(queue_arn: str) -> iam.PolicyStatement:
    """Return the permissions that Lambda's poller of a queue needs in the function's role."""
    return _allow(TAKE_MESSAGES, [queue_arn])


def read_stream(table: dynamodb.ITable, failures_arn: str) -> list[iam.PolicyStatement]:
    """Return the permissions that Lambda's poller of a table's stream needs in the function's
    role."""
    if table.table_stream_arn is None:
        raise ValueError(f"{table.node.path} has no stream")
    return [
        _allow(READ_STREAM, [table.table_stream_arn]),
        _allow("sqs:SendMessage", [failures_arn]),
    ]


def _statement(right: Right, resources: Mapping[str, Sequence[str]]) -> iam.PolicyStatement:
    unknown = [name for name in right.on if name not in resources]
    if unknown:
        raise UnknownResourceError(f"{right.actions}: {', '.join(unknown)}")
    statement = _allow(right.actions, [arn for name in right.on for arn in resources[name]])
    if right.keys:
        # The table also holds API keys, and no function may write one for itself.
        keys = {"dynamodb:LeadingKeys": list(right.keys)}
        statement.add_condition("ForAllValues:StringLike", keys)
    if right.attributes:
        attributes = {"dynamodb:Attributes": list(right.attributes)}
        statement.add_condition("ForAllValues:StringEquals", attributes)
    if right.prefixes:
        statement.add_condition("StringLike", {"s3:prefix": list(right.prefixes)})
    return statement


def _allow(actions: str, arns: Sequence[str]) -> iam.PolicyStatement:
    """Allow `actions`, one service and its actions: `s3:GetObject PutObject`."""
    service, names = actions.split(":")
    return iam.PolicyStatement(
        actions=[f"{service}:{name}" for name in names.split()], resources=list(arns)
    )


def _index(table: dynamodb.ITable, name: str) -> str:
    return f"{table.table_arn}/index/{name}"
