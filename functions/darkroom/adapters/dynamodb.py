"""What the tables' adapters share: the `due` index, and why a conditional write was not done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.adapters.items import attribute, from_item

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

CONDITION_FAILED = "ConditionalCheckFailed"


def query_due(client: Any, table: str, number: int, now: int, limit: int) -> list[dict[str, Any]]:
    answer = client.query(
        TableName=table,
        IndexName="due",
        KeyConditionExpression="due_shard = :shard AND due_at <= :now",
        ExpressionAttributeValues={":shard": attribute(number), ":now": attribute(now)},
        Limit=limit,
    )
    return [from_item(item) for item in answer["Items"]]


def response(error: ClientError) -> dict[str, Any]:
    """The parsed error; boto3's own types leave out what conditional writes add to it."""
    return dict(error.response)


def lost_race(error: ClientError) -> bool:
    """The condition did not hold, or a transaction has the item: both lose the race."""
    return error.response["Error"]["Code"] in {
        "ConditionalCheckFailedException",
        "TransactionConflictException",
    }


def too_large(error: ClientError) -> bool:
    """An update would make its item larger than DynamoDB takes; alone, or in a transaction."""
    reasons = response(error).get("CancellationReasons", [])
    said = [error.response["Error"], *reasons]
    return any("Item size to update" in (each.get("Message") or "") for each in said)


def cancelled(error: ClientError) -> list[dict[str, Any]]:
    """Why each of a transaction's writes was cancelled; any other error is raised again."""
    if error.response["Error"]["Code"] != "TransactionCanceledException":
        raise error
    reasons: list[dict[str, Any]] = response(error)["CancellationReasons"]
    if not {reason.get("Code") for reason in reasons} & {CONDITION_FAILED, "TransactionConflict"}:
        raise error
    return reasons
