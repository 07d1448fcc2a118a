"""`ops keys`: rows that the functions read, and tokens that are shown once."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws.controls import DynamoControls
from darkroom.domain.errors import NotAuthenticatedError
from darkroom.domain.keys import key_id
from darkroom.services.tenants.authenticate import Authenticate

from ops.__main__ import main
from ops.keys import SHOWN_ID, list_keys
from tests.ops.stacks import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

Controls = tuple[Any, str]
"""A client of DynamoDB, and the table's name."""


@pytest.fixture
def run(controls: Controls, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    def command(*arguments: str, code: int = 0) -> list[str]:
        assert main(["keys", *arguments, "--table", TABLE]) == code
        told = capsys.readouterr()
        return (told.out or told.err).splitlines()

    return command


def tenant_of(controls: Controls, token: str, scope: str = "read") -> str:
    return Authenticate(DynamoControls(*controls))(f"Bearer {token}", scope)


def shown_id(token: str) -> str:
    return key_id(token).removeprefix("KEY#")[:SHOWN_ID]


def test_the_last_line_of_create_is_the_token(
    controls: Controls, run: Callable[..., list[str]]
) -> None:
    *_, token = run("create", "--tenant", "acme", "--dedupe-window", "30", "--scopes", "submit")
    key = DynamoControls(*controls).api_key(key_id(token))
    assert key is not None
    assert (key.tenant, key.scopes, key.dedupe_window_s) == ("acme", frozenset({"submit"}), 30)


def test_no_token_is_in_the_table_or_in_the_list(
    controls: Controls, run: Callable[..., list[str]]
) -> None:
    *_, token = run("create", "--tenant", "acme", "--name", "their site")
    (line,) = run("list")
    assert line.startswith(shown_id(token))
    assert "acme" in line
    assert "their site" in line
    dynamodb, table = controls
    assert token[3:] not in json.dumps(dynamodb.scan(TableName=table)["Items"]) + line


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tenant", "a/b"),
        ("--tenant", ""),
        ("--tenant", "a#b"),
        ("--tenant", "acme", "--scopes", "root"),
        ("--tenant", "acme", "--scopes", ""),
        ("--tenant", "acme", "--dedupe-window", "-1"),
        ("--tenant", "acme", "--dedupe-window", "86400"),
    ],
)
def test_a_key_that_cannot_be_is_refused(
    controls: Controls, run: Callable[..., list[str]], arguments: tuple[str, ...]
) -> None:
    run("create", *arguments, code=1)
    assert list(list_keys(*controls)) == []


def test_a_rotated_key_has_its_rights_and_the_old_one_lives_on(
    controls: Controls, run: Callable[..., list[str]]
) -> None:
    *_, old = run("create", "--tenant", "acme", "--scopes", "read", "--dedupe-window", "9")
    *_, new = run("rotate", shown_id(old), "--overlap-hours", "1")
    assert new != old
    assert [tenant_of(controls, token) for token in (old, new)] == ["acme", "acme"]
    rows = {row["id"]: row for row in list_keys(*controls)}
    assert rows[shown_id(old)]["expires_at"] == pytest.approx(time.time() + 3600, abs=60)
    assert "expires_at" not in rows[shown_id(new)]
    assert rows[shown_id(new)]["scopes"] == ["read"]
    assert rows[shown_id(new)]["dedupe_window_s"] == 9
    assert "was rotated before" in run("rotate", shown_id(old), code=1)[0]
    assert len(list(list_keys(*controls))) == 2


def test_without_an_overlap_the_old_token_ends_at_once(
    controls: Controls, run: Callable[..., list[str]]
) -> None:
    *_, old = run("create", "--tenant", "acme")
    *_, new = run("rotate", shown_id(old), "--overlap-hours", "0")
    assert tenant_of(controls, new) == "acme"
    with pytest.raises(NotAuthenticatedError):
        tenant_of(controls, old)


def test_the_key_of_a_leaked_token_is_revoked(
    controls: Controls, run: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, token = run("create", "--tenant", "acme")
    monkeypatch.setattr(sys, "stdin", io.StringIO(token[:-1] + "\n"))
    assert "no token of Darkroom" in run("revoke", "--token-stdin", code=1)[0]
    monkeypatch.setattr(sys, "stdin", io.StringIO(token + "\n"))
    run("revoke", "--token-stdin")
    with pytest.raises(NotAuthenticatedError):
        tenant_of(controls, token)


def test_json_for_programs(run: Callable[..., list[str]]) -> None:
    (created,) = run("create", "--tenant", "acme", "--json")
    key = json.loads(created)
    assert shown_id(key["token"]) == key["id"]
    (listed,) = json.loads("\n".join(run("list", "--json")))
    assert listed == {name: value for name, value in key.items() if name != "token"}


def test_an_unknown_id_changes_nothing(controls: Controls, run: Callable[..., list[str]]) -> None:
    run("create", "--tenant", "acme")
    for action in ("revoke", "rotate"):
        assert "No key has the id" in run(action, "0" * 12, code=1)[0]
    assert len(list(list_keys(*controls))) == 1
