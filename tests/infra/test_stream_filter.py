"""The stream's filter excludes no change that the relay would act on."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from darkroom.aws.items import is_record, list_items, prediction_item
from darkroom.domain.lifecycle import (
    CancelRequested,
    CreateRefused,
    CreateUnknown,
    News,
    NotifyTask,
    ProviderReported,
    Stored,
    advance,
    effects,
)
from darkroom.domain.prediction import Prediction, State
from hypothesis import given

from tests.support.fakes import START
from tests.support.histories import beginnings, file, histories, lives
from tests.support.records import TIMINGS, accepted, snapshot
from tests.support.stream import relayed

Item = dict[str, Any]


def marked(record: Prediction) -> Item:
    """Return the item after the mark, which is an update of single attributes."""
    done = replace(record, effects_done=True, due_at=None, revision=record.revision + 1)
    return prediction_item(done)


def acts_on(old: Prediction | None, new: Prediction) -> bool:
    """Whether the relay acts on the change: does an effect, or marks the end."""
    return bool(effects(old, new)) or (new.state.terminal and not new.effects_done)


@given(beginnings, histories)
def test_every_change_that_has_effects_is_relayed(
    record: Prediction, history: list[tuple[News, int]]
) -> None:
    first, *later = lives(record, history)
    assert relayed(None, prediction_item(first)) or not acts_on(None, first)
    for old, new in itertools.pairwise([first, *later]):
        assert relayed(prediction_item(old), prediction_item(new)) or not acts_on(old, new)


@given(beginnings, histories)
def test_whatever_is_written_of_a_task_that_runs_is_relayed(
    record: Prediction, history: list[tuple[News, int]]
) -> None:
    for life in lives(replace(record, task_token="token"), history):
        claimed = replace(life, due_at=1)
        if NotifyTask() in effects(life, claimed):
            # A claim updates `due_at` only; the rest of the item is unchanged.
            item = prediction_item(life)
            assert relayed(item, {**item, "due_at": {"N": "1"}})


def follow(record: Prediction, *news: News) -> list[Prediction]:
    revisions = [record]
    for one in news:
        changed = advance(revisions[-1], one, START + 60_000, TIMINGS)
        assert changed is not None
        revisions.append(changed)
    return revisions


PLAIN = (
    ProviderReported(snapshot("starting")),
    ProviderReported(snapshot("processing")),
    ProviderReported(snapshot("succeeded", output=["https://x.test/0"])),
    Stored((file,)),
)


def test_of_a_plain_life_only_the_three_changes_with_effects_are_relayed() -> None:
    lived = follow(accepted(), *PLAIN)
    items = [*map(prediction_item, lived), marked(lived[-1])]
    states = [None, *items]
    passed = [relayed(old, new) for old, new in zip(states, items, strict=False) if new]
    #        accepted, bound, processing, storing, succeeded, marked
    assert passed == [False, False, True, True, True, False]


@pytest.mark.parametrize(
    "news",
    [
        pytest.param((CreateRefused(1, START),), id="a create to repeat"),
        pytest.param(
            (ProviderReported(snapshot("starting")), CancelRequested()), id="a cancel to send"
        ),
        pytest.param((CreateUnknown(1), ProviderReported(snapshot("failed"))), id="an end"),
    ],
)
def test_what_somebody_waits_for_is_relayed(news: tuple[News, ...]) -> None:
    old, new = follow(accepted(), *news)[-2:]
    assert relayed(prediction_item(old), prediction_item(new))


def test_an_item_of_an_earlier_version_is_relayed() -> None:
    item = prediction_item(accepted())
    del item["relay"]
    assert relayed(None, item)


def test_a_removal_is_not() -> None:
    lived = follow(accepted(), *PLAIN)[-1]
    assert lived.state is State.SUCCEEDED
    assert not relayed(prediction_item(lived), None)


def test_a_row_of_a_list_is_nobodys_change() -> None:
    for row in list_items(accepted(tags=("spring",), end_user="ann")):
        assert not relayed(None, row)
        assert not is_record(row)
    assert is_record(prediction_item(accepted()))
