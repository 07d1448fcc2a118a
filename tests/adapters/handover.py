"""Runs over the package of one release in a separate process, with given tables.

Takes `{"do": "begin" | "finish", …}` as JSON. `begin` creates predictions of every kind through the
release's own services and real adapters, over DynamoDB emulated by moto, and returns the tables and
all other state that outlives a function. `finish` takes that state, completes everything, and
returns the results.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any

import boto3
from darkroom.domain import errors
from darkroom.domain.keys import key_id
from moto import mock_aws

try:
    from tests.support.world import PNG, SCHNELL, World
except ModuleNotFoundError:  # Release 0ba142c has its world here.
    from tests.world import PNG, SCHNELL, World

try:
    from darkroom.aws.controls import DynamoControls
    from darkroom.aws.deliveries import DynamoDeliveries
    from darkroom.aws.items import read_prediction
    from darkroom.aws.predictions import DynamoPredictions
    from darkroom.services.predictions.submit import NewPrediction
except ImportError:  # The releases differ in the module.
    from darkroom.adapters.controls import DynamoControls
    from darkroom.adapters.deliveries import DynamoDeliveries
    from darkroom.adapters.items import read_prediction
    from darkroom.adapters.predictions import DynamoPredictions
    from darkroom.services.submit import NewPrediction

TABLES = {
    "predictions": {"id": "S"},
    "deliveries": {"prediction": "S", "event": "S"},
    "controls": {"pk": "S"},
}
INDEXES = {
    "predictions": {
        "due": {"due_shard": "N", "due_at": "N"},
        "tenant": {"tenant": "S", "created_at": "N"},
    },
    "deliveries": {"due": {"due_shard": "N", "due_at": "N"}},
}
TOKEN = "dk_" + "a" * 43
HOOK = "https://hooks.test/here"
QUEUES = ("persist_queue", "dispatch_queue", "deliver_queue", "tasks_queue")
CUT_OFF: Any = getattr(errors, "DownloadFailed", None) or errors.TransferFailedError
"""The releases differ in the name."""
TICK_S, TICKS = 900, 6
"""An hour and a half: beyond any create of unknown outcome, and the last attempt of a callback."""


def packed(value: Any) -> Any:
    """Convert to JSON, with bytes as `{"b64": …}`."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return [packed(each) for each in value]
    return {k: packed(v) for k, v in value.items()} if isinstance(value, dict) else value


def unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [unpacked(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"b64"}:
        return base64.b64decode(value["b64"])
    return {name: unpacked(each) for name, each in value.items()}


class Shared(World):
    """The release's world over real adapters, with tables that another release may have written."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.client = boto3.client("dynamodb", region_name="eu-west-1")
        for table, keys in TABLES.items():
            _make(self.client, table, keys, INDEXES.get(table, {}))
        self._seen: dict[str, Any] = {}
        store = DynamoPredictions(self.client, "predictions", "controls")
        ports: dict[int, Any] = {
            id(self.store): store,
            id(self.deliveries): DynamoDeliveries(self.client, "deliveries"),
            id(self.controls): DynamoControls(self.client, "controls"),
        }
        for name, value in tuple(vars(self).items()):
            setattr(self, name, _rewired(value, ports))

    def items(self, table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.scan(TableName=table)["Items"]
        return found

    def records(self) -> list[Any]:
        return [read_prediction(item) for item in self.items("predictions") if "state" in item]

    def run_stream(self) -> None:
        """Pass on the changes since the last call, behind the mapping's filter."""
        while True:
            found = {item["id"]["S"]: item for item in self.items("predictions")}
            before, self._seen = self._seen, found
            changed = [id_ for id_ in found if found[id_] != before.get(id_)]
            if not changed:
                return
            for id_ in changed:
                if found[id_].get("relay") != {"BOOL": False}:
                    old = before.get(id_)
                    self.relay(old and read_prediction(old), read_prediction(found[id_]))

    def settle(self) -> None:
        self.run_stream()
        self.run_queues()
        queues = [getattr(self, name) for name in QUEUES if hasattr(self, name)]
        while any(queue.ready for queue in queues):
            self.run_stream()
            self.run_queues()
        self.run_stream()

    # State that outlives a function

    def kept(self) -> Any:
        return packed(
            {
                "tables": {table: self.items(table) for table in TABLES},
                "now": self.clock.now,
                "upstream": self.provider.upstream,
                "pages": {k: v for k, v in self.fetcher.pages.items() if isinstance(v, bytes)},
                "outputs": self.outputs.objects,
                "waiting": sorted(self.tasks.waiting),
                "queues": {
                    name: getattr(self, name).messages for name in QUEUES if hasattr(self, name)
                },
            }
        )

    def take_over(self, kept: Any) -> None:
        kept = unpacked(kept)
        for table, items in kept["tables"].items():
            for item in items:
                self.client.put_item(TableName=table, Item=item)
        self.clock.now = kept["now"]
        self.provider.upstream.update(kept["upstream"])
        self.fetcher.pages.update(kept["pages"])
        self.outputs.objects.update({key: tuple(held) for key, held in kept["outputs"].items()})
        self.tasks.waiting.update(kept["waiting"])
        for name, messages in kept["queues"].items():
            # The messages of a queue that this release lacks are lost with the queue.
            with suppress(AttributeError):
                getattr(self, name).messages += [
                    (message, delay) for message, delay in messages if _is_known(message)
                ]


def _is_known(message: dict[str, str]) -> bool:
    """The previous release moves refresh messages to its dead-letter queue, like any invalid
    message."""
    return message.get("action") != "look"


def _make(client: Any, table: str, keys: dict[str, str], indexes: dict[str, Any]) -> None:
    def schema(names: dict[str, str]) -> list[dict[str, str]]:
        kinds = zip(names, ("HASH", "RANGE"), strict=False)
        return [{"AttributeName": name, "KeyType": kind} for name, kind in kinds]

    named = {**keys, **{name: kind for each in indexes.values() for name, kind in each.items()}}
    made = [
        {"IndexName": n, "KeySchema": schema(k), "Projection": {"ProjectionType": "KEYS_ONLY"}}
        for n, k in indexes.items()
    ]
    client.create_table(
        TableName=table,
        KeySchema=schema(keys),
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind} for name, kind in named.items()
        ],
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": made} if made else {}),
    )


def _rewired(value: Any, ports: dict[int, Any]) -> Any:
    """Return a copy of the service with other ports, including the services within it."""
    if id(value) in ports:
        return ports[id(value)]
    ours = type(value).__module__.startswith("darkroom.services")
    if not ours or not is_dataclass(value) or isinstance(value, type):
        return value
    made = replace(
        value, **{f.name: _rewired(getattr(value, f.name), ports) for f in fields(value) if f.init}
    )
    ports[id(value)] = made
    return made


# Before


