"""The three tables behind their ports. Every write is conditional."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.adapters.items import (
    DUE_SHARDS,
    attribute,
    from_item,
    plain,
    prediction_item,
    read_prediction,
    shard,
    to_item,
)
from darkroom.domain.callbacks import Endpoint
from darkroom.domain.errors import (
    AlreadyExists,
    Conflict,
    IdempotencyKeyUsed,
    ProviderIdTaken,
    Unavailable,
)
from darkroom.ports import (
    ApiKey,
    Attempt,
    Delivery,
    Due,
    IdempotencyKey,
    Page,
    RunTime,
    SecretVersion,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from darkroom.domain.prediction import Prediction

_BATCH = 100
PROVIDER_ID_KEPT_S = 90 * 86_400
ENDPOINT_KEPT_S = 30 * 86_400
"""Then a disabled endpoint gets another chance."""
_RUN_TIMES = "RUNTIMES"


@dataclass(frozen=True, slots=True)
class DynamoPredictions:
    """PredictionStore over the Predictions table; `PID#` items live in the Controls table."""

    client: Any
    table: str
    controls: str = ""

    def insert(self, record: Prediction, key: IdempotencyKey | None = None) -> None:
        put = {
            "TableName": self.table,
            "Item": prediction_item(record),
            "ConditionExpression": "attribute_not_exists(id)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if key is not None:
            self._insert_with_key(put, record, key)
            return
        try:
            self.client.put_item(**put)
        except ClientError as error:
            if not _lost(error):
                raise
            # A repeat of our own put, whose first answer was lost, finds what it wrote.
            if read_prediction(_response(error)["Item"]) != record:
                raise AlreadyExists(record.id) from None

    def _insert_with_key(
        self, put: dict[str, Any], record: Prediction, key: IdempotencyKey
    ) -> None:
        row = {
            "pk": key.id,
            "prediction": record.id,
            "fingerprint": record.fingerprint,
            "expires_at": key.expires_at,
        }
        claim = {
            "TableName": self.controls,
            "Item": to_item(row),
            "ConditionExpression": "attribute_not_exists(pk) OR expires_at <= :now",
            "ExpressionAttributeValues": {":now": attribute(record.created_at // 1000)},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            self.client.transact_write_items(TransactItems=[{"Put": put}, {"Put": claim}])
        except ClientError as error:
            ours, theirs = _cancelled(error)
            if theirs.get("Code") == _CONDITION:
                used = from_item(theirs["Item"])
                if used["prediction"] == record.id:
                    return
                raise IdempotencyKeyUsed(used["prediction"], used["fingerprint"]) from None
            if ours.get("Code") == _CONDITION:
                raise AlreadyExists(record.id) from None
            # Another request with the same key is being written at this moment.
            raise Unavailable("The same idempotency key is in use right now; try again.") from None

    def get(self, id_: str) -> Prediction | None:
        item = self.client.get_item(TableName=self.table, Key=_id(id_), ConsistentRead=True)
        return read_prediction(item["Item"]) if "Item" in item else None

    def get_many(self, ids: Iterable[str]) -> list[Prediction]:
        wanted = list(ids)
        found: dict[str, Prediction] = {}
        for start in range(0, len(wanted), _BATCH):
            keys = [_id(id_) for id_ in wanted[start : start + _BATCH]]
            while keys:
                answer = self.client.batch_get_item(
                    RequestItems={self.table: {"Keys": keys, "ConsistentRead": True}}
                )
                for item in answer["Responses"].get(self.table, []):
                    record = read_prediction(item)
                    found[record.id] = record
                keys = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])
        return [found[id_] for id_ in wanted if id_ in found]

    def commit(self, record: Prediction, *, claims: str | None = None) -> None:
        put = {
            "TableName": self.table,
            "Item": prediction_item(record),
            "ConditionExpression": "revision = :read",
            "ExpressionAttributeValues": {":read": attribute(record.revision - 1)},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if claims:
            self._commit_with_claim(put, record, claims)
            return
        try:
            self.client.put_item(**put)
        except ClientError as error:
            if not _lost(error):
                raise
            self._settle(record, _response(error).get("Item"))

    def _settle(self, record: Prediction, stored: dict[str, Any] | None) -> None:
        """A lost condition: somebody else's write, or our own whose answer never arrived.

        A transaction under way on the item shows no item: then it is read.
        """
        current = read_prediction(stored) if stored else self.get(record.id)
        if current != record:
            raise Conflict(current) from None

    def _commit_with_claim(self, put: dict[str, Any], record: Prediction, claims: str) -> None:
        claim = {
            "TableName": self.controls,
            "Item": to_item(
                {
                    "pk": f"PID#{claims}",
                    "owner": record.id,
                    "expires_at": record.created_at // 1000 + PROVIDER_ID_KEPT_S,
                }
            ),
            "ConditionExpression": "attribute_not_exists(pk) OR #owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":owner": attribute(record.id)},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            self.client.transact_write_items(TransactItems=[{"Put": put}, {"Put": claim}])
        except ClientError as error:
            ours, theirs = _cancelled(error)
            if theirs.get("Code") == _CONDITION and ours.get("Code") != _CONDITION:
                taken = from_item(theirs["Item"])
                raise ProviderIdTaken(None, taken["owner"]) from None
            self._settle(record, ours.get("Item"))

    def owner_of(self, provider_id: str) -> str | None:
        item = self.client.get_item(
            TableName=self.controls,
            Key={"pk": {"S": f"PID#{provider_id}"}},
            ConsistentRead=True,
        ).get("Item")
        return str(plain(item["owner"])) if item else None

    def due(self, now: int, limit: int) -> list[Due]:
        keys: list[Due] = []
        for number in range(DUE_SHARDS):
            found = _query_due(self.client, self.table, number, now, limit)
            keys += [Due(item["id"], item["due_at"]) for item in found]
        return sorted(keys, key=lambda key: key.due_at)[:limit]

    def claim(self, key: Due, until: int) -> Prediction | None:
        try:
            answer = self.client.update_item(
                TableName=self.table,
                Key=_id(key.id),
                UpdateExpression="SET due_at = :until",
                ConditionExpression="due_at = :seen",
                ExpressionAttributeValues={
                    ":until": attribute(until),
                    ":seen": attribute(key.due_at),
                },
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if _lost(error):
                return None
            raise
        return read_prediction(answer["Attributes"])

    def mark_effects_done(self, record: Prediction) -> None:
        try:
            self.client.update_item(
                TableName=self.table,
                Key=_id(record.id),
                UpdateExpression="SET effects_done = :done REMOVE due_at, due_shard",
                ConditionExpression="revision = :read",
                ExpressionAttributeValues={
                    ":done": {"BOOL": True},
                    ":read": attribute(record.revision),
                },
            )
        except ClientError as error:
            if not _lost(error):
                raise

    def recent_ids(self, tenant: str, since: int, limit: int) -> list[str]:
        answer = self.client.query(
            TableName=self.table,
            IndexName="tenant",
            KeyConditionExpression="tenant = :tenant AND created_at >= :since",
            ExpressionAttributeValues={":tenant": {"S": tenant}, ":since": attribute(since)},
            ScanIndexForward=False,
            Limit=limit,
        )
        return [item["id"]["S"] for item in answer["Items"]]

    def list_ids(self, tenant: str, after: tuple[int, str] | None, limit: int) -> Page:
        query: dict[str, Any] = {
            "TableName": self.table,
            "IndexName": "tenant",
            "KeyConditionExpression": "tenant = :tenant",
            "ExpressionAttributeValues": {":tenant": {"S": tenant}},
            "ScanIndexForward": False,
            "Limit": limit,
        }
        if after is not None:
            at, id_ = after
            query["ExclusiveStartKey"] = to_item({"tenant": tenant, "created_at": at, "id": id_})
        answer = self.client.query(**query)
        last = answer.get("LastEvaluatedKey")
        more = (int(plain(last["created_at"])), str(plain(last["id"]))) if last else None
        return Page([item["id"]["S"] for item in answer["Items"]], more)


@dataclass(frozen=True, slots=True)
class DynamoDeliveries:
    """DeliveryStore over the Deliveries table."""

    client: Any
    table: str

    def put(self, delivery: Delivery) -> bool:
        try:
            self.client.put_item(
                TableName=self.table,
                Item=_delivery_item(delivery),
                ConditionExpression="attribute_not_exists(prediction)",
            )
        except ClientError as error:
            if _lost(error):
                return False
            raise
        return True

    def get(self, prediction: str, event: str) -> Delivery | None:
        key = to_item({"prediction": prediction, "event": event})
        item = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        return _read_delivery(item) if item else None

    def of(self, prediction: str, limit: int) -> list[Delivery]:
        query: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": "prediction = :prediction",
            "ExpressionAttributeValues": {":prediction": {"S": prediction}},
            "ProjectionExpression": ", ".join(f"#{n}" for n in range(len(_DELIVERY_LISTED))),
            "ExpressionAttributeNames": {f"#{n}": a for n, a in enumerate(_DELIVERY_LISTED)},
            "ScanIndexForward": False,
            "Limit": limit,
        }
        rows: list[Delivery] = []
        while len(rows) < limit:
            # A page ends at 1 MB of items, and what is frozen counts although it is left out.
            answer = self.client.query(**query)
            rows += [_read_delivery(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return rows[:limit]

    def write(self, delivery: Delivery, *, seen: Delivery) -> bool:
        try:
            self.client.put_item(
                TableName=self.table,
                Item=_delivery_item(delivery),
                ConditionExpression="attempts = :attempts AND next_at = :next AND #state = :state",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={
                    ":attempts": attribute(seen.attempts),
                    ":next": attribute(seen.next_at),
                    ":state": attribute(seen.state),
                },
            )
        except ClientError as error:
            if _lost(error):
                return False
            raise
        return True

    def due(self, now: int, limit: int) -> list[tuple[str, str, int]]:
        keys: list[tuple[str, str, int]] = []
        for number in range(DUE_SHARDS):
            found = _query_due(self.client, self.table, number, now, limit)
            keys += [(item["prediction"], item["event"], item["due_at"]) for item in found]
        return sorted(keys, key=lambda key: key[2])[:limit]

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
            if _lost(error):
                return False
            raise
        return True


@dataclass(frozen=True, slots=True)
class DynamoControls:
    """Controls over the Controls table. A row past its TTL counts as absent."""

    client: Any
    table: str

    def api_key(self, key_id: str) -> ApiKey | None:
        row = self._live(key_id)
        if row is None:
            return None
        return ApiKey(
            tenant=row["tenant"],
            scopes=frozenset(row.get("scopes", ())),
            dedupe_window_s=row.get("dedupe_window_s", 0),
        )

    def cached_schema(self, version: str) -> dict[str, Any] | None:
        row = self._live(f"SCHEMA#{version}")
        return json.loads(row["schema"]) if row else None

    def cache_schema(self, version: str, schema: dict[str, Any]) -> None:
        text = json.dumps(schema, separators=(",", ":"))
        if len(text) < 350_000:
            item = to_item({"pk": f"SCHEMA#{version}", "schema": text})
            self.client.put_item(TableName=self.table, Item=item)

    def run_times(self) -> dict[str, RunTime]:
        # One item for all models, so that a process needs one read and no list of names.
        answer = self.client.get_item(TableName=self.table, Key={"pk": {"S": _RUN_TIMES}})
        row = from_item(answer.get("Item", {}))
        return {name: RunTime(**row[name]) for name in row if name != "pk"}

    def note_run_time(self, model: str, run_time: RunTime) -> None:
        self.client.update_item(
            TableName=self.table,
            Key={"pk": {"S": _RUN_TIMES}},
            UpdateExpression="SET #model = :seen",
            ExpressionAttributeNames={"#model": model},
            ExpressionAttributeValues={":seen": attribute(asdict(run_time))},
        )

    def secret_version(self, tenant: str) -> SecretVersion:
        row = self._live(f"TENANT#{tenant}") or {}
        return SecretVersion(row.get("secret_version", 1), row.get("previous_until", 0))

    def endpoint(self, key: str) -> Endpoint:
        row = self._live(key) or {}
        return Endpoint(row.get("failing_since"), row.get("disabled_at"))

    def put_endpoint(self, key: str, endpoint: Endpoint, *, seen: Endpoint) -> None:
        now = int(time.time())
        row = {"pk": key, **asdict(endpoint), "expires_at": now + ENDPOINT_KEPT_S}
        values = {":now": attribute(now)}
        as_seen = []
        for name, value in asdict(seen).items():
            if value is None:
                as_seen.append(f"attribute_not_exists({name})")
            else:
                as_seen.append(f"{name} = :{name}")
                values[f":{name}"] = attribute(value)
        try:
            self.client.put_item(
                TableName=self.table,
                Item=to_item(row),
                ConditionExpression=f"expires_at <= :now OR ({' AND '.join(as_seen)})",
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if not _lost(error):
                raise

    def _live(self, key: str) -> dict[str, Any] | None:
        # Consistent, so that a revoked key is refused at once.
        answer = self.client.get_item(
            TableName=self.table, Key={"pk": {"S": key}}, ConsistentRead=True
        )
        if "Item" not in answer:
            return None
        row = from_item(answer["Item"])
        expires_at = row.get("expires_at")
        return None if expires_at is not None and expires_at <= time.time() else row


def _query_due(client: Any, table: str, number: int, now: int, limit: int) -> list[dict[str, Any]]:
    answer = client.query(
        TableName=table,
        IndexName="due",
        KeyConditionExpression="due_shard = :shard AND due_at <= :now",
        ExpressionAttributeValues={":shard": attribute(number), ":now": attribute(now)},
        Limit=limit,
    )
    return [from_item(item) for item in answer["Items"]]


def _delivery_item(delivery: Delivery) -> dict[str, Any]:
    values = asdict(delivery)
    if delivery.due_at is not None:
        values["due_shard"] = shard(delivery.prediction)
    return to_item(values)


_DELIVERY_LISTED = [f.name for f in fields(Delivery) if f.name != "frozen"]


def _read_delivery(item: dict[str, Any]) -> Delivery:
    values = from_item(item)
    values.pop("due_shard", None)
    values["history"] = tuple(Attempt(**attempt) for attempt in values.get("history", ()))
    return Delivery(**values)


def _id(id_: str) -> dict[str, Any]:
    return {"id": {"S": id_}}


def _response(error: ClientError) -> dict[str, Any]:
    """The parsed error; boto3's own types leave out what conditional writes add to it."""
    return dict(error.response)


_CONDITION = "ConditionalCheckFailed"


def _lost(error: ClientError) -> bool:
    """The condition did not hold, or a transaction has the item: both lose the race."""
    return error.response["Error"]["Code"] in {
        "ConditionalCheckFailedException",
        "TransactionConflictException",
    }


def _cancelled(error: ClientError) -> tuple[dict[str, Any], dict[str, Any]]:
    """Why each of a transaction's two writes was cancelled; any other error is raised again."""
    if error.response["Error"]["Code"] != "TransactionCanceledException":
        raise error
    ours, theirs = _response(error)["CancellationReasons"]
    if not {ours.get("Code"), theirs.get("Code")} & {_CONDITION, "TransactionConflict"}:
        raise error
    return ours, theirs
