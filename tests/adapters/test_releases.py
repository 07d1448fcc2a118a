"""Two releases with one table: the previous one's records, and a next one's after a rollback."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws.deliveries import _delivery_item
from darkroom.aws.items import NEWER_CODES, prediction_item, read_prediction
from darkroom.domain.callback import Attempt, Callback
from darkroom.domain.errors import UnreadableRecordError
from darkroom.domain.prediction import Code, Prediction

from tests.support import versions
from tests.support.fakes import START
from tests.support.records import accepted

if TYPE_CHECKING:
    from collections.abc import Callable

WRITTEN: list[dict[str, Any]] = json.loads(versions.FIXTURE.read_text())


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return a function that runs the package of the previous release, from git."""
    where = tmp_path_factory.mktemp("last")
    if not versions.unpack_last_release(where):
        pytest.skip(f"git has no {versions.LAST_RELEASE[:7]} here: only the fixture is compared")
    return partial(versions.ask, where)


# This release with the previous one's records


def known_to_last(record: Prediction) -> dict[str, Any]:
    """Return the fields of a record that the previous release has, as JSON."""
    names = WRITTEN[0]["record"].keys()
    return {name: value for name, value in versions.as_last(record).items() if name in names}


def test_the_last_releases_records_are_of_every_kind() -> None:
    codes = {code.value for code in Code} - {code.value for code in NEWER_CODES}
    assert {each["record"]["code"] for each in WRITTEN} == {None, *codes}


@pytest.mark.parametrize("number", range(len(WRITTEN)))
def test_a_record_of_the_last_release_is_read_as_it_was(number: int) -> None:
    written = WRITTEN[number]
    record = read_prediction(versions.from_json(written["item"]))
    assert known_to_last(record) == written["record"]
    again = versions.to_json(prediction_item(record))
    for name in versions.VALUES:
        assert again.get(name) == written["item"].get(name)
    least = accepted()
    new = asdict(record).keys() - written["record"].keys()
    assert {name: getattr(record, name) for name in new} == {n: getattr(least, n) for n in new}


def test_the_fixture_is_what_the_last_release_writes(last: Callable[..., Any]) -> None:
    asked = [each["record"] for each in WRITTEN]
    assert last(write=asked)["written"] == [each["item"] for each in WRITTEN]


# The previous release with this one's records


def test_the_last_release_reads_and_rewrites_what_this_one_writes(last: Callable[..., Any]) -> None:
    records = versions.records()
    items = [versions.to_json(prediction_item(record)) for record in records]
    seen = last(read=items)["read"]
    for record, told in zip(records, seen, strict=True):
        assert "error" not in told, (record, told)
        shown = NEWER_CODES.get(record.code, record.code) if record.code else None
        before = known_to_last(replace(record, code=shown))
        assert told["record"] == before
        assert known_to_last(read_prediction(versions.from_json(told["item"]))) == before


OWED = Callback(
    prediction="0" * 26,
    event="logs-000007",
    created_at=START,
    expires_at=START // 1000 + 60,
    state="pending",
    attempts=2,
    next_at=START + 1,
    last_status=500,
    last_error="no answer",
    due_at=START + 2,
    frozen="{}",
    history=(Attempt(START, 12, None, "no answer"), Attempt(START, 3, 204)),
)


def test_the_last_release_reads_the_deliveries_that_this_one_writes(
    last: Callable[..., Any],
) -> None:
    least = Callback("0" * 26, "completed", START, START // 1000 + 60)
    items = [_delivery_item(row) for row in (OWED, least)]
    assert last(deliveries=items)["deliveries"] == [
        {"record": versions.to_json(asdict(row))} for row in (OWED, least)
    ]


# Next release


@pytest.mark.parametrize("change", versions.READABLE.values(), ids=versions.READABLE)
def test_what_a_next_release_adds_is_ignored(change: Callable[[Any], Any]) -> None:
    for record in versions.records():
        assert read_prediction(change(prediction_item(record))) == record


@pytest.mark.parametrize("change", versions.UNREADABLE.values(), ids=versions.UNREADABLE)
def test_what_a_next_release_changes_is_one_record_that_cannot_be_read(
    change: Callable[[Any], Any],
) -> None:
    for record in versions.records():
        with pytest.raises(UnreadableRecordError) as unreadable:
            read_prediction(change(prediction_item(record)))
        assert (unreadable.value.id, unreadable.value.tenant) == (record.id, record.tenant)
