"""The result cache on the embedded cloud: a hit has its own bytes, its own callback and event."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ops.keys import put_key
from tests.e2e.test_callbacks import receiving, state
from tests.e2e.test_creates import SCHNELL
from tests.e2e.test_operations import record
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.cloud import EmbeddedCloud

OTHERS_TOKEN = "dk_cache_" + "o" * 40


@pytest.fixture
def other(cloud: EmbeddedCloud) -> Iterator[httpx.Client]:
    """A client of another tenant."""
    put_key(cloud.client("dynamodb"), cloud.outputs["ControlsTable"], OTHERS_TOKEN, tenant="other")
    headers = {"Authorization": f"Bearer {OTHERS_TOKEN}"}
    with httpx.Client(
        base_url=cloud.base_url, headers=headers, trust_env=False, timeout=60
    ) as client:
        yield client


@pytest.fixture
def events(cloud: EmbeddedCloud) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Returns every event on the bus during the test, as a client's own rule receives them."""
    sqs, bus = cloud.client("sqs"), cloud.client("events")
    url = sqs.create_queue(QueueName="cache-events")["QueueUrl"]
    names = ["QueueArn"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["QueueArn"]
    where = {"EventBusName": cloud.outputs["EventBus"]}
    pattern = json.dumps({"source": [{"prefix": ""}]})
    bus.put_rule(Name="cache-events", EventPattern=pattern, **where)
    bus.put_targets(Rule="cache-events", Targets=[{"Id": "queue", "Arn": arn}], **where)
    seen: list[dict[str, Any]] = []

    def read() -> list[dict[str, Any]]:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        seen.extend(json.loads(message["Body"]) for message in got)
        for message in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return seen

    yield read
    bus.remove_targets(Rule="cache-events", Ids=["queue"], **where)
    bus.delete_rule(Name="cache-events", **where)
    sqs.delete_queue(QueueUrl=url)


def ask(api: httpx.Client, prompt: str, cache: str | None = None, **body: Any) -> dict[str, Any]:
    input_ = {"prompt": prompt, "megapixels": "0.25", **body.pop("input", {"seed": 7})}
    answer = api.post(
        "/v1/predictions",
        json={"version": SCHNELL, "input": input_, **body},
        headers={"Darkroom-Cache": cache} if cache else {},
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.fixture
def made(
    api: httpx.Client, cloud: EmbeddedCloud, finished: Callable[..., dict[str, Any]]
) -> Callable[..., dict[str, Any]]:
    """Makes a prediction whose result is cached."""

    def make(prompt: str, **body: Any) -> dict[str, Any]:
        shown = finished(ask(api, prompt, **body)["id"])
        assert shown["status"] == "succeeded"
        until(lambda: "due_at" not in record(cloud, shown["id"]))
        return shown

    return make


def source_of(shown: dict[str, Any]) -> str | None:
    source: str | None = shown["darkroom"]["cached_from"]
    return source


def test_a_hit_is_the_finished_result_in_bytes_of_its_own(
    api: httpx.Client,
    cloud: EmbeddedCloud,
    made: Callable[..., dict[str, Any]],
    upstream: Callable[[], list[dict[str, Any]]],
) -> None:
    first = made("cached", input={"seed": 7, "num_outputs": 2})
    again = ask(api, "cached", input={"seed": 7, "num_outputs": 2})
    assert again["status"] == "succeeded"
    assert source_of(again) == first["id"]
    assert again["darkroom"]["cost"] == 0
    assert again["metrics"] == first["metrics"]
    assert [m["input"].get("prompt") for m in upstream()].count("cached") == 1
    bucket, s3 = cloud.outputs["OutputsBucket"], cloud.client("s3")
    for file in first["darkroom"]["files"]:
        s3.delete_object(Bucket=bucket, Key=file["key"])
    shown = api.get(f"/v1/predictions/{again['id']}").json()
    assert len(shown["output"]) == 2
    for url, file in zip(shown["output"], shown["darkroom"]["files"], strict=True):
        assert again["id"] in file["key"]
        answer = api.get(url)
        assert answer.status_code == 200
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
        assert answer.headers["content-type"] == file["content_type"]
        assert answer.headers["content-disposition"] == "attachment"


def test_a_hit_is_called_back_and_published_once_and_never_started(
    api: httpx.Client,
    cloud: EmbeddedCloud,
    made: Callable[..., dict[str, Any]],
    events: Callable[[], list[dict[str, Any]]],
) -> None:
    made("cached and told")
    with receiving() as receiver:
        told: dict[str, Any] = {
            "webhook": receiver.url,
            "webhook_events_filter": ["start", "completed"],
        }
        hit = ask(api, "cached and told", **told)
        assert hit["status"] == "succeeded"
        until(lambda: state(api, hit["id"]) == "delivered")
        until(lambda: "due_at" not in record(cloud, hit["id"]))
        until(lambda: any(event["detail"]["id"] == hit["id"] for event in events()))
        assert receiver.ids == [f"{hit['id']}_completed"]
        assert receiver.bodies[0]["darkroom"]["cached_from"] == source_of(hit)
    about = [event for event in events() if event["detail"]["id"] == hit["id"]]
    assert [event["detail-type"] for event in about] == ["Prediction Succeeded"]


def test_who_gets_a_stored_result(
    api: httpx.Client, other: httpx.Client, made: Callable[..., dict[str, Any]]
) -> None:
    first = made("cached for one tenant")
    assert source_of(ask(other, "cached for one tenant")) is None
    # Its own first one may have ended by now.
    assert source_of(ask(other, "cached for one tenant", "reuse")) != first["id"]
    assert source_of(ask(api, "cached for one tenant", "bypass")) is None
    assert source_of(ask(api, "cached for one tenant", input={"seed": 8})) is None
    unseeded = made("cached without a seed", input={})
    assert source_of(ask(api, "cached without a seed", input={})) is None
    reused = ask(api, "cached without a seed", "reuse", input={})
    assert source_of(reused) is not None
    assert reused["input"]["seed"] == unseeded["input"]["seed"]
    by_name = api.post(
        f"/v1/models/{SCHNELL}/predictions",
        json={"input": {"seed": 7, "megapixels": "0.25", "prompt": "cached for one tenant"}},
        headers={"Darkroom-Cache": "reuse"},
    ).json()
    assert source_of(by_name) is not None
    assert by_name["input"] == first["input"]


def test_a_result_whose_files_are_gone_is_made_anew(
    api: httpx.Client,
    cloud: EmbeddedCloud,
    made: Callable[..., dict[str, Any]],
) -> None:
    first = made("cached and lost")
    for file in first["darkroom"]["files"]:
        cloud.client("s3").delete_object(Bucket=cloud.outputs["OutputsBucket"], Key=file["key"])
    second = made("cached and lost")
    assert source_of(second) is None
    assert source_of(ask(api, "cached and lost")) == second["id"]


def test_an_unknown_word_is_refused(api: httpx.Client) -> None:
    body = {"version": SCHNELL, "input": {"prompt": "p"}}
    answer = api.post("/v1/predictions", json=body, headers={"Darkroom-Cache": "always"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
