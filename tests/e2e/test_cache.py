"""The result cache on the embedded cloud: a hit has its own bytes, its own callback and event."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from ops.keys import put_key
from tests.e2e.driver import SCHNELL
from tests.e2e.receiver import receiving
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.e2e.driver import Driver

OTHERS_TOKEN = "dk_cache_" + "o" * 40


@pytest.fixture
def other(driver: Driver) -> httpx.Client:
    """A client of another tenant."""
    put_key(
        driver.cloud.client("dynamodb"),
        driver.cloud.outputs["ControlsTable"],
        OTHERS_TOKEN,
        tenant="other",
    )
    return driver.client(OTHERS_TOKEN)


@pytest.fixture
def events(driver: Driver) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Returns every event on the bus during the test, as a client's own rule receives them."""
    sqs, bus = driver.cloud.client("sqs"), driver.cloud.client("events")
    url = sqs.create_queue(QueueName="cache-events")["QueueUrl"]
    names = ["QueueArn"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["QueueArn"]
    where = {"EventBusName": driver.cloud.outputs["EventBus"]}
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


def ask(
    driver: Driver,
    prompt: str,
    cache: str | None = None,
    api: httpx.Client | None = None,
    **body: Any,
) -> dict[str, Any]:
    """A prediction whose result may be known: of a fixed seed, if the body names no input."""
    given = {"prompt": prompt, "megapixels": "0.25", **body.pop("input", {"seed": 7})}
    headers = {"Darkroom-Cache": cache} if cache else None
    return driver.create(input=given, headers=headers, api=api, **body)


def made(driver: Driver, prompt: str, **body: Any) -> dict[str, Any]:
    """A prediction whose result is noted for others."""
    shown = driver.finished(ask(driver, prompt, **body)["id"])
    assert shown["status"] == "succeeded"
    driver.handed_on(shown["id"])
    return shown


def source_of(shown: dict[str, Any]) -> str | None:
    source: str | None = shown["darkroom"]["cached_from"]
    return source


def test_a_hit_is_the_finished_result_in_bytes_of_its_own(driver: Driver) -> None:
    first = made(driver, "cached", input={"seed": 7, "num_outputs": 2})
    again = ask(driver, "cached", input={"seed": 7, "num_outputs": 2})
    assert again["status"] == "succeeded"
    assert source_of(again) == first["id"]
    assert again["darkroom"]["cost"] == 0
    assert again["metrics"] == first["metrics"]
    assert len(driver.made_of("cached")) == 1
    bucket, s3 = driver.cloud.outputs["OutputsBucket"], driver.cloud.client("s3")
    for file in first["darkroom"]["files"]:
        s3.delete_object(Bucket=bucket, Key=file["key"])
    shown = driver.api.get(f"/v1/predictions/{again['id']}").json()
    assert len(shown["output"]) == 2
    for url, file in zip(shown["output"], shown["darkroom"]["files"], strict=True):
        assert again["id"] in file["key"]
        answer = driver.api.get(url)
        assert answer.status_code == 200
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
        assert answer.headers["content-type"] == file["content_type"]
        assert answer.headers["content-disposition"] == "attachment"


def test_a_hit_is_called_back_and_published_once_and_never_started(
    driver: Driver, events: Callable[[], list[dict[str, Any]]]
) -> None:
    made(driver, "cached and told")
    with receiving() as receiver:
        told: dict[str, Any] = {
            "webhook": receiver.url,
            "webhook_events_filter": ["start", "completed"],
        }
        hit = ask(driver, "cached and told", **told)
        assert hit["status"] == "succeeded"
        until(lambda: driver.callback_state(hit["id"]) == "delivered")
        driver.handed_on(hit["id"])
        until(lambda: any(event["detail"]["id"] == hit["id"] for event in events()))
        assert receiver.ids == [f"{hit['id']}_completed"]
        assert receiver.bodies[0]["darkroom"]["cached_from"] == source_of(hit)
    about = [event for event in events() if event["detail"]["id"] == hit["id"]]
    assert [event["detail-type"] for event in about] == ["Prediction Succeeded"]


def test_who_gets_a_stored_result(driver: Driver, other: httpx.Client) -> None:
    first = made(driver, "cached for one tenant")
    assert source_of(ask(driver, "cached for one tenant", api=other)) is None
    # Its own first one may have ended by now.
    assert source_of(ask(driver, "cached for one tenant", "reuse", other)) != first["id"]
    assert source_of(ask(driver, "cached for one tenant", "bypass")) is None
    assert source_of(ask(driver, "cached for one tenant", input={"seed": 8})) is None
    unseeded = made(driver, "cached without a seed", input={})
    another = ask(driver, "cached without a seed", input={})
    assert source_of(another) is None
    reused = ask(driver, "cached without a seed", "reuse", input={})
    # The other one may have ended meanwhile, and taken the first one's place.
    sources = {one["id"]: driver.shown(one["id"]) for one in (unseeded, another)}
    assert reused["input"]["seed"] == sources[str(source_of(reused))]["input"]["seed"]
    by_name = driver.api.post(
        f"/v1/models/{SCHNELL}/predictions",
        json={"input": {"seed": 7, "megapixels": "0.25", "prompt": "cached for one tenant"}},
        headers={"Darkroom-Cache": "reuse"},
    ).json()
    assert source_of(by_name) is not None
    assert by_name["input"] == first["input"]


def test_a_result_whose_files_are_gone_is_made_anew(driver: Driver) -> None:
    first = made(driver, "cached and lost")
    for file in first["darkroom"]["files"]:
        driver.cloud.client("s3").delete_object(
            Bucket=driver.cloud.outputs["OutputsBucket"], Key=file["key"]
        )
    second = made(driver, "cached and lost")
    assert source_of(second) is None
    assert source_of(ask(driver, "cached and lost")) == second["id"]


def test_an_unknown_word_is_refused(driver: Driver) -> None:
    body = {"version": SCHNELL, "input": {"prompt": "p"}}
    answer = driver.api.post("/v1/predictions", json=body, headers={"Darkroom-Cache": "always"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
