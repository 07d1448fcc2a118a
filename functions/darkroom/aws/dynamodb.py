"""What the tables' adapters share: the `due` index, reads of many keys, and why a conditional write
was not done."""

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
"""Keys that DynamoDB takes in one read."""
TRIES = 6
BACKOFF = Backoff(0.02, least=0.5)


def pause_s(number: int) -> float:
    """How long to wait after so many tries that met others."""
    return BACKOFF.pause_s(number, random.random())  # noqa: S311


def batch_get(
    client: Any,
    table: str,
    keys: list[dict[str, Any]],
    asked: dict[str, Any],
    sleep: Callable[[float], object],
) -> Iterator[dict[str, Any]]:
    """The items of those keys that there are, in no order, as they come. `asked` says of them how
    consistent, and which attributes.

    DynamoDB leaves keys over where an answer would pass 16 MB, and while it throttles. They are
    asked for again, after a pause that grows where an answer held nothing. Raises UnavailableError
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
