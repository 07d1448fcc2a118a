"""Shared by the tables' adapters: the `due` index, reads of many keys, and reasons of failed
conditional writes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import attribute, from_item
from darkroom.domain.backoff import Backoff
from darkroom.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.exceptions import ClientError

CONDITION_FAILED = "ConditionalCheckFailed"
BATCH = 100
"""Maximum keys in one DynamoDB read."""
TRIES = 6
BACKOFF = Backoff(0.02, least=0.5)


def pause_s(number: int) -> float:
    """Return the delay after a number of conflicting attempts."""
    return BACKOFF.pause_s(number, random.random())  # noqa: S311


def batch_get(
    client: Any,
    table: str,
    keys: list[dict[str, Any]],
    asked: dict[str, Any],
    sleep: Callable[[float], object],
) -> Iterator[dict[str, Any]]:
    """Yield the existing items of the keys, in no order, as they arrive. `asked` sets consistency
    and attributes.

    DynamoDB returns keys unprocessed if an answer would exceed 16 MB, or while it throttles. They
    are requested again, after a delay that grows with each empty answer. Raises UnavailableError
    after too many of those.
    """
    for start in range(0, len(keys), BATCH):
        left, fruitless = keys[start : start + BATCH], 0
        while left:
            answer = client.batch_get_item(RequestItems={table: {"Keys": left, **asked}})
            yield from answer["Responses"].get(table, [])
            tried, left = left, answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            if not left:
                break
            nothing = len(left) == len(tried)
            fruitless += nothing
            if fruitless == TRIES:
                raise UnavailableError("Too much is read at this moment; try again.")
            sleep(pause_s(fruitless if nothing else 0))


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
    """Return the parsed error; boto3's own types omit the fields of conditional writes."""
    return dict(error.response)


def lost_race(error: ClientError) -> bool:
    """Whether the condition failed, or a transaction has the item; both count as a lost race."""
    return error.response["Error"]["Code"] in {
        "ConditionalCheckFailedException",
        "TransactionConflictException",
    }


def too_large(error: ClientError) -> bool:
    """Whether an update would exceed DynamoDB's item size, alone or in a transaction."""
    reasons = response(error).get("CancellationReasons", [])
    said = [error.response["Error"], *reasons]
    return any("Item size to update" in (each.get("Message") or "") for each in said)


def cancelled(error: ClientError) -> list[dict[str, Any]]:
    """Return the reason for each canceled write of a transaction; any other error is raised
    again."""
    if error.response["Error"]["Code"] != "TransactionCanceledException":
        raise error
    reasons: list[dict[str, Any]] = response(error)["CancellationReasons"]
    if not {reason.get("Code") for reason in reasons} & {CONDITION_FAILED, "TransactionConflict"}:
        raise error
    return reasons
