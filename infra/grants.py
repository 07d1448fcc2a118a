"""What each function may do: every action it needs, on the resource it needs it for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_dynamodb as dynamodb
    from aws_cdk import aws_events as events
    from aws_cdk import aws_sqs as sqs

    from .constructs.queues import TaskQueue
    from .stacks.stateful import StatefulStack

OWNERS = "PID#*"
"""Rows of which record owns a provider's id."""
USAGE = ("USAGE#*", "TAGGED#*")
"""Rows of tenants' days of usage, and of their tags'."""


def allow(actions: str, *resources: str) -> iam.PolicyStatement:
    """`allow("s3:GetObject PutObject", arn)`: one service, its actions, their resources."""
    service, names = actions.split(":")
    return iam.PolicyStatement(
        actions=[f"{service}:{name}" for name in names.split()], resources=list(resources)
    )


def allow_put(table: str, *keys: str) -> iam.PolicyStatement:
    """Writing whole items, of these partition keys only: no function may write itself an API key
    into the table that holds them beside other things."""
    return allow_keys("dynamodb:PutItem", table, *keys)


def allow_keys(actions: str, table: str, *keys: str) -> iam.PolicyStatement:
    """As `allow`, for items of these partition keys only."""
    statement = allow(actions, table)
    statement.add_condition("ForAllValues:StringLike", {"dynamodb:LeadingKeys": list(keys)})
    return statement


def allow_months(table: str) -> iam.PolicyStatement:
    """Settling and counting a prediction in its months and days, as its end is written."""
    return allow_keys("dynamodb:UpdateItem", table, "SPEND#*", *USAGE)


def allow_rate(table: str) -> iam.PolicyStatement:
    """Counting a request against its tenant's rate."""
    return allow_keys("dynamodb:UpdateItem", table, "RATE#*")


def allow_watch(table: str) -> iam.PolicyStatement:
    """Noting in a record that a client polls it, and nothing else."""
    statement = allow("dynamodb:UpdateItem", table)
    written = ["id", "revision", "watched_until", "relay"]
    statement.add_condition("ForAllValues:StringEquals", {"dynamodb:Attributes": written})
    return statement


def allow_list(bucket: str, *prefixes: str) -> iam.PolicyStatement:
    """Listing a bucket's keys, with one of these prefixes only."""
    statement = allow("s3:ListBucket", bucket)
    statement.add_condition("StringLike", {"s3:prefix": list(prefixes)})
    return statement


