"""The life cycle of a prediction, its stream and its data."""

from __future__ import annotations

import json

import httpx
import pytest

from emulator.models import STREAM_TEXT
from emulator.server import running
from tests.emulator.client import SCHNELL, TOKEN, Client, until


def test_states_are_passed_in_order(client: Client) -> None:
    client.faults(time_scale=0.1)
    prediction = client.create()
    seen = [prediction["status"]]

    def look() -> bool:
        status = client.prediction(prediction["id"])["status"]
        if status != seen[-1]:
            seen.append(status)
        return status == "succeeded"

    until(look)
    assert seen == ["starting", "processing", "succeeded"]


def test_model_failures(client: Client) -> None:
    nsfw = client.create(wait=True, prompt="something NSFW")
    assert (nsfw["status"], nsfw["output"]) == ("failed", None)
    assert nsfw["error"].startswith("All generated images contained NSFW content.")
    failed = client.create(wait=True, prompt="please FAIL")
    assert failed["error"].startswith("(E1001)")


@pytest.mark.parametrize(
    ("image", "error"),
    [
        ("http://127.0.0.1:1/x.png", "Could not download image from 127.0.0.1:1: ConnectError."),
        ("data:image/png;base64,AAAA", "Could not read image: cannot identify image file."),
        ("data:image/png;base64,A", "Could not read image: not a valid data URI."),
        ("http://x:y/", "Could not download image from x:y: InvalidURL."),
    ],
)
def test_inputs_that_cannot_be_had(client: Client, image: str, error: str) -> None:
    body = client.create("black-forest-labs/flux-dev", wait=True, image=image)
    assert (body["status"], body["error"]) == ("failed", error)


def test_input_that_answers_404(client: Client) -> None:
    image = f"{client.base_url}/outputs/gone/out-0.png"
    body = client.create("black-forest-labs/flux-dev", wait=True, image=image)
    assert body["error"] == "Could not download image: HTTP 404."


def test_integers_may_be_written_as_floats(client: Client) -> None:
    body = client.create(wait=True, num_outputs=2.0, seed=5.0)
    assert len(body["output"]) == 2
    assert "Using seed: 5\n" in body["logs"]


def test_deadline_before_and_after_the_start() -> None:
    with running(token=TOKEN) as emulator, Client(emulator.url) as client:
        # Two models whose start is after and before the shortest possible deadline.
        client.faults(time_scale=10)
        slow, quick = (
            client.post(
                "/v1/predictions",
                json={"version": name, "input": {"prompt": "x"}},
                headers={"cancel-after": "5"},
            ).json()["id"]
            for name in ("black-forest-labs/flux-pro", SCHNELL)
        )
        until(lambda: client.prediction(slow)["completed_at"])
        until(lambda: client.prediction(quick)["completed_at"])
        aborted, canceled = client.prediction(slow), client.prediction(quick)
    assert (aborted["status"], aborted["started_at"]) == ("aborted", None)
    assert canceled["status"] == "canceled"
    assert canceled["started_at"]


def test_expiry_deletes_outputs_and_inputs(client: Client) -> None:
    done = client.create(wait=True, prompt="soon gone")
    assert client.get(done["output"][0]).status_code == 200
    assert client.post("/_emulator/expire").status_code == 200
    after = client.prediction(done["id"])
    assert (after["output"], after["data_removed"], after["input"], after["logs"]) == (
        None,
        True,
        {},
        None,
    )
    assert after["status"] == "succeeded"
    assert client.get(done["output"][0]).status_code == 404
    kept = next(p for p in client.get("/_emulator/predictions").json() if p["id"] == done["id"])
    assert kept == {
        "id": done["id"],
        "status": "succeeded",
        "input": {"prompt": "soon gone"},
        "webhook": None,
        "created_at": done["created_at"],
        "billed": 0.003,
    }


def test_data_expires_by_itself() -> None:
    with running(token=TOKEN, retention_s=0.1) as emulator, Client(emulator.url) as client:
        client.faults()
        done = client.create(wait=True)
        until(lambda: client.prediction(done["id"])["data_removed"])
        assert client.get(done["output"][0]).status_code == 404


def events(text: str) -> list[dict[str, str]]:
    def read(block: str) -> dict[str, str]:
        return dict(line.split(": ", 1) for line in block.split("\n"))

    return [read(block) for block in text.strip("\n").split("\n\n")]


def test_stream(client: Client) -> None:
    created = client.create(STREAM_TEXT["version"], prompt="a boat", max_tokens=5)
    # The URL is the capability: no token is sent.
    response = httpx.get(created["urls"]["stream"], trust_env=False, timeout=60)
    assert response.headers["content-type"].startswith("text/event-stream")
    received = events(response.text)
    assert all(event["id"] for event in received)
    assert [event["event"] for event in received] == ["output"] * 5 + ["done"]
    text = "".join(event["data"] for event in received if event["event"] == "output")
    assert text == "You asked for a boat."
    assert received[-1]["data"] == "{}"
    assert "".join(client.prediction(created["id"])["output"]) == text
    assert client.get("/v1/streams/nope").status_code == 404


def test_stream_of_a_failure_and_of_a_cancel(client: Client) -> None:
    failing = client.create(STREAM_TEXT["version"], prompt="FAIL")
    error, done = events(client.get(failing["urls"]["stream"]).text)
    assert error["event"] == "error"
    assert "E1001" in json.loads(error["data"])["detail"]
    assert json.loads(done["data"]) == {"reason": "error"}
    client.faults(time_scale=1000)
    running_one = client.create(STREAM_TEXT["version"])
    client.post(running_one["urls"]["cancel"])
    (last,) = events(client.get(running_one["urls"]["stream"]).text)
    assert json.loads(last["data"]) == {"reason": "canceled"}
