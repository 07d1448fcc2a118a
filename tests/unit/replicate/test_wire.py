"""A record in Replicate's format."""

from __future__ import annotations

from typing import Any

import pytest
from darkroom.domain.details import STATUS, details
from darkroom.domain.prediction import Code, CreateAttempt, CreateState, File, State
from darkroom.replicate.wire import body

from tests.support.records import ID, PID, accepted

FILE = File("acme/2027/01/x/0.png", "f" * 64, 12, "image/png", 2, 3)


def shown(output_urls: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    return body(
        accepted(**changes),
        public_url="https://darkroom.test",
        output_urls=output_urls or [],
        upload_urls={"/image": "https://uploads.test/1"},
    )


def test_a_new_prediction() -> None:
    assert shown() == {
        "id": ID,
        "model": "owner/name",
        "version": "hidden",
        "input": {"prompt": "a corgi", "image": "https://uploads.test/1"},
        "output": None,
        "logs": "",
        "error": None,
        "status": "starting",
        "created_at": "2027-01-15T08:00:00.000Z",
        "deadline": "2027-01-15T08:30:00.000Z",
        "data_removed": False,
        "source": "api",
        "metrics": {},
        "urls": {
            "get": f"https://darkroom.test/v1/predictions/{ID}",
            "cancel": f"https://darkroom.test/v1/predictions/{ID}/cancel",
            "web": f"https://darkroom.test/v1/predictions/{ID}",
        },
        "darkroom": details(accepted()),
    }


def test_what_a_new_prediction_shows_beside_the_providers_own_fields() -> None:
    expected = {
        "state": "accepted",
        "code": None,
        "provider_id": None,
        "attempts": 1,
        "cost": None,
        "cost_assumed": False,
        "cached_from": None,
        "files": [],
    }
    assert expected.items() <= details(accepted()).items()


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_one_of_the_statuses_that_old_clients_know(state: State) -> None:
    expected = {"starting", "processing", "succeeded", "failed", "canceled"}
    assert STATUS[state] in expected
    assert shown(state=state)["status"] == STATUS[state]


def test_a_finished_prediction() -> None:
    found = shown(
        ["https://outputs.test/0"],
        state=State.SUCCEEDED,
        version="f" * 64,
        provider_id=PID,
        output=["data:"],
        files=(FILE,),
        metrics={"predict_time": 1.5},
        started_at="s",
        completed_at="c",
        stream_url="https://stream.test",
        webhook="https://client.test",
        create=CreateAttempt(3, CreateState.IN_FLIGHT, 0, 0),
    )
    assert found["output"] == ["https://outputs.test/0"]
    assert found["version"] == "f" * 64
    assert found["metrics"] == {"predict_time": 1.5}
    assert (found["started_at"], found["completed_at"]) == ("s", "c")
    assert found["urls"]["stream"] == "https://stream.test"
    assert found["webhook"] == "https://client.test"
    details = found["darkroom"]
    assert (details["provider_id"], details["attempts"]) == (PID, 3)
    assert details["files"] == [
        {
            "key": FILE.key,
            "sha256": FILE.sha256,
            "bytes": 12,
            "content_type": "image/png",
            "width": 2,
            "height": 3,
        }
    ]


@pytest.mark.parametrize("state", [s for s in State if s is not State.SUCCEEDED])
def test_the_providers_own_urls_are_never_shown(state: State) -> None:
    found = shown(state=state, output=["https://replicate.delivery/0"], completed_at="c")
    assert "replicate.delivery" not in str(found)
    assert ("completed_at" in found) is state.terminal


@pytest.mark.parametrize("started_at", [None, "2027-01-15T08:00:01Z"])
def test_oracles_f6_a_time_is_left_out_until_it_is_known(started_at: str | None) -> None:
    """As on Replicate, whose document has both times as texts that may be absent."""
    found = shown(state=State.PROCESSING, started_at=started_at)
    assert found.get("started_at", None) == started_at
    assert None not in (found.get("started_at", ""), found.get("completed_at", ""))
    assert "completed_at" not in found


def test_a_failure_says_why() -> None:
    found = shown(state=State.FAILED, error="no", code=Code.REJECTED)
    assert (found["error"], found["darkroom"]["code"]) == ("no", "rejected")
