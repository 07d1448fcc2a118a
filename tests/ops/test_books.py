"""Months and days compared with the sum of their predictions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from darkroom.aws.items import to_item
from darkroom.domain.money import month_row
from darkroom.domain.prediction import Prediction, Price, State

from ops.books import LedgerAudit, rows
from tests.support.fakes import START
from tests.support.records import accepted

MONTH, DAY = "SPEND#acme#2027-01", "USAGE#acme#2027-01-15"
USERS = month_row("acme", START, "ann")
TAGGED = "TAGGED#acme#2027-01-15#a#b"
RECORDS = (
    accepted(id="a" * 26, price=Price("image", 3000, 12_000), ledger=MONTH),
    accepted(
        id="b" * 26,
        price=Price("image", 3000, 12_000),
        ledger=MONTH,
        state=State.SUCCEEDED,
        cost=3000,
        counted=True,
        end_user="ann",
        end_user_ledger=True,
    ),
    accepted(id="c" * 26, state=State.FAILED, counted=True, tags=("a#b",)),
)
RIGHT = {
    MONTH: {"committed": 15_000, "spent": 3000, "in_flight": 1},
    USERS: {"committed": 3000, "spent": 3000, "in_flight": 0},
    DAY: {"n:owner/name": 2, "c:owner/name": 3000},
    TAGGED: {"n:owner/name": 1, "c:owner/name": 0},
}
NOW_S = START / 1000


def differences(
    before: dict[str, Any], after: dict[str, Any], *records: Prediction, now_s: float = NOW_S
) -> list[tuple[str, str]]:
    books = LedgerAudit(before)
    for record in records:
        books.add(record)
    return list(books.differences(after, now_s))


def test_rows_that_are_the_sum_of_their_predictions() -> None:
    assert differences(RIGHT, RIGHT, *RECORDS) == []


@pytest.mark.parametrize(
    ("row", "what", "text"),
    [
        (MONTH, "committed", "committed is 15001, its predictions come to 15000"),
        (MONTH, "spent", "spent is 3001, its predictions come to 3000"),
        (MONTH, "in_flight", "in_flight is 2, its predictions come to 1"),
        (USERS, "spent", "spent is 3001, its predictions come to 3000"),
        (DAY, "n:owner/name", "n:owner/name is 3, its predictions come to 2"),
        (DAY, "c:owner/name", "c:owner/name is 3001, its predictions come to 3000"),
        (TAGGED, "n:owner/name", "n:owner/name is 2, its predictions come to 1"),
    ],
)
def test_each_sum_is_compared(row: str, what: str, text: str) -> None:
    wrong = {**RIGHT, row: {**RIGHT[row], what: RIGHT[row][what] + 1}}
    assert differences(wrong, wrong, *RECORDS) == [(row, text)]


def test_a_row_that_is_missing_or_nobodys() -> None:
    assert len(differences({}, {}, *RECORDS)) == 8
    lone = {"SPEND#other#2027-01": {"committed": 1, "spent": 0, "in_flight": 0}}
    found = differences({**RIGHT, **lone}, {**RIGHT, **lone}, *RECORDS)
    assert [row for row, _ in found] == ["SPEND#other#2027-01"]


@pytest.mark.parametrize(("other", "found"), [(2, []), (1, ["n:other"]), (3, ["n:other"])])
def test_what_a_day_does_not_name_is_under_other(other: int, found: list[str]) -> None:
    unnamed = [
        accepted(id=letter * 26, model=f"open/{letter}", state=State.FAILED, counted=True)
        for letter in "de"
    ]
    held = {**RIGHT, DAY: {**RIGHT[DAY], "n:other": other, "c:other": 0}}
    texts = [text for _, text in differences(held, held, *RECORDS, *unnamed)]
    assert [text.partition(" ")[0] for text in texts] == found


def test_a_row_that_moved_meanwhile_is_left_out() -> None:
    moved = {**RIGHT, MONTH: {"committed": 0, "spent": 0, "in_flight": 0}}
    assert differences(RIGHT, moved, *RECORDS) == []


def test_a_row_whose_records_may_be_gone_is_left_out() -> None:
    old = {MONTH: {"committed": 1, "spent": 1, "in_flight": 0}}
    begins = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    kept_s = 90 * 86_400
    assert len(differences(old, old, RECORDS[2], now_s=begins + kept_s - 1)) == 4
    left = {row for row, _ in differences(old, old, RECORDS[2], now_s=begins + kept_s)}
    assert left == {DAY, TAGGED}


def test_rows_are_read_from_the_controls_table() -> None:
    items = [
        to_item({"pk": MONTH, "committed": 1, "spent": 0, "in_flight": 1, "expires_at": 2}),
        to_item({"pk": "KEY#1", "tenant": "acme"}),
        {**to_item({"pk": DAY, "n:a/b": 1, "c:a/b": 0}), "open": {"SS": ["a/b"]}},
    ]
    assert rows(items) == {
        MONTH: {"committed": 1, "spent": 0, "in_flight": 1},
        DAY: {"n:a/b": 1, "c:a/b": 0},
    }
