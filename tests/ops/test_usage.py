"""`ops usage`: the rows of the relay and of the ledger, as a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws.items import to_item

from ops.__main__ import main
from ops.usage import usage
from tests.ops.stacks import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "black-forest-labs/flux-schnell"


@pytest.fixture
def run(controls: tuple[Any, str], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    dynamodb, table = controls
    for row in (
        {"pk": "USAGE#acme#2026-11-02", f"n:{MODEL}": 2, f"c:{MODEL}": 6_000},
        {"pk": "USAGE#acme#2026-11-01", f"n:{MODEL}": 1, f"c:{MODEL}": 3_000, "n:a/b": 1},
        {"pk": "USAGE#acme#2026-10-31", f"n:{MODEL}": 100, f"c:{MODEL}": 300_000},
        {"pk": "TAGGED#acme#2026-11-02#a#b", f"n:{MODEL}": 1, f"c:{MODEL}": 3_000},
        {"pk": "SPEND#acme#2026-11", "committed": 12_000, "spent": 9_000, "in_flight": 1},
        {"pk": f"SPEND#acme#2026-11#{'a' * 32}", "committed": 7, "spent": 7, "in_flight": 0},
        {"pk": "SPEND#acme#2026-10", "committed": 1, "spent": 1, "in_flight": 0},
        {"pk": "USAGE#other#2026-11-30", f"n:{MODEL}": 5, f"c:{MODEL}": 15_000},
        {"pk": "TENANT#acme", "monthly_cap": 1},
    ):
        dynamodb.put_item(TableName=table, Item=to_item(row))

    def command(*arguments: str, code: int = 0) -> str:
        assert main(["usage", *arguments, "--table", TABLE]) == code
        return capsys.readouterr().out

    return command


def test_what_has_a_tag_alone(run: Callable[..., str]) -> None:
    shown = run("--tenant", "acme", "--tag", "a#b", "--month", "2026-11", "--json")
    (acme,) = json.loads(shown)["tenants"]
    assert (acme["predictions"], acme["micro_usd"], "ledger" in acme) == (1, 3_000, False)
    run("--tag", "a#b", code=1)


ACME = {
    "tenant": "acme",
    "predictions": 4,
    "micro_usd": 9_000,
    "days": [
        {"day": "2026-11-01", "model": "a/b", "predictions": 1, "micro_usd": 0},
        {"day": "2026-11-01", "model": MODEL, "predictions": 1, "micro_usd": 3_000},
        {"day": "2026-11-02", "model": MODEL, "predictions": 2, "micro_usd": 6_000},
    ],
    "ledger": {"committed": 12_000, "spent": 9_000, "in_flight": 1},
}


def test_one_tenants_month(run: Callable[..., str]) -> None:
    shown = run("--tenant", "acme", "--month", "2026-11", "--json")
    assert json.loads(shown) == {"month": "2026-11", "tenants": [ACME]}


def test_all_tenants(run: Callable[..., str]) -> None:
    tenants = json.loads(run("--month", "2026-11", "--json"))["tenants"]
    assert [one["tenant"] for one in tenants] == ["acme", "other"]
    assert tenants[0] == ACME
    assert "ledger" not in tenants[1]


def test_the_table(run: Callable[..., str]) -> None:
    lines = run("--tenant", "acme", "--month", "2026-11").splitlines()
    assert [line.split() for line in lines] == [
        ["acme"],
        ["2026-11-01", "a/b", "1", "0.000000", "USD"],
        ["2026-11-01", MODEL, "1", "0.003000", "USD"],
        ["2026-11-02", MODEL, "2", "0.006000", "USD"],
        ["total", "4", "0.009000", "USD"],
        ["spent", "0.009000", "USD,", "reserved", "0.003000", "USD,", "1", "in", "flight"],
    ]


@pytest.mark.parametrize("month", ["2026-13", "november", "2026-1", "2026-11-01"])
def test_what_is_no_month_is_refused(run: Callable[..., str], month: str) -> None:
    assert run("--month", month, code=1) == ""


def test_a_month_without_anything(run: Callable[..., str]) -> None:
    assert json.loads(run("--month", "2026-09", "--json"))["tenants"] == []


@dataclass
class Throttled:
    """A DynamoDB that returns keys unprocessed: all of them, or all but one."""

    dynamodb: Any
    read: list[int]
    """The number of keys read per answer; then all."""

    def batch_get_item(self, **given: Any) -> dict[str, Any]:
        ((table, asked),) = given["RequestItems"].items()
        keys = asked["Keys"]
        number = self.read.pop(0) if self.read else len(keys)
        answer: dict[str, Any] = {"Responses": {}, "UnprocessedKeys": {}}
        if number:
            some = {table: {"Keys": keys[:number]}}
            answer["Responses"] = self.dynamodb.batch_get_item(RequestItems=some)["Responses"]
        if number < len(keys):
            answer["UnprocessedKeys"] = {table: {"Keys": keys[number:]}}
        return answer


@pytest.mark.usefixtures("run")
def test_aws_l7_throttled_reads_are_not_asked_for_again_at_once(controls: tuple[Any, str]) -> None:
    dynamodb, table = controls
    slept: list[float] = []
    throttled = Throttled(dynamodb, [0, 0, 1, 0])
    found = usage(throttled, table, "2026-11", "acme", sleep=slept.append)
    assert found["acme"].total == (4, 9_000)
    assert slept == [0.05, 0.1, 0.2]
