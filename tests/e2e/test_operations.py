"""The operator's audit and redrive on the embedded cloud: each difference is found, by its name.

The cloud is shared with other tests, so only a test's own records are checked.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import boto3
import pytest
from botocore.stub import Stubber

from local.chaos import Receiver, workers
from ops.__main__ import main
from ops.audit import Report, audit, waiting
from ops.redrive import redrive
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ops.deployment import Deployment
    from ops.redrive import Moved
    from tests.e2e.driver import Driver

FAR = 4_000_000_000_000


@pytest.fixture
def stored(driver: Driver) -> dict[str, Any]:
    """Return a prediction that succeeded, with its effects done."""
    shown = driver.run("for the operator", megapixels="0.25")
    assert shown["status"] == "succeeded"
    driver.handed_on(shown["id"])
    return shown


@pytest.fixture
def copied(driver: Driver, stored: dict[str, Any]) -> Iterator[Callable[..., str]]:
    """Puts a changed copy of the stored record under another id, removed after the test."""
    table, dynamodb = driver.cloud.outputs["PredictionsTable"], driver.cloud.client("dynamodb")
    id_ = str(stored["id"])[::-1]

    def put(**changes: Any) -> str:
        item = {**driver.record(stored["id"]), **changes, "id": {"S": id_}}
        dynamodb.put_item(TableName=table, Item=item)
        return id_

    yield put
    dynamodb.delete_item(TableName=table, Key={"id": {"S": id_}})


def texts(report: Report, id_: str) -> dict[str, str]:
    return {difference.kind: difference.text for difference in report.about(id_)}


# --- audit ----------------------------------------------------------------------------------------


def test_a_prediction_that_kept_its_promise_differs_in_nothing(
    driver: Driver, stored: dict[str, Any]
) -> None:
    report = audit(driver.deployment, settled=True, whole=True)
    assert report.about(stored["id"]) == []
    assert report.about(stored["darkroom"]["provider_id"]) == []
    assert report.counts["predictions succeeded"] >= 1
    assert report.counts["files"] >= 1


def test_a_deleted_file_is_found(driver: Driver, stored: dict[str, Any]) -> None:
    (file,) = stored["darkroom"]["files"]
    driver.cloud.client("s3").delete_object(
        Bucket=driver.cloud.outputs["OutputsBucket"], Key=file["key"]
    )
    assert texts(audit(driver.deployment), stored["id"]) == {"file missing": file["key"]}


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_of_another_size_is_found(
    driver: Driver, stored: dict[str, Any], *, whole: bool
) -> None:
    (file,) = stored["darkroom"]["files"]
    where = {"Bucket": driver.cloud.outputs["OutputsBucket"], "Key": file["key"]}
    driver.cloud.client("s3").put_object(**where, Body=b"short")
    found = texts(audit(driver.deployment, whole=whole), stored["id"])
    assert found == {"file differs": f"{file['key']} has 5 bytes and not {file['bytes']}"}


def test_one_changed_byte_is_found_by_reading_all(driver: Driver, stored: dict[str, Any]) -> None:
    (file,) = stored["darkroom"]["files"]
    where = {"Bucket": driver.cloud.outputs["OutputsBucket"], "Key": file["key"]}
    s3 = driver.cloud.client("s3")
    body = bytearray(s3.get_object(**where)["Body"].read())
    body[-1] ^= 1
    s3.put_object(**where, Body=bytes(body))
    found = texts(audit(driver.deployment, whole=True), stored["id"])
    assert list(found) == ["file differs"]
    assert f"not {file['sha256']}" in found["file differs"]


def test_an_unfinished_record_that_no_sweep_takes_up_is_found(
    driver: Driver, copied: Callable[..., str]
) -> None:
    # Without its shard it is in no index that the sweep reads.
    ago = int(time.time() * 1000) - 400_000
    id_ = copied(state={"S": "processing"}, due_at={"N": str(ago)}, provider_id={"S": "another"})
    found = texts(audit(driver.deployment), id_)
    overdue = re.fullmatch(r"processing, due for (\d+) s", found["unfinished"])
    assert overdue
    assert int(overdue[1]) >= 400


def test_an_unfinished_record_is_in_time_unless_all_is_to_be_settled(
    driver: Driver, copied: Callable[..., str]
) -> None:
    soon = int(time.time() * 1000)
    id_ = copied(state={"S": "processing"}, due_at={"N": str(soon)}, provider_id={"S": "another"})
    assert "unfinished" not in texts(audit(driver.deployment), id_)
    assert texts(audit(driver.deployment, settled=True), id_)["unfinished"] == "processing"


def test_two_records_of_one_upstream_prediction_are_found(
    driver: Driver, stored: dict[str, Any], copied: Callable[..., str]
) -> None:
    id_ = copied()
    report = audit(driver.deployment)
    pair = [
        d for d in report.differences if d.kind == "provider id" and d.id in {id_, stored["id"]}
    ]
    assert len(pair) == 1
    assert stored["darkroom"]["provider_id"] in pair[0].text


def test_a_record_of_what_was_never_made_upstream_is_found(
    driver: Driver, copied: Callable[..., str]
) -> None:
    id_ = copied(provider_id={"S": "nevermade"})
    found = texts(audit(driver.deployment), "nevermade")
    assert found == {"upstream": f"{id_} has it; it was never made"}


def test_an_upstream_prediction_of_nobody_is_found(driver: Driver) -> None:
    made = driver.make_upstream("nobody's")
    found = texts(audit(driver.deployment), made)
    assert found["upstream"].startswith("made for nobody")


def test_another_end_than_upstream_is_found(driver: Driver, stored: dict[str, Any]) -> None:
    driver.change(stored["id"], "state", {"S": "canceled"})
    found = texts(audit(driver.deployment), stored["darkroom"]["provider_id"])
    assert found == {"upstream": f"succeeded upstream, but {stored['id']} is canceled"}


@pytest.fixture
def held_dispatch(driver: Driver) -> Iterator[None]:
    """No message is taken from the dispatch queue, so nothing is canceled meanwhile."""
    with driver.without("Dispatch"):
        yield


@pytest.mark.usefixtures("held_dispatch")
def test_an_extra_that_still_runs_is_found(driver: Driver, copied: Callable[..., str]) -> None:
    driver.faults(time_scale=600)
    running = driver.make_upstream("an extra")
    id_ = copied(provider_id={"S": "another"}, extra_provider_ids={"L": [{"S": running}]})
    assert texts(audit(driver.deployment, settled=True), running) == {
        "upstream": f"an extra one of {id_}, which is succeeded, still runs"
    }


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("announced")
def test_the_audit_command_exits_with_1_and_names_the_difference(
    copied: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    id_ = copied(provider_id={"S": "nevermade"})
    assert main(["audit", "--local", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert {"kind": "upstream", "id": "nevermade", "text": f"{id_} has it; it was never made"} in (
        shown["differences"]
    )
    assert main(["audit", "--local"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"DIFFERENCE  upstream  nevermade  {id_} has it; it was never made" in lines
    assert lines[-1].endswith(" differences")


@pytest.mark.usefixtures("announced")
def test_a_stages_own_model_is_added_from_what_the_emulator_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "models"
    where = ["--local", "--folder", str(folder)]
    assert main(["models", "add", "stability-ai/sdxl", "--price", "image=0.5", *where]) == 0
    entry = json.loads((folder / "stability-ai--sdxl.json").read_text())
    assert entry["price"] == {"unit": "image", "usd": 0.5}
    assert main(["models", "refresh", "stability-ai/sdxl", *where]) == 0
    assert capsys.readouterr().out.endswith("stability-ai/sdxl: as it was\n")


def test_an_audit_that_cannot_run_exits_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DARKROOM_STATE_DIR", str(tmp_path))
    assert main(["audit", "--local"]) == 2
    assert "not running" in capsys.readouterr().err


# --- redrive --------------------------------------------------------------------------------------


def test_a_redriven_delivery_is_made(driver: Driver) -> None:
    """Its row is due in a hundred years, so only the dead letter can send it."""
    with Receiver() as receiver:
        given = {"prompt": "told twice", "megapixels": "0.25"}
        id_ = driver.create(input=given, webhook=receiver.url)["id"]
        driver.finished(id_)
        told = receiver.told[f"{id_}_completed"]
        until(lambda: told == ["succeeded"])
        key = {"prediction": {"S": id_}, "event": {"S": "completed"}}
        deliveries = {"TableName": driver.cloud.outputs["DeliveriesTable"], "Key": key}
        dynamodb = driver.cloud.client("dynamodb")

        def row() -> dict[str, Any]:
            return dict(dynamodb.get_item(**deliveries, ConsistentRead=True)["Item"])

        until(lambda: row()["state"]["S"] == "delivered")
        sqs = driver.cloud.client("sqs")
        # A message that came twice would deliver what is owed again.
        until(lambda: waiting(sqs, driver.cloud.outputs["DeliverQueue"]) == 0)
        dynamodb.update_item(
            **deliveries,
            UpdateExpression="SET #state = :pending, due_at = :far",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":pending": {"S": "pending"}, ":far": {"N": str(FAR)}},
        )
        message = json.dumps({"prediction": id_, "event": "completed"})
        sqs.send_message(QueueUrl=driver.cloud.outputs["DeliverDlq"], MessageBody=message)
        report = audit(driver.deployment, settled=True)
        assert "pending" in texts(report, id_)["delivery"]
        assert texts(report, "DeliverDlq")["dead letters"].startswith("1 messages")

        (result,) = redrive(driver.deployment, ("deliver",))

        assert (result.found, result.moved, result.error) == (1, 1, None)
        until(lambda: told == ["succeeded", "succeeded"])
        until(lambda: row()["state"]["S"] == "delivered")
        assert waiting(sqs, driver.cloud.outputs["DeliverDlq"]) == 0
        assert audit(driver.deployment, settled=True).about(id_) == []


def test_redrive_moves_more_than_one_batch_and_then_finds_nothing(
    driver: Driver, stored: dict[str, Any]
) -> None:
    sqs = driver.cloud.client("sqs")
    for _ in range(13):
        body = json.dumps({"id": stored["id"]})
        sqs.send_message(QueueUrl=driver.cloud.outputs["PersistDlq"], MessageBody=body)
    (result,) = redrive(driver.deployment, ("persist",))
    assert (result.found, result.moved, result.error) == (13, 13, None)
    (again,) = redrive(driver.deployment, ("persist",))
    assert (again.found, again.moved, again.error) == (0, 0, None)


@pytest.mark.usefixtures("announced")
def test_the_relays_failures_are_left_to_the_sweep(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs = driver.cloud.client("sqs")
    lost = {"DDBStreamBatchInfo": {"shardId": "shardId-1", "batchSize": 3}}
    for body in (json.dumps(lost), "not what a stream sends"):
        sqs.send_message(QueueUrl=driver.cloud.outputs["RelayFailures"], MessageBody=body)
    assert main(["redrive", "relay", "--local", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == [{"queue": "relay", "found": 2, "moved": 3, "error": None}]
    assert "sweep 1: " in told.err
    assert waiting(sqs, driver.cloud.outputs["RelayFailures"]) == 0


class OnAws:
    """A deployment of which only the dead-letter queue of `persist` is called, with scripted
    answers of its SQS API, because the embedded one lacks StartMessageMoveTask."""

    outputs: ClassVar = {"PersistDlq": "https://sqs/dlq", "PersistQueue": "https://sqs/queue"}

    def __init__(self, *tasks: list[dict[str, Any]]) -> None:
        self.sqs = boto3.client("sqs")
        self._stub = Stubber(self.sqs)
        counts = {"ApproximateNumberOfMessages": "7"}
        self._stub.add_response("get_queue_attributes", {"Attributes": counts})
        self._stub.add_response("get_queue_attributes", {"Attributes": {"QueueArn": "arn:dlq"}})
        for number, results in enumerate(tasks):
            if number == 1 and (not tasks[0] or tasks[0][0]["Status"] != "RUNNING"):
                wanted = {"SourceArn": "arn:dlq"}
                self._stub.add_response("start_message_move_task", {"TaskHandle": "t"}, wanted)
            self._stub.add_response("list_message_move_tasks", {"Results": results})
        self._stub.activate()

    def client(self, name: str) -> Any:
        assert name == "sqs"
        return self.sqs

    def redriven(self) -> Moved:
        (result,) = redrive(cast("Deployment", self), ("persist",))
        self._stub.assert_no_pending_responses()
        return result


def task(status: str, moved: int = 0, started: int = 2, **more: Any) -> list[dict[str, Any]]:
    counted = {"ApproximateNumberOfMessagesMoved": moved}
    return [{"Status": status, "StartedTimestamp": started, **counted, **more}]


@pytest.fixture
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.redrive._POLL_S", 0)


@pytest.mark.usefixtures("_unhurried")
@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param([[], [], task("RUNNING", 3), task("COMPLETED", 7)], id="the first ever"),
        pytest.param([task("COMPLETED", 99, 1)] * 2 + [task("COMPLETED", 7)], id="after another"),
        pytest.param([task("RUNNING", 1), task("COMPLETED", 7)], id="one is under way"),
    ],
)
def test_on_aws_sqs_itself_moves_the_messages(tasks: list[list[dict[str, Any]]]) -> None:
    result = OnAws(*tasks).redriven()
    assert (result.found, result.moved, result.error) == (7, 7, None)


@pytest.mark.usefixtures("_unhurried")
def test_a_move_that_sqs_gives_up_is_told() -> None:
    result = OnAws([], task("FAILED", 2, FailureReason="AWS.AccessDenied")).redriven()
    assert (result.moved, result.error) == (2, "SQS: AWS.AccessDenied")


# --- prerequisites of the fault run
# ----------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are found in /proc")
@pytest.mark.usefixtures("stored")
def test_the_functions_of_this_cloud_can_be_told_apart(driver: Driver) -> None:
    functions = {worker.function for worker in workers()}
    assert driver.cloud.outputs["FunctionSubmit"] in functions
    assert "" not in functions
