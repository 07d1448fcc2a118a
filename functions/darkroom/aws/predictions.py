"""The Predictions table. Every write is conditional.

Rows that must change together with a record (its idempotency key, its provider id, its tenant's
month and day, its end user's month) are in the Controls table and in the same transaction.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.aws.dynamodb import (
    CONDITION_FAILED,
    TRIES,
    batch_get,
    cancelled,
    lost_race,
    pause_s,
    query_due,
    response,
    too_large,
)
from darkroom.aws.items import (
    DUE_ATTRIBUTES,
    DUE_SHARDS,
    attribute,
    expired,
    from_item,
    list_items,
    list_of,
    list_row,
    plain,
    prediction_item,
    prediction_of,
    read_due,
    read_prediction,
    read_predictions,
    to_item,
)
from darkroom.domain import repeats, row_keys
from darkroom.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    IdempotencyKeyUsedError,
    LimitReachedError,
    ProviderIdTakenError,
    UnavailableError,
    UnreadableRecordError,
)
from darkroom.domain.money import OPEN_MODELS_A_DAY, OTHER, day_rows
from darkroom.domain.values import immutable
from darkroom.ports import ALWAYS, Due, IdempotencyKey, IdPage, Month

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from darkroom.domain.money import LedgerEntry
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import DueRecord, Span

_MADE = tuple(f"made{number}" for number in range(repeats.KEPT))
"""Attributes of a row of equal requests: its predictions, the latest first."""
PROVIDER_ID_KEPT_S = 90 * 86_400
MONTH_KEPT_S = 400 * 86_400
"""Lifetime of months and of days of usage; last year's can still be compared."""


