"""`ops live --local` on the embedded cloud: everything is proven, and problems are a FAIL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ops.__main__ import main
from ops.keys import list_keys
from ops.live.calls import PROMPT
from ops.live.rows import EMBEDDED_LACKS, ROWS
from tests.e2e.driver import SCHNELL
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.driver import Driver

Rows = dict[str, dict[str, Any]]


@pytest.fixture
def live(
    announced: None, driver: Driver, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Rows]]:
    """Runs the command; returns its exit code, and the rows by name."""

    def run(*arguments: str) -> tuple[int, Rows]:
        code = main(["live", "--local", "--json", *arguments])
        told = capsys.readouterr().out
        assert driver.cloud.replicate_token not in told
        return code, {row["name"]: row for row in json.loads(told)["rows"]}

    return run


def live_keys(driver: Driver) -> list[str]:
    rows = list_keys(driver.cloud.client("dynamodb"), driver.cloud.outputs["ControlsTable"])
    return [row["id"] for row in rows if row["tenant"].startswith("live-")]


def test_everything_is_proven(
    driver: Driver, live: Callable[..., tuple[int, Rows]], tmp_path: Path
) -> None:
    driver.faults(time_scale=1, show_input="urls", show_version="internal")
    code, rows = live("--report", str(tmp_path / "live.md"))
    states = {name: row["state"] for name, row in rows.items()}
    wanted = {row.name: "n/a" if row.name in EMBEDDED_LACKS else "OK" for row in ROWS}
    assert states == wanted, rows
    assert code == 0
    shown = rows["input and version"]["text"]
    assert shown.startswith("input exact; version dp-")
    assert "model another; a data URI is shown as https" in shown
    assert json.loads((tmp_path / "live.json").read_text())["passed"] is True
    assert "| stored | OK |" in (tmp_path / "live.md").read_text()
    assert live_keys(driver) == []


def test_what_is_wrong_with_webhooks_shows(
    driver: Driver, live: Callable[..., tuple[int, Rows]]
) -> None:
    driver.faults(webhook_bad_signature=1.0, echo_webhook=False)
    code, rows = live("--only", "webhook", "--only", "webhook echo")
    assert code == 1
    assert {name: row["state"] for name, row in rows.items()} == {
        "webhook": "FAIL",
        "webhook echo": "OK",  # Because the embedded cloud has a dedicated account.
    }
    assert "no_match" in rows["webhook"]["text"]
    assert "not shown" in rows["webhook echo"]["text"]


def test_a_create_that_replicate_refuses_fails_what_needs_it(
    driver: Driver, live: Callable[..., tuple[int, Rows]]
) -> None:
    driver.faults(create_status=402)
    code, rows = live("--only", "stored", "--only", "upload", "--patience", "3")
    assert code == 1
    assert {name: row["state"] for name, row in rows.items()} == {"upload": "OK", "stored": "FAIL"}
    assert "not within 3 s" in rows["stored"]["text"]


def test_a_state_machines_task_is_answered(
    driver: Driver, live: Callable[..., tuple[int, Rows]], state_machine: str
) -> None:
    code, rows = live("--only", "task", "--state-machine", state_machine)
    assert (code, rows["task"]["state"]) == (0, "OK"), rows


@pytest.fixture
def state_machine(driver: Driver) -> Iterator[str]:
    """With one task, like the first of examples/pictures."""
    detail = {"model": SCHNELL, "input": {"prompt.$": "$.prompt"}, "taskToken.$": "$$.Task.Token"}
    generate = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {
            "QueueUrl": driver.cloud.outputs["IntakeQueue"],
            "MessageBody": {"tenant": "local", "detail": detail},
        },
        "TimeoutSeconds": 600,
        "End": True,
    }
    steps = driver.cloud.client("stepfunctions")
    arn = steps.create_state_machine(
        name="live",
        definition=json.dumps({"StartAt": "Generate", "States": {"Generate": generate}}),
        roleArn="arn:aws:iam::000000000000:role/any",
    )["stateMachineArn"]
    yield str(arn)
    steps.delete_state_machine(stateMachineArn=arn)


@pytest.mark.usefixtures("announced")
def test_a_run_that_is_stopped_leaves_no_key_and_nothing_running(driver: Driver) -> None:
    driver.faults(time_scale=60)
    before = {made["id"] for made in driver.upstream()}
    command = [sys.executable, "-m", "ops", "live", "--local"]
    with subprocess.Popen(
        command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("looking at: stored"):
                break
        assert live_keys(driver)
        process.send_signal(signal.SIGTERM)
        said = process.stdout.read()
    assert process.returncode == 130, said
    assert live_keys(driver) == []

    def over() -> bool:
        ours = [made for made in driver.upstream() if made["id"] not in before]
        ours = [made for made in ours if PROMPT in str(made["input"].get("prompt"))]
        return len(ours) >= 4 and all(made["status"] in {"canceled", "aborted"} for made in ours)

    until(over)
