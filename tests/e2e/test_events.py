"""Events from the bus and to it, and a state machine that waits, on the embedded cloud."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from ops import redrive
from ops.audit import waiting
from tests.e2e.driver import SCHNELL, without_thumbnails
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.cloud import EmbeddedCloud
    from tests.e2e.driver import Driver

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
FAILING = {"model": "nobody/nothing", "input": {}}


class Inbox:
    """A queue whose messages are moved to `messages` as they arrive."""

    def __init__(self, cloud: EmbeddedCloud, url: str) -> None:
        self._sqs, self._url = cloud.client("sqs"), url
        self.messages: list[dict[str, Any]] = []

    def find(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message whose JSON body matches, with its attributes as `reason`."""
        return dict(until(lambda: next((m for m in self._all() if fits(m)), None)))

    def _all(self) -> list[dict[str, Any]]:
        got = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        for message in got.get("Messages", []):
            reason = message.get("MessageAttributes", {}).get("reason", {}).get("StringValue")
            self.messages.append({"body": json.loads(message["Body"]), "reason": reason})
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return self.messages


def deploy(cloud: EmbeddedCloud, template: Path, **parameters: str) -> dict[str, str]:
    """Deploy an example unchanged, as a separate stack; return its outputs."""
    cloudformation = cloud.client("cloudformation")
    name = template.stem if template.stem != "template" else template.parent.name
    cloudformation.create_stack(
        StackName=f"example-{name}",
        TemplateBody=template.read_text(),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )

    def made() -> dict[str, Any] | None:
        (stack,) = cloudformation.describe_stacks(StackName=f"example-{name}")["Stacks"]
        assert "FAILED" not in stack["StackStatus"], stack
        assert "ROLLBACK" not in stack["StackStatus"], stack
        return stack if stack["StackStatus"] == "CREATE_COMPLETE" else None

    return {out["OutputKey"]: out["OutputValue"] for out in until(made)["Outputs"]}


