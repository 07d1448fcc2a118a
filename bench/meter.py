"""Counts the requests of a boto3 client to AWS, and the units that DynamoDB would bill for them.

The rules are those of AWS's developer guide: one write unit per KB of the larger of the item before
and after, one read unit per 4 KB (half of one unless consistent), both rounded up per item and
doubled in a transaction; one index write for an entry added or removed, two if its key changes,
none if it stays as it is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Item = dict[str, dict[str, Any]]
Image = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Call:
    """One request, its caller, and its capacity units if it went to DynamoDB."""

    source: str
    service: str
    operation: str
    target: str
    write_units: float = 0.0
    read_units: float = 0.0
    items: int = 0
    """Number of items read or written."""
    index_units: tuple[tuple[str, int], ...] = ()
    """The part of the write units that indexes used, by `table.index`."""
    first: bool = True
    """False for further items of a transaction, which are not requests of their own."""


def item_bytes(item: Item) -> int:
    """Return the size that DynamoDB bills: names and values, not JSON."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "N":
            digits = str(content).lstrip("-").replace(".", "").strip("0")
            return 1 + math.ceil(len(digits) / 2) + str(content).startswith("-")
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + _value_bytes(each) for each in content)
        case "M":
            return 3 + sum(
                1 + len(name.encode()) + _value_bytes(each) for name, each in content.items()
            )
        case "SS":
            return sum(len(each.encode()) for each in content)
    raise ValueError(f"no size for the type {kind}")


def write_units(item: Item | None, before: Item | None = None) -> int:
    """Return the units of one write to a table or an index, without its other indexes."""
    larger = max(item_bytes(each) for each in (item or {}, before or {}))
    return max(1, math.ceil(larger / 1024))


def read_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """Return the units of one read (a Get, or a page of a Query), whose items are added before
    rounding."""
    return max(1, math.ceil(sum(sizes) / 4096)) * (1.0 if consistent else 0.5)


class Meter:
    """Observes clients. Reads images through its own client, which is not metered."""

    def __init__(
        self,
        dynamodb: Any,
        tables: Mapping[str, tuple[dict[str, str], dict[str, dict[str, str]]]],
    ) -> None:
        """`tables` has each table's key, and the keys of its KEYS_ONLY indexes."""
        self.calls: list[Call] = []
        self.source = ""
        """Name of the present caller."""
        self.stream: list[tuple[Image, Image]] = []
        """Changes of the Predictions table that are not consumed yet."""
        self.messages: dict[str, list[str]] = defaultdict(list)
        """Bodies of messages that are not consumed yet, by queue."""
        self._images = dynamodb
        self._tables = tables

    def attach(self, client: Any) -> None:
        """Count this client's requests from now on."""
        events = client.meta.events
        service = client.meta.service_model.service_name
        hyphenated = client.meta.service_model.service_id.hyphenize()
        events.register(f"provide-client-params.{hyphenated}", self._before)
        events.register(
            f"after-call.{hyphenated}",
            lambda model, parsed, context, **_: self._after(service, model.name, parsed, context),
        )

    def _before(
        self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any
    ) -> None:
        context["params"] = params
        context["before"] = [
            (table, key, self._image(table, key)) for table, key in _written(model.name, params)
        ]

    def _image(self, table: str, item: Item) -> Item | None:
        key = {name: item[name] for name in self._tables[table][0]}
        found = self._images.get_item(TableName=table, Key=key, ConsistentRead=True)
        image: Item | None = found.get("Item")
        return image

    def _after(
        self, service: str, operation: str, parsed: dict[str, Any], context: dict[str, Any]
    ) -> None:
        params = context["params"]
        if service == "dynamodb":
            self._dynamodb(operation, params, parsed, context["before"])
            return
        target = params.get("QueueUrl", params.get("Bucket", params.get("SecretId", "")))
        target = str(target).rpartition("/")[2]
        if operation == "SendMessage":
            self.messages[target].append(params["MessageBody"])
        self.calls.append(Call(self.source, service, operation, target))

    def _dynamodb(
        self,
        operation: str,
        params: dict[str, Any],
        parsed: dict[str, Any],
        before: list[tuple[str, Item, Item | None]],
    ) -> None:
        twice = 2 if operation == "TransactWriteItems" else 1
        for number, (table, key, old) in enumerate(before):
            new = self._image(table, key)
            indexed = tuple(
                (f"{table}.{name}", _index_units(index, old, new))
                for name, index in self._indexes(table).items()
            )
            units: float = twice * write_units(new, old) + sum(number for _, number in indexed)
            self.calls.append(
                Call(
                    self.source,
                    "dynamodb",
                    operation,
                    _shown(table, key),
                    units,
                    items=1,
                    index_units=indexed,
                    first=number == 0,
                )
            )
            if table == "predictions" and new != old:
                self.stream.append((old, new))
        if not before:
            table, units, items = self._read(operation, params, parsed)
            self.calls.append(
                Call(self.source, "dynamodb", operation, table, read_units=units, items=items)
            )

    def _indexes(self, table: str) -> dict[str, tuple[str, ...]]:
        key, indexes = self._tables[table]
        return {name: tuple({**index, **key}) for name, index in indexes.items()}

    def _read(
        self, operation: str, params: dict[str, Any], parsed: dict[str, Any]
    ) -> tuple[str, float, int]:
        consistent = bool(params.get("ConsistentRead"))
        match operation:
            case "GetItem":
                item = parsed.get("Item")
                sizes = [item_bytes(item)] if item else []
                table = _shown(params["TableName"], params["Key"])
                return table, read_units(sizes, consistent=consistent), len(sizes)
            case "Query":
                # In a KEYS_ONLY index, an entry has its own key and the table's.
                sizes = [item_bytes(item) for item in parsed["Items"]]
                index = params.get("IndexName", "")
                name = f"{params['TableName']}.{index}" if index else params["TableName"]
                return name, read_units(sizes, consistent=consistent), len(sizes)
            case "BatchGetItem":
                ((table, wanted),) = params["RequestItems"].items()
                found = [item_bytes(item) for item in parsed["Responses"].get(table, [])]
                sizes = [*found, *[0] * (len(wanted["Keys"]) - len(found))]
                consistent = bool(wanted.get("ConsistentRead"))
                units = sum(read_units([size], consistent=consistent) for size in sizes)
                return table, units, len(sizes)
        raise ValueError(f"no rule for {operation}")


def _written(operation: str, params: dict[str, Any]) -> list[tuple[str, Item]]:
    """Return table and key (or whole item) of every write of a request, including failed ones."""
    match operation:
        case "PutItem":
            return [(params["TableName"], params["Item"])]
        case "UpdateItem" | "DeleteItem":
            return [(params["TableName"], params["Key"])]
        case "TransactWriteItems":
            return [
                (each["TableName"], each.get("Item", each.get("Key")))
                for action in params["TransactItems"]
                for each in action.values()
            ]
    return []


def _index_units(names: tuple[str, ...], old: Item | None, new: Item | None) -> int:
    entries = [
        {name: item[name] for name in names} if item and set(names) <= set(item) else None
        for item in (old, new)
    ]
    was, now = entries
    if was == now:
        return 0
    return sum(write_units(entry) for entry in entries if entry is not None)


def _shown(table: str, key: Item) -> str:
    """Return the table and, for Controls, the kind of row, which its key begins with."""
    kind = str(key["pk"]["S"]).partition("#")[0] if "pk" in key else ""
    return f"{table} {kind}" if kind else table
