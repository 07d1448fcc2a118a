"""The Deliveries table. Every write is conditional."""

from __future__ import annotations

import contextlib
import time
import zlib
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.aws.dynamodb import lost_race, query_due
from darkroom.aws.items import (
    DUE_SHARDS,
    DamagedItemError,
    attribute,
    expired,
    read_known,
    shard,
    to_item,
)
from darkroom.domain.callback import Callback
from darkroom.domain.errors import UnreadableRecordError
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@immutable
class DynamoDeliveries:
    """DeliveryStore over the Deliveries table."""

    client: Any
    table: str

    def put(self, delivery: Callback) -> bool:
        try:
            self.client.put_item(
                TableName=self.table,
                Item=_delivery_item(delivery),
                ConditionExpression="attribute_not_exists(prediction)",
            )
        except ClientError as error:
            if lost_race(error):
                return False
            raise
        return True

    def get(self, prediction: str, event: str) -> Callback | None:
        key = to_item({"prediction": prediction, "event": event})
        item = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        if item is None or expired(item, time.time()):
            return None
        try:
            return read_known(Callback, item)
        except DamagedItemError as damage:
            raise UnreadableRecordError(prediction, reason=f"{event}: {damage}") from None

    def of(self, prediction: str, limit: int) -> list[Callback]:
        query: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": "prediction = :prediction",
            "ExpressionAttributeValues": {":prediction": {"S": prediction}},
            "ProjectionExpression": ", ".join(f"#{n}" for n in range(len(_DELIVERY_LISTED))),
            "ExpressionAttributeNames": {f"#{n}": a for n, a in enumerate(_DELIVERY_LISTED)},
            "ScanIndexForward": False,
            "Limit": limit,
        }
        rows: list[Callback] = []
        while len(rows) < limit:
            # A page ends at 1 MB of items, and `frozen` counts although it is left out.
            answer = self.client.query(**query)
            rows += _readable(answer["Items"])
            if "LastEvaluatedKey" not in answer:
                break
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return rows[:limit]

    def write(self, delivery: Callback, *, seen: Callback, lane: str = "") -> bool:
        try:
            self.client.put_item(
                TableName=self.table,
                Item=_delivery_item(delivery, lane),
                ConditionExpression="attempts = :attempts AND next_at = :next AND #state = :state",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={
                    ":attempts": attribute(seen.attempts),
                    ":next": attribute(seen.next_at),
                    ":state": attribute(seen.state),
                },
            )
        except ClientError as error:
            if lost_race(error):
                return False
            raise
        return True

    def due(self, now: int, limit: int) -> list[tuple[str, str, int]]:
        shards = []
        for number in range(DUE_SHARDS):
            found = query_due(self.client, self.table, number, now, limit)
            shards.append([(item["prediction"], item["event"], item["due_at"]) for item in found])
        return share_due(shards, limit)

    def claim(self, prediction: str, event: str, due_at: int, until: int) -> bool:
        try:
            self.client.update_item(
                TableName=self.table,
                Key=to_item({"prediction": prediction, "event": event}),
                UpdateExpression="SET due_at = :until",
                ConditionExpression="due_at = :seen",
                ExpressionAttributeValues={":until": attribute(until), ":seen": attribute(due_at)},
            )
        except ClientError as error:
            if lost_race(error):
                return False
            raise
        return True


def delivery_shard(delivery: Callback, lane: str) -> int:
    """Return the `due` index's partition. A lane has a single one, so that it never fills the
    others."""
    return zlib.crc32(lane.encode()) % DUE_SHARDS if lane else shard(delivery.prediction)


def share_due(
    shards: Iterable[list[tuple[str, str, int]]], limit: int
) -> list[tuple[str, str, int]]:
    """Take equally from each partition, the oldest of each first; sorted oldest first."""
    ranked = sorted(
        ((rank, key) for found in shards for rank, key in enumerate(found)),
        key=lambda each: (each[0], each[1][2]),
    )
    return sorted((key for _, key in ranked[:limit]), key=lambda key: key[2])


def _delivery_item(delivery: Callback, lane: str = "") -> dict[str, Any]:
    values = asdict(delivery)
    if delivery.due_at is not None:
        values["due_shard"] = delivery_shard(delivery, lane)
    return to_item(values)


_DELIVERY_LISTED = [f.name for f in fields(Callback) if f.name != "frozen"]


def _readable(items: list[dict[str, Any]]) -> Iterator[Callback]:
    for item in items:
        if not expired(item, time.time()):
            with contextlib.suppress(DamagedItemError):
                yield read_known(Callback, item)
