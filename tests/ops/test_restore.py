"""`ops restore`: lost rows are restored, and later changes stay."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from darkroom.aws.controls import DynamoControls
from darkroom.aws.items import to_item

from ops import limits
from ops.__main__ import main
from tests.ops.stacks import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.deployment import Deployment
    from tests.ops.stacks import Stacks

COPY = "controls-restored"
NOW_S = int(time.time())
ROWS = {
    "TENANT#acme": {"monthly_cap": 1_000_000, "secret_version": 2},
    "TENANT#other": {"in_flight": 3},
    "SPEND#acme#2026-11": {"committed": 12, "spent": 12, "in_flight": 0},
    "IDEM#old": {"expires_at": NOW_S - 10},
    "IDEM#new": {"expires_at": NOW_S + 1000},
}


@pytest.fixture
def copy(deployment: Deployment) -> Any:
    """The Controls table's copy, besides an empty one."""
    dynamodb = deployment.client("dynamodb")
    dynamodb.create_table(
        TableName=COPY,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for pk, row in ROWS.items():
        dynamodb.put_item(TableName=COPY, Item=to_item({"pk": pk, **row}))
    return dynamodb


@pytest.fixture
def run(stacks: Stacks, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, int]]:
    stacks.outputs = {"Darkroom-prod-Stateful": {"ControlsTable": TABLE}}

    def command(*arguments: str, code: int = 0) -> dict[str, int]:
        given = ["restore", "controls", "--stage", "prod", "--json", *arguments]
        assert main(given) == code
        told = capsys.readouterr()
        found: dict[str, int] = json.loads(told.out) if told.out else {}
        return found

    return command


def keys(dynamodb: Any) -> set[str]:
    return {item["pk"]["S"] for item in dynamodb.scan(TableName=TABLE)["Items"]}


def test_aws_m6_what_is_missing_comes_back(copy: Any, run: Callable[..., dict[str, int]]) -> None:
    limits.write(copy, TABLE, "other", {"in_flight": 9})
    assert run("--from", COPY) == {"read": 5, "put": 3, "kept": 1, "expired": 1}
    assert keys(copy) == ROWS.keys() - {"IDEM#old"}
    controls = DynamoControls(copy, TABLE)
    assert controls.limits("acme").monthly_cap == 1_000_000
    assert controls.secret_version("acme").current == 2
    assert controls.limits("other").in_flight == 9
    assert run("--from", COPY) == {"read": 5, "put": 0, "kept": 4, "expired": 1}


def test_what_was_changed_by_mistake_is_as_it_was(
    copy: Any, run: Callable[..., dict[str, int]]
) -> None:
    run("--from", COPY)
    for tenant in ("acme", "other"):
        limits.write(copy, TABLE, tenant, {"monthly_cap": 0, "in_flight": None})
    only = ("--from", COPY, "--only", "TENANT#", "--overwrite")
    assert run(*only, "--dry-run") == {"read": 2, "put": 2, "kept": 0, "expired": 0}
    assert DynamoControls(copy, TABLE).limits("acme").monthly_cap == 0
    assert run(*only) == {"read": 2, "put": 2, "kept": 0, "expired": 0}
    assert run(*only) == {"read": 2, "put": 0, "kept": 2, "expired": 0}
    assert DynamoControls(copy, TABLE).limits("acme").monthly_cap == 1_000_000
    assert DynamoControls(copy, TABLE).limits("other").monthly_cap is None


@pytest.mark.parametrize("arguments", [("--from", COPY, "--overwrite"), ("--from", TABLE)])
def test_what_would_undo_everything_is_refused(
    copy: Any, run: Callable[..., dict[str, int]], arguments: tuple[str, ...]
) -> None:
    assert run(*arguments, code=1) == {}
    assert keys(copy) == set()


def test_a_dry_run_changes_nothing(copy: Any, run: Callable[..., dict[str, int]]) -> None:
    assert run("--from", COPY, "--dry-run") == {"read": 5, "put": 4, "kept": 0, "expired": 1}
    assert keys(copy) == set()


def test_a_copy_that_is_not_there(run: Callable[..., dict[str, int]], deployment: Any) -> None:
    assert boto3.client("dynamodb").list_tables()["TableNames"] == [TABLE]
    assert run("--from", "nowhere", code=1) == {}
