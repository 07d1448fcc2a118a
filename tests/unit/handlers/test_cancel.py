"""POST /v1/predictions/{id}/cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.app import OTHER, READER, is_problem

if TYPE_CHECKING:
    from tests.support.app import App


def test_a_running_prediction_is_cancelled_upstream(app: App) -> None:
    record = app.world.accept()
    answer = app.cancel(record.id)
    assert answer.status == 200
    assert answer.json["status"] == "canceled"
    assert app.world.provider.cancels == [record.provider_id]


def test_cancelling_again_changes_nothing(app: App) -> None:
    record = app.world.accept()
    first = app.cancel(record.id)
    assert app.cancel(record.id) == first
    assert len(app.world.provider.cancels) == 1


def test_while_the_provider_is_away_the_wish_is_kept(app: App) -> None:
    record = app.world.accept()
    app.world.provider.down = True
    answer = app.cancel(record.id)
    assert answer.status == 200
    assert answer.json["status"] == "starting"
    assert app.world.record(record.id).cancel_requested_at is not None


def test_what_was_never_sent_is_cancelled_at_once(app: App) -> None:
    app.world.provider.answers = ["refuse"]
    record = app.world.accept()
    assert app.cancel(record.id).json["status"] == "canceled"
    assert app.world.provider.cancels == []


def test_a62_another_tenants_prediction_is_an_unknown_one(app: App) -> None:
    record = app.world.accept()
    before = app.world.record(record.id)
    app.world.cancel.limits.of("other")  # Read once in half a minute, for any request.
    seen = []
    for id_ in (record.id, "0" * 26):
        app.calls.clear()
        seen.append((app.cancel(id_, OTHER), dict(app.calls)))
    assert seen[0] == seen[1]
    assert is_problem(seen[0][0], 404)
    assert app.world.record(record.id) == before


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("dk_unknown", 401), (READER, 403)])
def test_who_may_not_cancel(app: App, token: str | None, status: int) -> None:
    record = app.world.accept()
    assert is_problem(app.cancel(record.id, token), status)
    assert app.world.provider.cancels == []
    assert app.world.record(record.id) == record
