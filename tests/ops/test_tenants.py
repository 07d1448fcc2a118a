"""A typo in a tenant's name changes no limits and no secret."""

from __future__ import annotations

from typing import Any

import pytest
from darkroom.aws.controls import DynamoControls
from darkroom.aws.items import to_item
from darkroom.domain.keys import new_token

from ops.__main__ import main
from ops.keys import put_key
from ops.tenants import known
from tests.ops.stacks import TABLE

Controls = tuple[Any, str]
COMMANDS = (
    ("limits", "set", "--in-flight", "1"),
    ("callbacks", "rotate"),
)


def run(command: tuple[str, ...], tenant: str, *more: str) -> int:
    return main([*command, "--tenant", tenant, "--table", TABLE, *more])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_newcomer_friction_12_a_name_that_nobody_has_is_refused(
    controls: Controls, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    put_key(*controls, new_token(), tenant="acme-shop")
    assert run(command, "acme-shpo") == 1
    told = capsys.readouterr().err
    assert "No tenant is called 'acme-shpo'" in told
    assert "acme-shop?" in told
    assert "--new" in told
    assert known(*controls) == {"acme-shop"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_new_one_is_taken_where_that_is_meant(
    controls: Controls, command: tuple[str, ...]
) -> None:
    assert run(command, "acme", "--new") == 0
    assert known(*controls) == {"acme"}
    if command[0] == "limits":
        assert DynamoControls(*controls).limits("acme").in_flight == 1
    else:
        assert DynamoControls(*controls).secret_version("acme").current == 2


@pytest.mark.parametrize("row", ["TENANT#acme", "SPEND#acme#2026-11", "USAGE#acme#2026-11-30"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_whoever_left_a_trace_is_known(
    controls: Controls, command: tuple[str, ...], row: str
) -> None:
    """A tenant that only uses events has no key."""
    dynamodb, table = controls
    dynamodb.put_item(TableName=table, Item=to_item({"pk": row}))
    assert run(command, "acme") == 0


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_name_that_cannot_be_stays_refused(controls: Controls, command: tuple[str, ...]) -> None:
    assert run(command, "a#b", "--new") == 1
    assert known(*controls) == set()


def test_show_says_that_it_shows_nobody(
    controls: Controls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(("limits", "show"), "acme") == 0
    assert "No tenant is called 'acme'" in capsys.readouterr().err
    put_key(*controls, new_token(), tenant="acme")
    assert run(("limits", "show"), "acme") == 0
    assert capsys.readouterr().err == ""
