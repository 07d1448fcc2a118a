"""The Controls table: keys, limits, usage, and small shared items."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.aws.dynamodb import batch_get, lost_race, response
from darkroom.aws.items import DamagedItemError, attribute, expired, from_item, made, plain, to_item
from darkroom.domain import row_keys
from darkroom.domain.money import Limits
from darkroom.domain.values import immutable
from darkroom.ports import ApiKey, RunTime, SecretVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from darkroom.domain.receivers import Receivers

RECEIVERS_KEPT_S = 60 * 86_400
"""Longer than any endpoint stays disabled."""
BUCKET_TRIES = 3


@immutable
class DynamoControls:
    """Controls in the Controls table. A row past its TTL counts as absent."""

    client: Any
    table: str
    sleep: Callable[[float], object] = time.sleep

    def api_key(self, key_id: str) -> ApiKey | None:
        # Every request makes this read, at half a unit. Replicas lag by less than a second, and a
        # revoked key is promised to be rejected within a minute.
        row = self._live(key_id, consistent=False)
        if row is None:
            return None
        return ApiKey(
            tenant=row["tenant"],
            scopes=frozenset(row.get("scopes", ())),
            dedupe_window_s=row.get("dedupe_window_s", 0),
        )

    def cached_schema(self, model: str, version: str) -> dict[str, Any] | None:
        row = self._live(row_keys.schema(model, version))
        return json.loads(row["schema"]) if row else None

    def cache_schema(self, model: str, version: str, schema: dict[str, Any]) -> None:
        text = json.dumps(schema, separators=(",", ":"))
        if len(text) < 350_000:
            item = to_item({"pk": row_keys.schema(model, version), "schema": text})
            self.client.put_item(TableName=self.table, Item=item)

    def run_times(self) -> dict[str, RunTime]:
        # One item for all models, so that a process needs one read and no list of names.
        answer = self.client.get_item(TableName=self.table, Key={"pk": {"S": row_keys.RUN_TIMES}})
        found = {}
        for name, typed in answer.get("Item", {}).items():
            # An unreadable time of one model is ignored without affecting other models.
            with contextlib.suppress(DamagedItemError, TypeError):
                found[name] = made(RunTime, plain(typed))
        return found

    def note_run_time(self, model: str, run_time: RunTime, drop: str | None = None) -> None:
        names = {"#model": model} | ({"#drop": drop} if drop else {})
        self.client.update_item(
            TableName=self.table,
            Key={"pk": {"S": row_keys.RUN_TIMES}},
            UpdateExpression="SET #model = :seen" + (" REMOVE #drop" if drop else ""),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":seen": attribute(asdict(run_time))},
        )

    def limits(self, tenant: str) -> Limits:
        answer = self.client.get_item(
            TableName=self.table, Key={"pk": {"S": row_keys.tenant(tenant)}}
        )
        row = from_item(answer.get("Item", {}))
        return Limits(**{f.name: row[f.name] for f in fields(Limits) if f.name in row})

    def take(self, name: str, now_us: int, interval_us: int, burst: int) -> int:
        # GCRA: a single number, the time up to which the bucket is used, changed by conditional
        # writes that any number of processes may make concurrently. After that time the row equals
        # an absent one, so its TTL is not earlier.
        last = now_us + (burst - 1) * interval_us
        kept = {":kept": (last + interval_us) // 1_000_000 + 1}
        seen = 0
        for _ in range(BUCKET_TRIES):
            fresh = "attribute_not_exists(tat) OR tat <= :now"
            values = {":now": now_us, ":next": now_us + interval_us, **kept}
            seen = self._move(name, "SET tat = :next", fresh, values)
            if not seen:
                return 0
            if seen > last:
                return seen - last
            values = {":now": now_us, ":last": last, ":interval": interval_us, **kept}
            full = "tat > :now AND tat <= :last"
            seen = self._move(name, "SET tat = tat + :interval", full, values)
            if not seen:
                return 0
        return max(interval_us, seen - last)

    def _move(self, name: str, change: str, condition: str, values: dict[str, int]) -> int:
        """Change the bucket and return 0, or return its value if the condition fails."""
        try:
            self.client.update_item(
                TableName=self.table,
                Key={"pk": {"S": row_keys.RATE + name}},
                UpdateExpression=f"{change}, expires_at = :kept",
                ConditionExpression=condition,
                ExpressionAttributeValues=to_item(values),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not lost_race(error):
                raise
            held: int = from_item(response(error).get("Item", {})).get("tat", 0)
            return max(1, held)
        return 0

    def usage(
        self, tenant: str, days: Iterable[str], tag: str | None = None
    ) -> dict[str, dict[str, tuple[int, int]]]:
        by_row = {row_keys.usage(tenant, day, tag): day for day in days}
        keys = [{"pk": {"S": row}} for row in by_row]
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for item in batch_get(self.client, self.table, keys, {}, self.sleep):
            if expired(item, time.time()):
                continue
            row = from_item(item)
            found[by_row[row["pk"]]] = {
                name[2:]: (row[name], row.get(f"c:{name[2:]}", 0))
                for name in row
                if name.startswith("n:")
            }
        return found

    def cached_result(self, key: str) -> str | None:
        row = self._live(row_keys.RESULT + key)
        return row["prediction"] if row else None

    def cache_result(self, key: str, prediction: str, expires_at: int) -> None:
        row = {"pk": row_keys.RESULT + key, "prediction": prediction, "expires_at": expires_at}
        self.client.put_item(TableName=self.table, Item=to_item(row))

    def secret_version(self, tenant: str) -> SecretVersion:
        row = self._live(row_keys.tenant(tenant)) or {}
        return SecretVersion(row.get("secret_version", 1), row.get("previous_until", 0))

    def receivers(self, tenant: str) -> Receivers:
        # Imported here, since only two functions need it.
        from darkroom.domain.receivers import Endpoint, Receivers, Refusal

        row = self._live(row_keys.RECEIVERS + tenant)
        if row is None:
            return Receivers()
        return Receivers(
            revision=row["revision"],
            endpoints={name: made(Endpoint, held) for name, held in row["endpoints"].items()},
            refused={name: made(Refusal, held) for name, held in row["refused"].items()},
            busy=tuple(row["busy"]),
        )

    def put_receivers(self, tenant: str, receivers: Receivers) -> bool:
        now = int(time.time())
        row = {
            "pk": row_keys.RECEIVERS + tenant,
            **asdict(receivers),
            "expires_at": now + RECEIVERS_KEPT_S,
        }
        seen = {":now": now, ":seen": receivers.revision - 1}
        try:
            self.client.put_item(
                TableName=self.table,
                Item=to_item(row),
                ConditionExpression="attribute_not_exists(pk) OR expires_at <= :now"
                " OR revision = :seen",
                ExpressionAttributeValues=to_item(seen),
            )
        except ClientError as error:
            if lost_race(error):
                return False
            raise
        return True

    def _live(self, key: str, *, consistent: bool = True) -> dict[str, Any] | None:
        answer = self.client.get_item(
            TableName=self.table, Key={"pk": {"S": key}}, ConsistentRead=consistent
        )
        item = answer.get("Item")
        return from_item(item) if item and not expired(item, time.time()) else None