def grants(
    *,
    stateful: StatefulStack,
    bus: events.IEventBus,
    dispatch: sqs.IQueue,
    persist: sqs.IQueue,
    deliver: sqs.IQueue,
    tasks: sqs.IQueue,
    relay_failures: sqs.IQueue,
    intake: TaskQueue,
    state_machines: Sequence[str],
    cdn: bool,
    dedicated_account: bool,
    open_models: bool,
) -> Mapping[str, Sequence[iam.PolicyStatement]]:
    """Function's name to its statements.

    A change of a record is a conditional PutItem, in a transaction with the owner of the provider's
    id (`PID#…`) where the stage has an account of its own. Transactions need no actions besides.
    """
    predictions = stateful.predictions.table_arn
    controls = stateful.controls.table_arn
    deliveries = stateful.deliveries.table_arn
    outputs = stateful.objects_arn(stateful.outputs)
    uploads = stateful.objects_arn(stateful.uploads)
    token = stateful.replicate_token.secret_arn
    webhook_secret = stateful.replicate_webhook.secret_arn
    link_key = stateful.link_key.secret_arn
    callback_key = stateful.callback_key.secret_arn
    read_secret = "secretsmanager:GetSecretValue"  # noqa: S105
    # Lambda's own role signs S3's URLs, so it must hold what they allow; the CDN's key needs none.
    show_outputs = (
        allow(read_secret, f"{stateful.cdn_key.secret_arn}-??????")
        if cdn
        else allow("s3:GetObject", outputs)
    )
    work_queues = [dispatch.queue_arn, persist.queue_arn, deliver.queue_arn]
    if state_machines:
        work_queues.append(tasks.queue_arn)
    # In an account that is shared, nobody owns a provider's id.
    claim = [allow_put(controls, OWNERS)] if dedicated_account else []
    see_owners = [allow_keys("dynamodb:GetItem", controls, OWNERS)] if dedicated_account else []
    submit = [
        allow("dynamodb:GetItem PutItem", predictions),
        allow("dynamodb:GetItem", controls),
        allow_put(controls, "IDEM#*", *(["SCHEMA#*"] if open_models else [])),
        *claim,
        allow_keys("dynamodb:UpdateItem", controls, "SPEND#*", *USAGE, "RATE#*"),
        allow("s3:PutObject GetObject", uploads),
        # A cached result is copied from record to record, and an output may be an input.
        allow("s3:PutObject GetObject", outputs),
        allow(read_secret, token, link_key),
    ]
    return {
        "Submit": [
            *submit,
            # A client may repeat itself without a key: its equal requests share a row.
            allow_keys("dynamodb:UpdateItem", controls, "REPEAT#*"),
            # Without a CDN the right to copy outputs is the right to show them.
            *([show_outputs] if cdn else []),
        ],
        "Intake": [
            *submit,
            _consume(intake.queue),
            allow("sqs:ChangeMessageVisibility", intake.queue.queue_arn),
            allow("sqs:SendMessage", intake.dlq.queue_arn),
            allow("events:PutEvents", bus.event_bus_arn),
            *_answer_tasks("states:SendTaskFailure", state_machines),
        ],
        "Read": [
            allow("dynamodb:GetItem BatchGetItem", predictions),
            # Noting that a client polls, and asking for a look at the provider.
            allow_watch(predictions),
            allow("sqs:SendMessage", dispatch.queue_arn),
            allow_keys("dynamodb:BatchGetItem", controls, *USAGE),
            allow("dynamodb:Query", _index(stateful.predictions, "tenant")),
            allow("dynamodb:GetItem", controls),
            allow("s3:GetObject", uploads),
            show_outputs,
            allow(read_secret, callback_key),
        ],
        "Cancel": [
            allow("dynamodb:GetItem PutItem", predictions),
            allow("dynamodb:GetItem", controls),
            allow_months(controls),
            allow_rate(controls),
            allow("s3:GetObject", uploads),
            show_outputs,
            allow(read_secret, token),
        ],
        "Files": [
            allow("dynamodb:GetItem", controls),
            allow_rate(controls),
            allow("s3:PutObject GetObject DeleteObject", uploads),
            allow_list(stateful.uploads.bucket_arn, "*/files/*"),
        ],
        "Webhook": [
            allow("dynamodb:GetItem PutItem", predictions),
            *see_owners,
            *claim,
            allow_months(controls),
            allow(read_secret, webhook_secret, link_key),
        ],
        "Dispatch": [
            allow("dynamodb:GetItem PutItem", predictions),
            *claim,
            # What clients that poll may make of calls to the provider, all together.
            allow_rate(controls),
            allow_months(controls),
            # An output may be the input of a later prediction, which the provider reads at S3.
            allow("s3:GetObject", uploads, outputs),
            allow(read_secret, token, link_key),
            _consume(dispatch),
        ],
        "Relay": [
            _read_stream(stateful.predictions),
            allow("dynamodb:UpdateItem", predictions),
            allow_keys("dynamodb:UpdateItem", controls, *USAGE),
            allow_put(controls, "CACHE#*"),
            allow("dynamodb:PutItem", deliveries),
            allow("sqs:SendMessage", *work_queues, relay_failures.queue_arn),
            allow("events:PutEvents", bus.event_bus_arn),
        ],
        "Persist": [
            allow("dynamodb:GetItem PutItem", predictions),
            allow_keys("dynamodb:GetItem UpdateItem", controls, "RUNTIMES"),
            allow_months(controls),
            allow("s3:PutObject GetObject AbortMultipartUpload", outputs),
            # One prediction's files.
            allow_list(stateful.outputs.bucket_arn, "*/????/??/*/"),
            _consume(persist),
        ],
        "Deliver": [
            allow("dynamodb:GetItem PutItem", deliveries),
            allow("dynamodb:GetItem", predictions, controls),
            allow_put(controls, "HOOK#*"),
            allow("sqs:SendMessage", deliver.queue_arn),
            allow("s3:GetObject", uploads),
            show_outputs,
            allow(read_secret, callback_key),
            allow("events:PutEvents", bus.event_bus_arn),
            _consume(deliver),
            _consume(tasks),
            *_answer_tasks(
                "states:SendTaskSuccess SendTaskFailure SendTaskHeartbeat", state_machines
            ),
        ],
        "Deliveries": [
            allow("dynamodb:GetItem", predictions, controls),
            allow("dynamodb:GetItem PutItem Query", deliveries),
            allow_put(controls, "HOOK#*"),
            allow_rate(controls),
            allow("sqs:SendMessage", deliver.queue_arn),
        ],
        "Sweep": [
            allow("dynamodb:GetItem BatchGetItem PutItem UpdateItem", predictions),
            allow("dynamodb:Query", _index(stateful.predictions, "due")),
            *see_owners,
            *claim,
            allow_months(controls),
            allow("dynamodb:PutItem UpdateItem", deliveries),
            allow("dynamodb:Query", _index(stateful.deliveries, "due")),
            allow("sqs:SendMessage", *work_queues),
            allow("events:PutEvents", bus.event_bus_arn),
            allow(read_secret, token),
        ],
    }


def _answer_tasks(actions: str, state_machines: Sequence[str]) -> list[iam.PolicyStatement]:
    return [allow(actions, *state_machines)] if state_machines else []


def _index(table: dynamodb.ITable, name: str) -> str:
    return f"{table.table_arn}/index/{name}"


def _consume(queue: sqs.IQueue) -> iam.PolicyStatement:
    """What Lambda's pollers use in the function's name."""
    return allow("sqs:ReceiveMessage DeleteMessage GetQueueAttributes", queue.queue_arn)


def _read_stream(table: dynamodb.ITable) -> iam.PolicyStatement:
    """What Lambda's pollers use in the function's name."""
    if table.table_stream_arn is None:
        raise ValueError(f"{table.node.path} has no stream")
    return allow(
        "dynamodb:DescribeStream GetRecords GetShardIterator ListStreams", table.table_stream_arn
    )
