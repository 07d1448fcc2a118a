"""A stage without the door `wait` has no trace of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.app import ASKING, PATIENT, is_problem

if TYPE_CHECKING:
    from tests.support.app import App


def test_no_create_is_redirected_and_nothing_has_a_watch_url(app: App) -> None:
    for headers in (PATIENT, ASKING, {"darkroom-wait": "anything"}):
        answer = app.submit(headers=headers)
        assert answer.status == 201
        assert "watch" not in answer.json["urls"]
    got = app.get(f"/v1/predictions/{answer.json['id']}").json
    assert "watch" not in got["urls"]
    assert got["darkroom"]["revision"] == answer.json["darkroom"]["revision"]


def test_the_paths_are_unknown(app: App) -> None:
    record = app.world.accept()
    for path in ("wait", "watch"):
        assert is_problem(app.get(f"/v1/predictions/{record.id}/{path}"), 404)