@pytest.fixture(scope="module")
def inbox(cloud: EmbeddedCloud) -> Iterator[Inbox]:
    """A queue behind a rule for all of Darkroom's events."""
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url = sqs.create_queue(QueueName="seen-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    bus = cloud.outputs["EventBus"]
    pattern = json.dumps({"source": ["darkroom"]})
    events.put_rule(Name="seen", EventBusName=bus, EventPattern=pattern)
    target = {"Id": "queue", "Arn": arn["QueueArn"]}
    events.put_targets(Rule="seen", EventBusName=bus, Targets=[target])
    yield Inbox(cloud, url)
    events.remove_targets(Rule="seen", EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name="seen", EventBusName=bus)


def put(cloud: EmbeddedCloud, detail: dict[str, Any], source: str = "local.app") -> str:
    """Request a prediction by an event; return the event's id."""
    entry = {
        "EventBusName": cloud.outputs["EventBus"],
        "Source": source,
        "DetailType": "Prediction Requested",
        "Detail": json.dumps(detail),
    }
    answer = cloud.client("events").put_events(Entries=[entry])
    assert not answer["FailedEntryCount"]
    return str(answer["Entries"][0]["EventId"])


def check(event: dict[str, Any]) -> None:
    name = event["detail-type"].lower().replace(" ", "-")
    written = json.loads((ROOT / "docs" / "events" / f"{name}.json").read_text())
    jsonschema_rs.Draft202012Validator(written).validate(event)


def test_an_event_makes_a_prediction_and_events_tell_of_it(driver: Driver, inbox: Inbox) -> None:
    prompt = f"a corgi {uuid.uuid4()} \"quoted\" <id> \\ 'and' {{braces}}"
    detail = {"model": SCHNELL, "input": {"prompt": prompt}}
    put(driver.cloud, detail)
    ended = inbox.find(
        lambda m: (
            m["body"]["detail-type"] == "Prediction Succeeded"
            and m["body"]["detail"]["input"]["prompt"] == prompt
        )
    )["body"]
    check(ended)
    assert ended["detail"]["tenant"] == "local"
    id_ = ended["detail"]["id"]
    files = driver.finished(id_)["darkroom"]["files"]
    assert without_thumbnails(files) == ended["detail"]["darkroom"]["files"]
    check(inbox.find(lambda m: m["body"]["detail"].get("event_id") == f"{id_}:started")["body"])


def test_the_same_id_makes_one_prediction(driver: Driver, inbox: Inbox) -> None:
    prompt = f"once {uuid.uuid4()}"
    said = {"tags": [prompt], "metadata": {"order": "99"}, "end_user": "ann"}
    for _ in range(3):
        put(driver.cloud, {"model": SCHNELL, "input": {"prompt": prompt}, "id": prompt, **said})
    ended = inbox.find(
        lambda m: (
            m["body"]["detail-type"] == "Prediction Succeeded"
            and m["body"]["detail"]["input"]["prompt"] == prompt
        )
    )
    check(ended["body"])
    shown = driver.finished(ended["body"]["detail"]["id"])
    said["request_id"] = prompt
    for told in (ended["body"]["detail"], shown):
        assert {name: told[name] for name in said} == said
    for query in ({"tag": prompt}, {"tag": prompt, "end_user": "ann", "status": "succeeded"}):
        (one,) = driver.api.get("/v1/predictions", params=query).json()["results"]
        assert one["id"] == shown["id"]
    usage = until(lambda: driver.api.get("/v1/usage", params={"tag": prompt}).json()["results"])
    assert [row["predictions"] for row in usage] == [1]
    listed = driver.api.get("/v1/predictions").json()["results"]
    assert [p["input"].get("prompt") for p in listed].count(prompt) == 1


@pytest.mark.parametrize(
    ("detail", "reason"),
    [
        (FAILING, "Invalid version or not permitted"),
        ({"model": SCHNELL, "input": {"prompt": "x"}, "tenant": "other"}, "Additional property"),
    ],
)
def test_a_bad_event_is_kept_with_the_reason_and_told(
    driver: Driver, inbox: Inbox, detail: dict[str, Any], reason: str
) -> None:
    id_ = put(driver.cloud, detail)
    told = inbox.find(lambda m: m["body"]["detail"].get("request_id") == id_)["body"]
    check(told)
    assert told["detail"]["tenant"] == "local"
    dead = Inbox(driver.cloud, driver.cloud.outputs["IntakeDlq"]).find(
        lambda m: m["body"].get("id") == id_
    )
    assert dead["body"] == {"tenant": "local", "id": id_, "detail": detail}
    assert reason in dead["reason"]


def test_an_event_of_a_source_without_a_rule_makes_nothing(driver: Driver, inbox: Inbox) -> None:
    prompt = f"nobody {uuid.uuid4()}"
    put(driver.cloud, {"model": SCHNELL, "input": {"prompt": prompt}}, source="somebody.else")
    last = put(driver.cloud, FAILING)  # comes after it
    inbox.find(lambda m: m["body"]["detail"].get("request_id") == last)
    listed = driver.api.get("/v1/predictions").json()["results"]
    assert prompt not in [p["input"].get("prompt") for p in listed]


# Examples


def example_rule(cloud: EmbeddedCloud, name: str) -> dict[str, str]:
    bus = cloud.outputs["EventBus"]
    return deploy(cloud, EXAMPLES / "rules" / f"{name}.yaml", EventBus=bus, Tenant="local")


def test_the_example_rule_to_a_queue(driver: Driver) -> None:
    made = example_rule(driver.cloud, "to-queue")
    prompt = f"to a queue {uuid.uuid4()}"
    put(driver.cloud, {"model": SCHNELL, "input": {"prompt": prompt}})
    got = Inbox(driver.cloud, made["Queue"]).find(
        lambda m: m["body"]["detail"]["input"]["prompt"] == prompt
    )
    assert got["body"]["detail-type"] == "Prediction Succeeded"


def test_the_example_rule_to_a_state_machine(driver: Driver) -> None:
    made = example_rule(driver.cloud, "to-state-machine")
    driver.faults(time_scale=60)
    id_ = driver.submit("too slow")["id"]
    driver.cancel(id_)
    steps = driver.cloud.client("stepfunctions")

    def ours() -> Any:
        listed = steps.list_executions(stateMachineArn=made["StateMachine"])["executions"]
        runs = [steps.describe_execution(executionArn=run["executionArn"]) for run in listed]
        return [r for r in runs if json.loads(r["input"])["id"] == id_ and "output" in r]

    (run,) = until(ours)
    assert json.loads(run["input"]) == {"id": id_, "code": "canceled"}
    assert run["status"] == "SUCCEEDED"


def test_the_example_rule_to_a_function(driver: Driver) -> None:
    made = example_rule(driver.cloud, "to-function")
    id_ = put(driver.cloud, FAILING)
    group = f"/aws/lambda/{made['Function']}"
    logs = driver.cloud.client("logs")

    def printed() -> bool:
        try:
            lines = logs.filter_log_events(logGroupName=group)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return False
        return any(f"{id_} 422" in line["message"] for line in lines)

    assert until(printed)


@pytest.fixture(scope="module")
def pictures(cloud: EmbeddedCloud) -> dict[str, str]:
    queue = cloud.outputs["IntakeQueue"]
    arn = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    return deploy(
        cloud,
        EXAMPLES / "pictures" / "template.yaml",
        IntakeQueue=queue,
        IntakeQueueArn=arn["Attributes"]["QueueArn"],
        Tenant="local",
    )


def run(cloud: EmbeddedCloud, machine: str, **given: Any) -> dict[str, Any]:
    """Run the state machine, and return its result."""
    steps = cloud.client("stepfunctions")
    arn = steps.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]

    def ended() -> Any:
        described = steps.describe_execution(executionArn=arn)
        return described if described["status"] != "RUNNING" else None

    return dict(until(ended))


