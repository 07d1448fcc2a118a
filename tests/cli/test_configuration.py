"""Where the address and the key come from, and where the key stays."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from darkroom_cli.configuration import Account, account, address, forget, keep, key, place
from darkroom_cli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

KEY = "dk_" + "x" * 40


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_what_login_keeps_is_the_users_alone(environment: dict[str, str]) -> None:
    kept = Account("https://images.example.com", KEY)
    path = keep(kept, environment)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert account(environment) == kept
    assert [each.name for each in path.parent.iterdir()] == ["account.json"]
    assert KEY not in repr(kept)
    assert [forget(environment), forget(environment)] == [True, False]


def test_the_environment_stands_above_it(environment: dict[str, str]) -> None:
    keep(Account("https://images.example.com", KEY), environment)
    named = {"DARKROOM_URL": "https://other.example.com/v1/", "DARKROOM_TOKEN": "dk_other"}
    assert account({**environment, **named}) == Account("https://other.example.com", "dk_other")
    alone = account({**environment, "DARKROOM_TOKEN": "dk_other"})
    assert alone == Account("https://images.example.com", "dk_other")
    same = account({**environment, "DARKROOM_URL": "https://images.example.com/v1"})
    assert same.token == KEY


def test_a_kept_key_goes_to_no_other_address(environment: dict[str, str]) -> None:
    keep(Account("https://images.example.com", KEY), environment)
    with pytest.raises(UsageError, match="for another address"):
        account({**environment, "DARKROOM_URL": "https://evil.example.com"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp://x.example", "no address"),
        ("images.example.com", "no address"),
        ("https://", "no address"),
        ("https://[::1", "no URL"),
        ("https://x.example:port", "no URL"),
        ("https://user:pass@x.example", "no user"),
        ("https://x.example?a=b", "no user"),
        ("http://images.example.com", "--insecure-http"),
        ("http://127.0.0.1.example.com", "--insecure-http"),
        ("http://localhost.example.com", "--insecure-http"),
        ("https://x.example/\x1b[2J", "no address"),
    ],
)
def test_an_address_that_is_none(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        address(text)


@pytest.mark.parametrize("host", ["127.0.0.1:8787", "localhost", "[::1]:80", "127.9.9.9"])
def test_http_is_for_this_machine(host: str) -> None:
    assert address(f"http://{host}/") == f"http://{host}"
    assert address("http://box.lan", insecure_http=True) == "http://box.lan"


@pytest.mark.parametrize("text", ["", " ", "two words", "dk_\u00e9", "a\nb: c", "x" * 513])
def test_a_key_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="API key"):
        key(text)


def test_without_an_account_it_says_what_to_do(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="darkroom login"):
        account(environment)


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("{", 0o600, "damaged"),
        ("[]", 0o600, "damaged"),
        ("{}", 0o644, "Others can read"),
    ],
)
def test_a_kept_account_that_cannot_be_used(
    environment: dict[str, str], content: str, mode: int, why: str
) -> None:
    path = place(environment)
    path.parent.mkdir()
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(UsageError, match=why):
        account(environment)


def test_a_folder_that_cannot_be_written(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "darkroom").write_text("a file")
    with pytest.raises(UsageError, match="cannot be written"):
        keep(Account("https://images.example.com", KEY), environment)
