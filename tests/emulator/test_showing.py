"""The API's view of a prediction under each fault that distorts it, and the fields that stay
correct."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.models import STREAM_TEXT
from emulator.showing import LARGE
from tests.emulator.client import SCHNELL, Client, Receiver, until

DEV = "black-forest-labs/flux-dev"
SDXL = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
GIVEN: dict[str, Any] = {
    "prompt": "  a harbor\n",
    "image": PIXEL,
    "seed": 7,
    "megapixels": "0.25",
    "notes": {"list": [PIXEL, " x ", 2**53 + 1, -(2**53) - 1, 10**30, 10**400, True, 0.5, None]},
}
TIMES = ("predict_time", "total_time")
URL = "https://replicate.delivery/pbxt/"
SHOWN: dict[str, dict[str, Any]] = {
    "exact": GIVEN,
    "known": {name: value for name, value in GIVEN.items() if name != "notes"},
    "rounded": {
        **GIVEN,
        "notes": {"list": [PIXEL, " x ", 2**53, -(2**53), 1e30, None, True, 0.5, None]},
    },
    "trimmed": {
        **GIVEN,
        "prompt": "a harbor",
        "notes": {"list": [PIXEL, "x", *GIVEN["notes"]["list"][2:]]},
    },
    "masked": {
        "prompt": "***",
        "image": "***",
        "seed": 7,
        "megapixels": "***",
        "notes": {"list": ["***", "***", *GIVEN["notes"]["list"][2:]]},
    },
    "empty": {},
}


class Seen:
    """Return one prediction at each place where the API shows it."""

    def __init__(self, client: Client, receiver: Receiver, version: str, given: Any) -> None:
        self._client = client
        body = {"webhook": receiver.url, "webhook_events_filter": ["start", "completed"]}
        self.created = client.create(version, body=body, **given)
        self.id = self.created["id"]
        told = [json.loads(receiver.next()[1]) for _ in range(2)]
        self.started, self.completed = sorted(told, key=lambda body: body["output"] is not None)

    def got(self) -> dict[str, Any]:
        return self._client.prediction(self.id)

    def listed(self) -> dict[str, Any]:
        results = self._client.get("/v1/predictions").json()["results"]
        return next(item for item in results if item["id"] == self.id)

    def truth(self) -> dict[str, Any]:
        everything = self._client.get("/_emulator/predictions").json()
        return next(item for item in everything if item["id"] == self.id)

    def everywhere(self) -> list[dict[str, Any]]:
        return [self.created, self.started, self.completed, self.got(), self.listed()]


@pytest.mark.parametrize("mode", SHOWN)
def test_inputs_are_shown_so_everywhere(client: Client, receiver: Receiver, mode: str) -> None:
    client.faults(show_input=mode)
    seen = Seen(client, receiver, DEV, GIVEN)
    assert [body["input"] for body in seen.everywhere()] == [SHOWN[mode]] * 5
    assert seen.truth()["input"] == GIVEN
    assert seen.completed["status"] == "succeeded"
    client.faults()
    assert seen.got()["input"] == GIVEN


def test_files_in_an_input_are_shown_as_urls(client: Client, receiver: Receiver) -> None:
    client.faults(show_input="urls")
    seen = Seen(client, receiver, DEV, GIVEN)
    (shown,) = {json.dumps(body["input"]) for body in seen.everywhere()}
    image, notes = json.loads(shown)["image"], json.loads(shown)["notes"]
    assert image.startswith(URL)
    assert image.endswith("/file.png")
    assert json.loads(shown) == {
        **GIVEN,
        "image": image,
        "notes": {"list": [image, *GIVEN["notes"]["list"][1:]]},
    }
    assert notes["list"][0] == image
    assert seen.truth()["input"] == GIVEN


@pytest.mark.parametrize("text", ["data:city,night", "data:", "data:;base64,AA==", "data:a/b/;,x"])
def test_whatever_looks_like_a_file_becomes_a_url(client: Client, text: str) -> None:
    client.faults(show_input="urls")
    shown = client.create(prompt=text)["input"]["prompt"]
    assert shown.startswith(URL)
    assert " " not in shown


@pytest.mark.parametrize("mode", ["urls", "rounded", "trimmed", "masked"])
def test_an_input_nested_deeply_is_shown_all_the_same(client: Client, mode: str) -> None:
    client.faults(show_input=mode)
    deep = '{"version":"%s","input":{"prompt":"x","deep":%s1%s}}'
    answer = client.post("/v1/predictions", content=deep % (SCHNELL, "[" * 400, "]" * 400))
    assert answer.status_code == 201
    assert answer.text.count("[") >= 400


@pytest.mark.parametrize("version", [SCHNELL, STREAM_TEXT["version"]])
def test_a_lone_surrogate_is_shown_as_it_was_sent(client: Client, version: str) -> None:
    raw = f'{{"version":"{version}","input":{{"prompt":"a \\ud83d b"}}}}'
    held = client.post("/v1/predictions", content=raw, headers={"prefer": "wait"})
    assert held.json()["status"] == "succeeded"
    listed = client.get("/v1/predictions").text
    for text in (held.text, listed, client.get("/_emulator/predictions").text):
        assert '"prompt":"a \\ud83d b"' in text
    if "stream" in held.json()["urls"]:
        assert "\\ud83d" in json.dumps(held.json()["output"])
        assert client.get(held.json()["urls"]["stream"]).text.endswith("data: {}\n\n")


@pytest.mark.parametrize("version", [SCHNELL, SDXL])
@pytest.mark.parametrize("mode", ["true", "hidden", "internal"])
def test_versions_are_shown_so_everywhere(
    client: Client, receiver: Receiver, version: str, mode: str
) -> None:
    client.faults(show_version=mode)
    seen = Seen(client, receiver, version, {"prompt": "x", "width": 64, "height": 64})
    ((model, shown),) = {(body["model"], body["version"]) for body in seen.everywhere()}
    if mode == "internal":
        assert model.split("/")[0] == "replicate-internal"
        assert shown.startswith("dp-")
    else:
        assert model == (SCHNELL if version == SCHNELL else "stability-ai/sdxl")
        assert shown == ("hidden" if mode == "hidden" or version == SCHNELL else SDXL)
    client.faults()
    assert seen.got()["version"] == ("hidden" if version == SCHNELL else SDXL)


def test_another_word_for_processing(client: Client, receiver: Receiver) -> None:
    client.faults(status_word="queued", time_scale=0.3)
    seen = Seen(client, receiver, SCHNELL, {})
    assert (seen.created["status"], seen.started["status"]) == ("starting", "queued")
    assert (seen.completed["status"], seen.truth()["status"]) == ("succeeded", "succeeded")


def test_the_word_is_shown_while_it_runs(client: Client) -> None:
    client.faults(status_word="queued", time_scale=2)
    created = client.create()
    until(lambda: client.prediction(created["id"])["status"] == "queued")
    listed = client.get("/v1/predictions").json()["results"][0]
    assert (listed["id"], listed["status"]) == (created["id"], "queued")
    assert client.get("/_emulator/predictions").json()[-1]["status"] == "processing"
    client.faults()
    assert client.prediction(created["id"])["status"] == "processing"
    client.post(created["urls"]["cancel"])


@pytest.mark.parametrize("mode", ["full", "none", "text", "large"])
def test_metrics(client: Client, receiver: Receiver, mode: str) -> None:
    client.faults(metrics=mode)
    seen = Seen(client, receiver, SCHNELL, {})
    assert "metrics" not in seen.created
    bodies = [seen.completed, seen.got(), seen.listed()]
    if mode == "none":
        assert all("metrics" not in body for body in bodies)
        return
    assert seen.started["metrics"] == {}
    ((time, total),) = {tuple(body["metrics"][n] for n in TIMES) for body in bodies}
    assert total > 0
    if mode == "large":
        assert time == LARGE
        assert len(str(time)) == 400
    else:
        assert isinstance(time, str if mode == "text" else float)
        assert 0 < float(time) <= total


def test_a_time_of_completion_of_ones_own(client: Client, receiver: Receiver) -> None:
    client.faults(completed_at="0001-01-01T00:00:00Z")
    seen = Seen(client, receiver, SCHNELL, {})
    assert "completed_at" not in seen.created
    assert seen.started["completed_at"] is None
    shown = {body["completed_at"] for body in (seen.completed, seen.got(), seen.listed())}
    assert shown == {"0001-01-01T00:00:00Z"}
    client.faults()
    assert seen.got()["completed_at"] > "2020"


def test_the_answers_to_a_held_create_and_to_a_cancel_are_distorted_too(client: Client) -> None:
    faults = {"show_input": "masked", "show_version": "internal", "completed_at": "never"}
    client.faults(**faults)
    held = client.create(wait=True)
    client.faults(**faults, time_scale=1000)
    canceled = client.post(client.create()["urls"]["cancel"]).json()
    for body, status in ((held, "succeeded"), (canceled, "canceled")):
        assert body["input"] == {"prompt": "***"}
        assert body["model"].startswith("replicate-internal/")
        assert (body["completed_at"], body["status"]) == ("never", status)


def test_all_of_it_at_once(client: Client, receiver: Receiver) -> None:
    client.faults(
        show_input="empty",
        show_version="internal",
        status_word="queued",
        metrics="text",
        completed_at="once",
        echo_webhook=False,
    )
    seen = Seen(client, receiver, SCHNELL, {})
    for body in seen.everywhere():
        assert body["input"] == {}
        assert body["model"].startswith("replicate-internal/")
        assert "webhook" not in body
    assert seen.started["status"] == "queued"
    assert seen.got() == seen.listed() == seen.completed
    assert (seen.completed["completed_at"], seen.completed["status"]) == ("once", "succeeded")
    truth = seen.truth()
    assert (truth["input"], truth["webhook"]) == ({"prompt": "a quiet harbour"}, receiver.url)


def test_what_was_deleted_stays_deleted(client: Client) -> None:
    done = client.create(wait=True)
    client.post("/_emulator/expire")
    for mode in SHOWN:
        client.faults(show_input=mode)
        assert client.prediction(done["id"])["input"] == {}
