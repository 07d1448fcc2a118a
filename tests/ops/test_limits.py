"""`ops limits`: the row from which the functions read a tenant's limits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws.controls import DynamoControls
from darkroom.domain.keys import new_token
from darkroom.domain.money import Limits

from ops.__main__ import main
from ops.callbacks import rotate
from ops.keys import put_key
from tests.ops.stacks import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

Controls = tuple[Any, str]


@pytest.fixture
def set_(controls: Controls) -> Callable[..., Limits]:
    put_key(*controls, new_token(), tenant="acme")

    def command(*arguments: str, code: int = 0) -> Limits:
        given = ["limits", "set", "--tenant", "acme", *arguments, "--table", TABLE]
        assert main(given) == code
        return DynamoControls(*controls).limits("acme")

    return command


def test_the_functions_see_what_is_set(set_: Callable[..., Limits]) -> None:
    found = set_("--monthly-cap-usd", "12.5", "--requests-per-second", "2.5", "--in-flight", "4")
    assert found == Limits(12_500_000, 4, 400_000, 3)


def test_what_is_not_given_stays_and_none_takes_away(set_: Callable[..., Limits]) -> None:
    set_("--monthly-cap-usd", "1", "--requests-per-second", "5", "--burst", "20")
    assert set_("--requests-per-second", "10") == Limits(1_000_000, None, 100_000, 20)
    assert set_("--in-flight", "0", "--monthly-cap-usd", "none") == Limits(None, 0, 100_000, 20)
    assert set_("--requests-per-second", "none", "--in-flight", "none") == Limits()


def test_the_tenants_callback_secret_is_left_alone(
    controls: Controls, set_: Callable[..., Limits]
) -> None:
    rotate(*controls, "acme", 1)
    set_("--in-flight", "1")
    set_("--in-flight", "none")
    assert DynamoControls(*controls).secret_version("acme").current == 2


def test_each_end_users_are_set_and_taken_away_beside_the_tenants(
    set_: Callable[..., Limits],
) -> None:
    users = ("--end-user-monthly-cap-usd", "0.5", "--end-user-creates-per-minute", "2.5")
    most = Limits(
        end_user_monthly_cap=500_000, end_user_rate_interval_us=24_000_000, end_user_rate_burst=3
    )
    assert set_(*users) == most
    assert set_("--end-user-burst", "1", "--requests-per-second", "1") == replace(
        most, end_user_rate_burst=1, rate_interval_us=1_000_000, rate_burst=1
    )
    none = ("--end-user-creates-per-minute", "none", "--requests-per-second", "none")
    assert set_(*none) == Limits(end_user_monthly_cap=500_000)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--end-user-monthly-cap-usd", "-1"),
        ("--end-user-creates-per-minute", "0"),
        ("--end-user-burst", "5"),
        ("--requests-per-second", "none", "--end-user-burst", "5"),
        ("--monthly-cap-usd", "-1"),
        ("--monthly-cap-usd", "nan"),
        ("--monthly-cap-usd", "inf"),
        ("--monthly-cap-usd", "ten"),
        ("--monthly-cap-usd", "1e12"),
        ("--monthly-cap-usd", "0.0000005"),
        ("--in-flight", "1.5"),
        ("--requests-per-second", "0"),
        ("--requests-per-second", "1e9"),
        ("--burst", "5"),
        ("--requests-per-second", "1", "--burst", "0"),
        ("--requests-per-second", "none", "--burst", "5"),
    ],
)
def test_what_is_no_limit_is_refused(
    set_: Callable[..., Limits], arguments: tuple[str, ...]
) -> None:
    assert set_(*arguments, code=1) == Limits()


def test_show(set_: Callable[..., Limits], capsys: pytest.CaptureFixture[str]) -> None:
    set_("--monthly-cap-usd", "0.1", "--requests-per-second", "2")
    set_("--end-user-creates-per-minute", "7")
    show = ["limits", "show", "--tenant", "acme", "--table", TABLE]
    capsys.readouterr()
    assert main([*show, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "tenant": "acme",
        "monthly_cap": 100_000,
        "rate_interval_us": 500_000,
        "rate_burst": 2,
        "in_flight": None,
        "end_user_monthly_cap": None,
        "end_user_rate_interval_us": 8_571_429,
        "end_user_rate_burst": 7,
    }
    assert main(show) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=3)[3] for line in lines[:2]] == ["0.100000", "2, at most 2 at once"]
    assert lines[2].endswith("no limit")
    assert lines[4].endswith("no limit")
    assert lines[5].endswith(" 7, at most 7 at once")
