"""Runs over the package of one release in a separate process: reads and writes items.

Takes `{"write": [records], "read": [items], "deliveries": [items]}` as JSON, and returns the result
for each: a record's item, an item's record, or the error.
"""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import asdict, fields
from typing import Any

from darkroom.domain import lifecycle
from darkroom.domain import prediction as entities
from darkroom.domain.prediction import Code, CreateState, File, Prediction, Price, State
from darkroom.domain.timings import Timings

try:
    from darkroom.aws.deliveries import DynamoDeliveries
    from darkroom.aws.items import prediction_item, read_prediction
    from darkroom.replicate import wire
except ImportError:  # The releases differ in the module.
    from darkroom.adapters.deliveries import DynamoDeliveries
    from darkroom.adapters.items import prediction_item, read_prediction
    from darkroom.domain import wire

CREATE: Any = getattr(entities, "CreateAttempt", None) or entities.Create
"""The releases differ in the name."""


def packed(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [packed(each) for each in value]
    return {k: packed(v) for k, v in value.items()} if isinstance(value, dict) else value


def record_of(values: dict[str, Any]) -> Prediction:
    """Return the record without the fields that this release lacks."""
    names = {field.name for field in fields(Prediction)}
    values = {name: value for name, value in values.items() if name in names}
    create = values["create"]
    values = {
        **values,
        "state": State(values["state"]),
        "code": values["code"] and Code(values["code"]),
        "create": CREATE(**{**create, "state": CreateState(create["state"])}),
        "files": tuple(File(**file) for file in values["files"]),
        "price": values["price"] and Price(**values["price"]),
        "webhook_events": tuple(values["webhook_events"]),
        "extra_provider_ids": tuple(values["extra_provider_ids"]),
    }
    return Prediction(**values)


def seen(item: dict[str, Any]) -> dict[str, Any]:
    """Return the record after all operations of a function on it."""
    try:
        record = read_prediction(item)
        lifecycle.effects(None, record)
        lifecycle.urgency(record)
        lifecycle.due(record, Timings())
        urls = [f"https://x.test/{file.key}" for file in record.files]
        wire.body(record, public_url="", output_urls=urls, upload_urls=dict(record.uploads))
        again = prediction_item(record)
    except Exception as error:  # noqa: BLE001 - the test tells of it
        return {"error": repr(error)}
    return {"record": packed(asdict(record)), "item": packed(again)}


class _Table:
    """A client of DynamoDB that has one item."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {"Item": self.item}


def delivery(item: dict[str, Any]) -> dict[str, Any]:
    try:
        read = DynamoDeliveries(_Table(item), "deliveries").get("id", "event")
    except Exception as error:  # noqa: BLE001 - the test tells of it
        return {"error": repr(error)}
    return {"record": packed(asdict(read))} if read else {"error": "gone"}


def main() -> None:
    """Answer one request."""
    asked = json.load(sys.stdin)
    answer = {
        "written": [packed(prediction_item(record_of(values))) for values in asked["write"]],
        "read": [seen(item) for item in asked["read"]],
        "deliveries": [delivery(item) for item in asked["deliveries"]],
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