def test_the_example_state_machine_generates_upscales_and_tells(
    driver: Driver, pictures: dict[str, str]
) -> None:
    prompt = f"a lighthouse {uuid.uuid4()}"
    ended = run(driver.cloud, pictures["StateMachine"], prompt=prompt)
    assert ended["status"] == "SUCCEEDED", ended
    told = Inbox(driver.cloud, pictures["Done"]).find(lambda m: m["body"]["prompt"] == prompt)[
        "body"
    ]
    shown = driver.finished(told["prediction"])
    assert shown["model"] == "nightmareai/real-esrgan"
    (file,) = shown["darkroom"]["files"]
    assert file["key"] == told["file"]
    assert (file["width"], file["height"]) == (2048, 2048)


def test_a_task_whose_request_is_rejected_fails_at_once(
    driver: Driver, pictures: dict[str, str]
) -> None:
    ended = run(driver.cloud, pictures["StateMachine"], prompt=7)
    assert ended["status"] == "FAILED", ended
    assert ended["error"] == "Darkroom.request_rejected"
    assert "prompt" in ended["cause"]


def test_what_was_rejected_can_be_handed_over_again(driver: Driver, inbox: Inbox) -> None:
    """By name: `redrive all` skips it, because it fails again unless something has changed."""
    id_ = put(driver.cloud, FAILING)
    inbox.find(lambda m: m["body"]["detail"].get("request_id") == id_)
    until(lambda: waiting(driver.cloud.client("sqs"), driver.cloud.outputs["IntakeDlq"]))
    assert "intake" in redrive.BY_NAME
    (moved,) = redrive.redrive(driver.deployment, ("intake",))
    assert moved.error is None
    assert moved.moved == moved.found > 0
    again = [m["body"]["detail"] for m in inbox.messages]
    inbox.messages.clear()
    told = inbox.find(lambda m: m["body"]["detail"].get("request_id") == id_)["body"]["detail"]
    assert told in again
    Inbox(driver.cloud, driver.cloud.outputs["IntakeDlq"]).find(
        lambda m: m["body"].get("id") == id_
    )
