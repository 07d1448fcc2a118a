"""The resources of two clouds of one checkout."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from local.announcement import announced, claimed

if TYPE_CHECKING:
    from pathlib import Path

FOUND = {"base_url": "http://127.0.0.1:8787", "pid": 1}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DARKROOM_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_newcomer_bug_14_the_first_has_the_plain_names_whatever_its_port(state: Path) -> None:
    with claimed(9000) as first, claimed(8787) as second:
        assert (first.state, first.announcement, first.beside) == (
            state,
            state / "local.json",
            False,
        )
        assert (second.state, second.announcement, second.beside) == (
            state / "local-8787",
            state / "local-8787.json",
            True,
        )
    with claimed(8787) as place:
        assert place.announcement == state / "local.json"


def test_newcomer_bug_14_each_removes_its_own_announcement_alone(state: Path) -> None:
    with claimed(9000) as first, announced(first.announcement, FOUND):
        with claimed(8787) as second, announced(second.announcement, {**FOUND, "pid": 2}):
            assert len(list(state.glob("local*.json"))) == 2
        assert [path.name for path in state.glob("local*.json")] == ["local.json"]
        assert json.loads(first.announcement.read_text()) == FOUND
        assert first.announcement.stat().st_mode & 0o77 == 0
    assert list(state.glob("local*json*")) == []


def test_newcomer_bug_14_the_second_may_outlive_the_first(state: Path) -> None:
    with ExitStack() as first, ExitStack() as second:
        one = first.enter_context(claimed(9000))
        first.enter_context(announced(one.announcement, FOUND))
        two = second.enter_context(claimed(8787))
        second.enter_context(announced(two.announcement, FOUND))
        first.close()
        assert [path.name for path in state.glob("local*.json")] == ["local-8787.json"]
        with claimed(9001) as third:
            assert third.announcement.name == "local.json"


def test_newcomer_bug_14_what_a_killed_one_left_is_taken_over(state: Path) -> None:
    state.mkdir()
    (state / "local.json").write_text(json.dumps(FOUND))
    (state / "local-8787.json").write_text(json.dumps(FOUND))
    with claimed(9000) as first:
        assert not first.announcement.exists()
        with claimed(8787) as second, announced(second.announcement, {"pid": 2}):
            assert json.loads(second.announcement.read_text()) == {"pid": 2}
    assert list(state.glob("local*.json")) == []


def test_another_ones_announcement_stays(tmp_path: Path) -> None:
    path = tmp_path / "local.json"
    with announced(path, FOUND):
        path.write_text("{}")
    assert path.read_text() == "{}"
