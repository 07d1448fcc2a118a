"""`ops redrive`: existing messages are moved once, and later ones are not."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from ops.redrive import BY_NAME, RedriveError, command, redrive, targets

if TYPE_CHECKING:
    import argparse

    from ops.deployment import Deployment
    from ops.redrive import Moved

WORK = ("Intake", "Dispatch", "Persist")
OUTPUTS = {f"{name}{kind}": f"{name}{kind}" for name in WORK for kind in ("Queue", "Dlq")} | {
    "RelayFailures": "RelayFailures",
    "SweepFailures": "SweepFailures",
    "FunctionSweep": "sweep",
    "EventBus": "bus",
}
"""Each queue's URL is its output's name."""


@dataclass
class Message:
    body: str
    sent: int
    group: str | None = None
    hidden: bool = False

    def received(self) -> dict[str, Any]:
        self.hidden = True
        system = {"SentTimestamp": str(self.sent)}
        if self.group:
            system["MessageGroupId"] = self.group
        return {"Body": self.body, "ReceiptHandle": str(id(self)), "Attributes": system}


@dataclass
class Sqs:
    """SQS as far as the command needs it, with a clock an hour off the operator's.

    It has no order: the newest messages come first. `refuses` are work queues whose function
    returns every message to the dead letters immediately.
    """

    queues: dict[str, list[Message]] = field(default_factory=dict)
    refuses: frozenset[str] = frozenset()
    now: int = 1_800_000_000_000
    dates: bool = True

    def put(self, queue: str, *bodies: str, group: str | None = None) -> None:
        for body in bodies:
            self.now += 1
            self.queues.setdefault(queue, []).append(Message(body, self.now, group))

    def bodies(self, queue: str) -> list[str]:
        return sorted(message.body for message in self.queues.get(queue, []))

    def get_queue_attributes(self, **given: Any) -> dict[str, Any]:
        self.now += 1000
        url = given["QueueUrl"]
        date = {"date": formatdate(self.now / 1000, usegmt=True)} if self.dates else {}
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(len(self.queues.get(url, []))),
                "QueueArn": url,
            },
            "ResponseMetadata": {"HTTPHeaders": date},
        }

    def list_message_move_tasks(self, **_: Any) -> None:
        error = {"Error": {"Code": "UnknownOperation", "Message": ""}}
        raise ClientError(cast("Any", error), "ListMessageMoveTasks")

    def receive_message(self, **given: Any) -> dict[str, Any]:
        self.now += 1000
        held = [m for m in self.queues.get(given["QueueUrl"], []) if not m.hidden]
        held.sort(key=lambda message: -message.sent)
        received = [message.received() for message in held[: given["MaxNumberOfMessages"]]]
        return {"Messages": received} if received else {}

    def send_message_batch(self, **given: Any) -> dict[str, Any]:
        self.now += 1000
        for entry in given["Entries"]:
            self.put(given["QueueUrl"], entry["MessageBody"], group=entry.get("MessageGroupId"))
        return {"Successful": [{"Id": entry["Id"]} for entry in given["Entries"]]}

    def delete_message_batch(self, **given: Any) -> None:
        self.now += 1000
        url, gone = given["QueueUrl"], {entry["ReceiptHandle"] for entry in given["Entries"]}
        self.queues[url] = [m for m in self.queues[url] if str(id(m)) not in gone]
        for work in self.refuses:
            refused = self.queues.pop(work, [])
            self.put(work.replace("Queue", "Dlq"), *(f"{m.body} again" for m in refused))


@dataclass
class Lambda:
    """The sweep. A failure may arrive while it works."""

    sqs: Sqs
    later: dict[str, str] = field(default_factory=dict)
    ticks: int = 0

    def invoke(self, **_: Any) -> dict[str, Any]:
        self.ticks += 1
        for queue, body in self.later.items():
            self.sqs.now += 5000
            self.sqs.put(queue, body)
        return {"Payload": io.BytesIO(json.dumps({"done": {}, "left": 0}).encode())}


@dataclass
class Given:
    """A deployment of these only."""

    sqs: Sqs
    functions: Lambda
    outputs: dict[str, str] = field(default_factory=lambda: dict(OUTPUTS))

    def client(self, service: str) -> Any:
        return {"sqs": self.sqs, "lambda": self.functions}[service]

    def redrive(self, *queues: str) -> dict[str, Moved]:
        deployment = cast("Deployment", self)
        return {moved.queue: moved for moved in redrive(deployment, queues or None)}


@pytest.fixture
def sqs() -> Sqs:
    return Sqs()


@pytest.fixture
def given(sqs: Sqs) -> Given:
    return Given(sqs, Lambda(sqs))


def numbered(count: int) -> list[str]:
    return [f"{number:02}" for number in range(count)]


@pytest.mark.parametrize("count", [1, 9, 10, 11, 25])
def test_newcomer_bug_8_what_is_refused_again_is_not_moved_again(
    given: Given, sqs: Sqs, count: int
) -> None:
    sqs.refuses = frozenset({"IntakeQueue"})
    sqs.put("IntakeDlq", *numbered(count))
    moved = given.redrive("intake")["intake"]
    assert (moved.found, moved.moved, moved.error) == (count, count, None)
    assert sqs.bodies("IntakeDlq") == [f"{body} again" for body in numbered(count)]


def test_no_more_is_moved_than_was_there_whatever_the_clocks_say(given: Given, sqs: Sqs) -> None:
    sqs.refuses = frozenset({"IntakeQueue"})
    sqs.dates, sqs.now = False, 0
    sqs.put("IntakeDlq", *numbered(11))
    assert given.redrive("intake")["intake"].moved == 11


def test_every_message_goes_to_its_own_work_queue_with_its_group(given: Given, sqs: Sqs) -> None:
    sqs.put("PersistDlq", *numbered(13), group="acme")
    sqs.put("DispatchDlq", "create")
    moved = given.redrive()
    assert (moved["persist"].moved, moved["dispatch"].moved, moved["intake"].moved) == (13, 1, 0)
    assert sqs.bodies("PersistQueue") == numbered(13)
    assert {message.group for message in sqs.queues["PersistQueue"]} == {"acme"}
    assert sqs.bodies("DispatchQueue") == ["create"]
    assert {message.group for message in sqs.queues["DispatchQueue"]} == {None}


def test_a_failure_that_comes_while_the_sweep_works_stays(given: Given, sqs: Sqs) -> None:
    sqs.put("RelayFailures", json.dumps({"DDBStreamBatchInfo": {"batchSize": 3}}), "[]")
    given.functions.later = {"RelayFailures": "later"}
    moved = given.redrive("relay")["relay"]
    assert (moved.found, moved.moved) == (2, 3)
    assert sqs.bodies("RelayFailures") == ["later"]


def test_ticks_that_could_not_start_are_made_up_for_by_one(given: Given, sqs: Sqs) -> None:
    tick = json.dumps({"detail-type": "Scheduled Event"})
    sqs.put("SweepFailures", tick, tick)
    moved = given.redrive("sweep")["sweep"]
    assert (moved.found, moved.moved, given.functions.ticks) == (2, 2, 1)
    assert sqs.bodies("SweepFailures") == []
    assert given.redrive("sweep")["sweep"].found == 0
    assert given.functions.ticks == 1


def test_newcomer_bug_6_a_queue_that_the_stacks_gain_is_known(given: Given, sqs: Sqs) -> None:
    given.outputs |= {"TasksQueue": "TasksQueue", "TasksDlq": "TasksDlq"}
    assert "tasks" in targets(cast("Deployment", given))
    sqs.put("TasksDlq", "token")
    assert given.redrive("tasks")["tasks"].moved == 1
    assert sqs.bodies("TasksQueue") == ["token"]


@dataclass
class Arguments:
    queue: str
    json: bool = True


def run(given: Given, queue: str) -> int:
    arguments = cast("argparse.Namespace", Arguments(queue))
    return command(cast("Deployment", given), arguments)


def test_all_leaves_out_what_was_refused(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(given, "all") == 0
    shown = {one["queue"] for one in json.loads(capsys.readouterr().out)}
    assert shown == {"dispatch", "persist", "relay", "sweep"}
    assert BY_NAME == ("intake",)


def test_an_unknown_queue_is_refused_with_the_names_of_the_known_ones(given: Given) -> None:
    with pytest.raises(RedriveError, match=r"'persits'.*persist.*relay"):
        run(given, "persits")