def begin(world: Shared) -> Any:
    """Create predictions of every kind, and their related items; return their names by id."""
    names: dict[str, str] = {}
    rows: list[dict[str, Any]] = [
        {"pk": {"S": "TENANT#capped"}, "monthly_cap": {"N": "90000000"}, "in_flight": {"N": "9"}},
        {"pk": {"S": key_id(TOKEN)}, "tenant": {"S": "acme"}, "scopes": {"L": [{"S": "read"}]}},
    ]
    for row in rows:
        world.client.put_item(TableName="controls", Item=row)
    known = {field.name for field in fields(NewPrediction)}

    def submit(name: str, answer: Any = None, **more: Any) -> Any:
        world.provider.answers = [answer] if answer else []
        request = {"tenant": "acme", "reference": SCHNELL, "input": {"prompt": name}, **more}
        wanted = NewPrediction(**{k: v for k, v in request.items() if k in known})
        record = world.submit(wanted).record
        names[record.id] = name
        return record

    def hear(record: Any, **said: Any) -> None:
        world.provider.upstream[record.provider_id].update(said)
        world.webhook(record.id, record.provider_id)

    def end(record: Any, *files: str) -> None:
        world.succeed(record.provider_id, *files)
        world.webhook(record.id, record.provider_id)

    # Ended and settled.
    end(submit("cached", input={"prompt": "x", "seed": 7}, cache="reuse"))
    end(submit("spent", tenant="capped"))
    for name, status in (("failed", "failed"), ("canceled", "canceled")):
        record = submit(name)
        world.provider.finish(record.provider_id, status)
        world.webhook(record.id, record.provider_id)
    world.settle()
    submit("copy", input={"prompt": "x", "seed": 7}, cache="reuse")
    # Undelivered callbacks.
    world.callbacks.status = None
    end(submit("owed", webhook=HOOK))
    record = submit("heard", webhook=HOOK, webhook_events=("start", "output", "logs", "completed"))
    hear(record, status="processing", logs="1%", output=["https://replicate.delivery/x/0.png"])
    record = submit("partly stored")
    world.fetcher.pages[f"https://replicate.delivery/{record.provider_id}/b"] = b""
    end(record, "a", "b")
    world.fetcher.pages[f"https://replicate.delivery/{record.provider_id}/b"] = CUT_OFF("no")
    world.settle()
    # In progress.
    submit("waits")
    submit("keyed", idempotency_key="k1")
    submit("hangs", "hang")
    submit("unanswered", "drop")
    submit("refused", "refuse")
    submit("reserved", tenant="capped")
    submit("patient", cancel_after_s=80_000)
    said = {"metadata": {"order": "99"}, "tags": ("spring",), "end_user": "u7", "request_id": "r1"}
    submit("said", **said)
    world.tasks.waiting.add("token")
    submit("task", task_token="token", webhook=HOOK)
    hear(submit("runs"), status="processing", logs="1%")
    record = submit("watched")
    hear(record, status="processing")
    record = submit("no file")
    world.provider.finish(record.provider_id, output=None)
    with suppress(Exception):
        world.webhook(record.id, record.provider_id)
    record = submit("canceling")
    world.provider.down = True
    world.cancel("acme", record.id)
    world.provider.down = False
    # The stream still has the changes of these.
    end(submit("to be stored", webhook=HOOK))
    record = submit("just failed", webhook=HOOK)
    world.provider.finish(record.provider_id, "failed")
    world.webhook(record.id, record.provider_id)
    world.clock.advance(20)
    if hasattr(world, "ask_for_look"):
        (watched,) = (id_ for id_, name in names.items() if name == "watched")
        assert world.ask_for_look(world.record(watched))
    return {"names": names, "kept": world.kept(), "records": _told(world, names)}


# After


def finish(world: Shared, names: dict[str, str]) -> Any:
    """Complete everything; return the results."""
    for _ in range(TICKS):
        for provider_id, body in world.provider.upstream.items():
            canceled = body["input"]["prompt"] == "canceling"
            if body["status"] in {"starting", "processing"} and not canceled:
                world.succeed(provider_id)
            world.fetcher.pages.update(dict.fromkeys(body["output"] or (), PNG))
        world.sweep(TICK_S)
        world.settle()
    again = NewPrediction(
        tenant="acme", reference=SCHNELL, input={"prompt": "keyed"}, idempotency_key="k1"
    )
    repeated = world.submit(again).record.id
    copied = world.submit(
        NewPrediction(
            tenant="acme", reference=SCHNELL, input={"prompt": "x", "seed": 7}, cache="reuse"
        )
    ).record
    return {
        "records": _told(world, names),
        "deliveries": {
            f"{names[item['prediction']['S']]} {item['event']['S']}": item["state"]["S"]
            for item in world.items("deliveries")
        },
        "tasks": [token for token, *_ in world.tasks.answers],
        "tenant": world.authenticate(f"Bearer {TOKEN}", "read"),
        "limits": asdict(world.submit.limits.of("capped")),
        "months": [
            {name: int(item[name]["N"]) for name in ("committed", "spent", "in_flight")}
            for item in world.items("controls")
            if item["pk"]["S"].startswith("SPEND#")
        ],
        "repeated": names.get(repeated),
        "copied": copied.cached_from is not None,
        "listed": len(world.store.list_ids("acme", None, 100).ids),
    }


def _told(world: Shared, names: dict[str, str]) -> dict[str, Any]:
    return {
        names[record.id]: {
            "state": record.state.value,
            "code": record.code and record.code.value,
            "done": record.effects_done,
            "files": len(record.files),
        }
        for record in world.records()
        if record.id in names
    }


def main() -> None:
    """Answer one request."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    asked = json.load(sys.stdin)
    with mock_aws():
        world = Shared()
        if asked["do"] == "begin":
            answer = begin(world)
        else:
            world.take_over(asked["kept"])
            answer = finish(world, asked["names"])
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