@immutable
class DynamoPredictions:
    """PredictionStore in the Predictions table; owners of provider ids are in the Controls table.

    An expired record counts as absent, although DynamoDB's TTL deletes it days later.
    """

    client: Any
    table: str
    controls: str = ""
    sleep: Callable[[float], object] = time.sleep

    def insert(
        self,
        record: Prediction,
        key: IdempotencyKey | repeats.RepeatEntry | None = None,
        entries: Sequence[LedgerEntry] = (),
    ) -> None:
        put = {
            "TableName": self.table,
            "Item": prediction_item(record),
            "ConditionExpression": "attribute_not_exists(id)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        writes = {"record": {"Put": put}}
        if isinstance(key, IdempotencyKey):
            writes["key"] = {"Put": self._key(record, key)}
        elif key is not None:
            writes["key"] = {"Update": self._among_equals(key)}
        writes |= self._entered(record, entries)
        for number, row in enumerate(list_items(record)):
            writes[f"list {number}"] = {"Put": {"TableName": self.table, "Item": row}}
        lost = self._write(writes)
        if not lost:
            return
        key_lost, ours = lost.get("key", {}), lost["record"]
        if key_lost.get("Code") == CONDITION_FAILED:
            used = from_item(key_lost.get("Item", {}))
            used = used if isinstance(key, IdempotencyKey) else _latest(used, record)
            if used["prediction"] != record.id:
                raise IdempotencyKeyUsedError(used["prediction"], used["fingerprint"]) from None
            return
        if "Item" in ours:
            # A repetition of our own put, whose first answer was lost, finds its own item.
            if read_prediction(ours["Item"]) != record:
                raise AlreadyExistsError(record.id) from None
            return
        for entry in entries:
            if lost[entry.row].get("Code") == CONDITION_FAILED:
                month = from_item(lost[entry.row].get("Item", {}))
                stands = (month.get(name, 0) for name in ("committed", "spent", "in_flight"))
                raise LimitReachedError(entry, *stands) from None
        raise UnavailableError(
            "Too many requests of the same kind at this moment; try again."
        ) from None

    def _key(self, record: Prediction, key: IdempotencyKey) -> dict[str, Any]:
        row = {
            "pk": key.id,
            "prediction": record.id,
            "fingerprint": record.fingerprint,
            "expires_at": key.expires_at,
        }
        return {
            "TableName": self.controls,
            "Item": to_item(row),
            "ConditionExpression": "attribute_not_exists(pk) OR expires_at <= :now",
            "ExpressionAttributeValues": {":now": attribute(record.created_at // 1000)},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _among_equals(self, entry: repeats.RepeatEntry) -> dict[str, Any]:
        """Enter the prediction as the latest; the others move on by one, and the last one is
        dropped."""
        moved = [f"#m{n} = if_not_exists(#m{n - 1}, :none)" for n in range(repeats.KEPT - 1, 0, -1)]
        names = {f"#m{number}": name for number, name in enumerate(_MADE)}
        values: dict[str, Any] = {
            ":none": {"M": {}},
            ":made": attribute(asdict(entry.made)),
            ":kept": attribute(entry.expires_at),
        }
        change = f"SET {', '.join(moved)}, #m0 = :made, expires_at = :kept"
        if entry.redeems:
            change += " ADD refused :less"
            condition = "refused >= :one"
            values |= {":less": attribute(-1), ":one": attribute(1)}
        elif entry.received_at is not None:
            condition = "attribute_not_exists(#m0) OR #m0.early = :no OR #m0.#at < :received"
            names["#at"] = "at"
            values |= {":no": attribute(False), ":received": attribute(entry.received_at)}
        elif entry.seen is None:
            condition = "attribute_not_exists(#m0)"
        else:
            condition = "#m0.prediction = :seen"
            values[":seen"] = attribute(entry.seen.prediction)
        return {
            "TableName": self.controls,
            "Key": {"pk": {"S": entry.row}},
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def check_key(self, key: IdempotencyKey, now: int) -> None:
        used = self._control(key.id)
        if used and used["expires_at"] > now // 1000:
            raise IdempotencyKeyUsedError(used["prediction"], used["fingerprint"])

    def repeats_in(self, row: str) -> repeats.Repeats:
        return _repeats(self._control(row))

    def answer_again(self, row: str, place: int, made: repeats.Made, count: int) -> bool:
        try:
            self.client.update_item(
                TableName=self.controls,
                Key={"pk": {"S": row}},
                UpdateExpression="SET #made = :again",
                ConditionExpression="#made = :made",
                ExpressionAttributeNames={"#made": _MADE[place]},
                ExpressionAttributeValues={
                    ":made": attribute(asdict(made)),
                    ":again": attribute(asdict(replace(made, count=count))),
                },
            )
        except ClientError as error:
            if not lost_race(error):
                raise
            return False
        return True

    def _control(self, key: str) -> dict[str, Any]:
        found = self.client.get_item(
            TableName=self.controls, Key={"pk": {"S": key}}, ConsistentRead=True
        )
        return from_item(found.get("Item", {}))

    def note_refusal(self, row: str, now: int) -> None:
        kept = repeats.REFUSED_S * 1000
        values = {":now": now, ":since": now - kept, ":one": 1}
        values[":kept"] = now // 1000 + repeats.KEPT_S
        fresh = "SET refused_at = :now, expires_at = :kept ADD refused :one"
        first = "SET refused_at = :now, expires_at = :kept, refused = :one"
        for change, condition in (
            (fresh, "refused_at >= :since"),
            (first, "attribute_not_exists(refused_at) OR refused_at < :since"),
        ):
            try:
                self.client.update_item(
                    TableName=self.controls,
                    Key={"pk": {"S": row}},
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=to_item(values),
                )
            except ClientError as error:
                if not lost_race(error):
                    raise
            else:
                return

    def _entered(
        self, record: Prediction, entries: Sequence[LedgerEntry]
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the writes of months, by their rows."""
        return {entry.row: {"Update": self._entry(record, entry)} for entry in entries}

    def _entry(self, record: Prediction, entry: LedgerEntry) -> dict[str, Any]:
        values = {
            ":committed": entry.committed,
            ":spent": entry.spent,
            ":one": entry.in_flight,
            ":kept": record.created_at // 1000 + MONTH_KEPT_S,
        }
        conditions = []
        if entry.below is not None:
            values[":below"] = entry.below
            conditions.append("(attribute_not_exists(committed) OR committed <= :below)")
        if entry.most_in_flight is not None:
            values[":most"] = entry.most_in_flight
            conditions.append("(attribute_not_exists(in_flight) OR in_flight < :most)")
        update = {
            "TableName": self.controls,
            "Key": {"pk": {"S": entry.row}},
            "UpdateExpression": "SET expires_at = :kept "
            "ADD committed :committed, spent :spent, in_flight :one",
            "ExpressionAttributeValues": to_item(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        return update | ({"ConditionExpression": " AND ".join(conditions)} if conditions else {})

    def _write(self, writes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Do all the writes or none. Returns an empty dict, or the reasons of failed writes by
        name.

        A single write is not a transaction, which costs half. A transaction that conflicts with
        another is retried for a moment, because a tenant's month is part of all of its predictions'
        ends.
        """
        if len(writes) == 1:
            ((name, write),) = writes.items()
            try:
                if "Put" in write:
                    self.client.put_item(**write["Put"])
                else:
                    self.client.update_item(**write["Update"])
            except ClientError as error:
                if not lost_race(error):
                    raise
                return {name: {"Code": CONDITION_FAILED, **response(error)}}
            return {}
        for attempt in range(TRIES):
            try:
                self.client.transact_write_items(TransactItems=list(writes.values()))
            except ClientError as error:
                lost = dict(zip(writes, cancelled(error), strict=True))
                if attempt + 1 == TRIES or CONDITION_FAILED in {
                    reason.get("Code") for reason in lost.values()
                }:
                    return lost
                self.sleep(pause_s(attempt))
                continue
            return {}
        return {}

    def month(self, row: str) -> Month:
        key = {"pk": {"S": row}}
        item = from_item(self.client.get_item(TableName=self.controls, Key=key).get("Item", {}))
        return Month(*(int(item.get(name, 0)) for name in ("committed", "spent", "in_flight")))

    def get(self, id_: str) -> Prediction | None:
        return _living(self._item(id_))

    def glance(self, id_: str) -> Prediction | None:
        return _living(self._item(id_, consistent=False))

    def _item(self, id_: str, *, consistent: bool = True) -> dict[str, Any] | None:
        answer = self.client.get_item(TableName=self.table, Key=_id(id_), ConsistentRead=consistent)
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def get_many(
        self, ids: Iterable[str], unreadable: list[UnreadableRecordError] | None = None
    ) -> Iterator[Prediction]:
        wanted = list(ids)
        items = self._items(wanted, {"ConsistentRead": True})
        now_s = time.time()
        found = (items[id_] for id_ in wanted if id_ in items)
        return read_predictions((item for item in found if not expired(item, now_s)), unreadable)

    def _items(self, ids: list[str], asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
        keys = [_id(id_) for id_ in ids]
        items = batch_get(self.client, self.table, keys, asked, self.sleep)
        return {item["id"]["S"]: item for item in items}

    def commit(
        self, record: Prediction, *, claims: str | None = None, entries: Sequence[LedgerEntry] = ()
    ) -> None:
        put = {
            "TableName": self.table,
            "Item": prediction_item(record),
            "ConditionExpression": "revision = :read",
            "ExpressionAttributeValues": {":read": attribute(record.revision - 1)},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        writes = {"record": {"Put": put}}
        if claims:
            writes["claim"] = {"Put": self._claim(record, claims)}
        writes |= self._entered(record, entries)
        lost = self._write_counted(writes, record) if entries else self._write(writes)
        if not lost:
            return
        ours, theirs = lost["record"], lost.get("claim", {})
        if theirs.get("Code") == CONDITION_FAILED and ours.get("Code") != CONDITION_FAILED:
            raise ProviderIdTakenError(None, from_item(theirs["Item"])["owner"]) from None
        # The condition failed: another writer, or our own write whose answer was lost. With a
        # transaction in progress the error contains no item, so it is read.
        stored = ours.get("Item") or self._item(record.id)
        current = read_prediction(stored) if stored else None
        if current != record:
            raise ConflictError(current) from None

    def _claim(self, record: Prediction, provider_id: str) -> dict[str, Any]:
        row = {
            "pk": row_keys.OWNER + provider_id,
            "owner": record.id,
            "expires_at": record.created_at // 1000 + PROVIDER_ID_KEPT_S,
        }
        return {
            "TableName": self.controls,
            "Item": to_item(row),
            "ConditionExpression": "attribute_not_exists(pk) OR #owner = :owner "
            "OR expires_at <= :now",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {
                ":owner": attribute(record.id),
                ":now": attribute(int(time.time())),
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def owner_of(self, provider_id: str) -> str | None:
        item = self.client.get_item(
            TableName=self.controls,
            Key={"pk": {"S": row_keys.OWNER + provider_id}},
            ConsistentRead=True,
        ).get("Item")
        return str(plain(item["owner"])) if item and not expired(item, time.time()) else None

    def due(self, now: int, limit: int) -> list[Due]:
        keys: list[Due] = []
        for number in range(DUE_SHARDS):
            found = query_due(self.client, self.table, number, now, limit)
            keys += [Due(item["id"], item["due_at"]) for item in found]
        return sorted(keys, key=lambda key: key.due_at)[:limit]

    def look(self, keys: Iterable[Due]) -> list[DueRecord]:
        wanted = {key.id: key for key in keys}
        names = {f"#{number}": name for number, name in enumerate(DUE_ATTRIBUTES)}
        asked = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        items = self._items(list(wanted), asked)
        return [read_due(key, items[id_]) for id_, key in wanted.items() if id_ in items]

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
            if lost_race(error):
                return None
            raise
        return read_prediction(answer["Attributes"])

    def watch(self, record: Prediction, until: int) -> bool:
        try:
            self.client.update_item(
                TableName=self.table,
                Key=_id(record.id),
                UpdateExpression="SET watched_until = :until, relay = :no",
                ConditionExpression="revision = :read AND "
                "(attribute_not_exists(watched_until) OR watched_until < :until)",
                ExpressionAttributeValues={
                    ":until": attribute(until),
                    ":no": {"BOOL": False},
                    ":read": attribute(record.revision),
                },
            )
        except ClientError as error:
            if lost_race(error):
                return False
            raise
        return True

    def mark_effects_done(self, record: Prediction) -> None:
        mark = {
            "TableName": self.table,
            "Key": _id(record.id),
            "UpdateExpression": "SET effects_done = :yes, counted = :yes, relay = :no, "
            "revision = :next REMOVE due_at, due_shard",
            "ConditionExpression": "revision = :read",
            "ExpressionAttributeValues": {
                ":yes": {"BOOL": True},
                ":no": {"BOOL": False},
                ":read": attribute(record.revision),
                ":next": attribute(record.revision + 1),
            },
        }
        writes = {"record": {"Update": mark}}
        lost = self._write(writes) if record.counted else self._write_counted(writes, record)
        if lost and lost["record"].get("Code") != CONDITION_FAILED:
            raise UnavailableError(
                "The day of usage is written too often at this moment; try again."
            )

    def _write_counted(
        self, writes: dict[str, dict[str, Any]], record: Prediction
    ) -> dict[str, dict[str, Any]]:
        """`_write`, with the prediction counted in its tenant's day of usage, and in its tags'.

        It is counted as `OTHER` if the day has too many open models. If the day's row is full, it
        is skipped, because usage must not block an end.
        """
        lost: dict[str, dict[str, Any]] = {}
        for counted in (self._count(record, record.model), self._count(record, OTHER), {}):
            try:
                lost = self._write(writes | counted)
            except ClientError as error:
                if not too_large(error):
                    raise
                continue
            uncounted = any(lost.get(row, {}).get("Code") == CONDITION_FAILED for row in counted)
            if not uncounted or any(lost[name].get("Code") == CONDITION_FAILED for name in writes):
                break
        return lost

    def _count(self, record: Prediction, name: str) -> dict[str, dict[str, Any]]:
        """Return the writes of usage. A model without a price is not in the catalogue, and its name
        is added to the set `open`, so that the row knows their number. At its end a record has
        dropped its price, so no cost means no price."""
        update: dict[str, Any] = {
            "TableName": self.controls,
            "UpdateExpression": "SET expires_at = :kept ADD #number :one, #cost :cost",
            "ExpressionAttributeNames": {"#number": f"n:{name}", "#cost": f"c:{name}"},
            "ExpressionAttributeValues": {
                ":one": attribute(1),
                ":cost": attribute(record.cost or 0),
                ":kept": attribute(record.created_at // 1000 + MONTH_KEPT_S),
            },
        }
        if record.cost is None and name != OTHER:
            update["UpdateExpression"] += ", #open :name"
            update["ConditionExpression"] = (
                "attribute_exists(#number) OR attribute_not_exists(#open) OR size(#open) < :most"
            )
            update["ExpressionAttributeNames"]["#open"] = "open"
            update["ExpressionAttributeValues"] |= {
                ":name": {"SS": [name]},
                ":most": attribute(OPEN_MODELS_A_DAY),
            }
        return {row: {"Update": {**update, "Key": {"pk": {"S": row}}}} for row in day_rows(record)}

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

    def list_ids(
        self,
        tenant: str,
        after: tuple[int, str] | None,
        limit: int,
        span: Span = ALWAYS,
        name: str | None = None,
    ) -> IdPage:
        partition = list_of(tenant, name)
        query: dict[str, Any] = {
            "TableName": self.table,
            "IndexName": "tenant",
            "KeyConditionExpression": "tenant = :tenant AND created_at BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":tenant": {"S": partition},
                ":first": {"N": str(span.first)},
                ":last": {"N": str(span.last)},
            },
            "ScanIndexForward": span.oldest_first,
            "Limit": limit,
        }
        if after is not None:
            at, id_ = after
            key = {"tenant": partition, "created_at": at, "id": list_row(id_, name)}
            query["ExclusiveStartKey"] = to_item(key)
        answer = self.client.query(**query)
        last = answer.get("LastEvaluatedKey")
        more = (int(plain(last["created_at"])), prediction_of(plain(last["id"]))) if last else None
        return IdPage([prediction_of(item["id"]["S"]) for item in answer["Items"]], more)


def _repeats(row: dict[str, Any]) -> repeats.Repeats:
    """Parse a row of equal requests; an unused place is absent, or empty."""
    made = tuple(repeats.Made(**row[name]) for name in _MADE if row.get(name))
    return repeats.Repeats(made, row.get("refused", 0), row.get("refused_at", 0))


def _latest(row: dict[str, Any], record: Prediction) -> dict[str, Any]:
    """Return the row's latest prediction in the form of an idempotency key's row."""
    made = _repeats(row).made
    if not made:
        raise UnavailableError(
            "An equal request is being refused at this moment; try again."
        ) from None
    return {"prediction": made[0].prediction, "fingerprint": record.fingerprint}


def _living(item: dict[str, Any] | None) -> Prediction | None:
    return read_prediction(item) if item and not expired(item, time.time()) else None


def _id(id_: str) -> dict[str, Any]:
    return {"id": {"S": id_}}
