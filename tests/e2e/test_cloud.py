"""The embedded cloud: completely deployed, authenticated, swept."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
from PIL import Image

from local.aws import WORKERS
from local.chaos import workers

if TYPE_CHECKING:
    from tests.e2e.driver import Driver


def test_tables_keep_the_ttl_that_cloudformation_drops(driver: Driver) -> None:
    dynamodb = driver.cloud.client("dynamodb")
    for table in ("PredictionsTable", "ControlsTable", "DeliveriesTable"):
        found = dynamodb.describe_time_to_live(TableName=driver.cloud.outputs[table])
        assert found["TimeToLiveDescription"] == {
            "TimeToLiveStatus": "ENABLED",
            "AttributeName": "expires_at",
        }


def test_functions_see_nothing_of_the_developers_shell(driver: Driver) -> None:
    variables = driver.cloud.client("lambda").get_function_configuration(
        FunctionName=driver.cloud.outputs["FunctionSubmit"]
    )["Environment"]["Variables"]
    assert variables["PUBLIC_URL"] == driver.cloud.base_url
    assert variables["REPLICATE_URL"] == driver.cloud.replicate_url
    assert driver.cloud.replicate_token not in str(variables)


def test_without_a_token_nothing_is_served(driver: Driver) -> None:
    for method, path in (
        ("GET", "/v1/predictions"),
        ("POST", "/v1/predictions"),
        ("POST", "/v1/files"),
        ("GET", "/v1/predictions/aaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ):
        answer = driver.anyone.request(method, path)
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_local_key_is_let_in(driver: Driver) -> None:
    assert driver.api.get("/v1/predictions").status_code == 200


def test_a_prediction_ends_as_a_picture_in_the_bucket(driver: Driver) -> None:
    created = driver.api.post(
        "/v1/models/black-forest-labs/flux-schnell/predictions",
        json={"input": {"prompt": "a lighthouse", "aspect_ratio": "3:2"}},
    )
    assert created.status_code == 201
    shown = driver.finished(created.json()["id"])
    assert shown["status"] == "succeeded", shown["error"]
    picture = httpx.get(shown["output"][0], trust_env=False, timeout=60)
    assert picture.status_code == 200
    (file,) = shown["darkroom"]["files"]
    assert hashlib.sha256(picture.content).hexdigest() == file["sha256"]
    with Image.open(io.BytesIO(picture.content)) as opened:
        assert (opened.format, opened.size) == ("WEBP", (1216, 832))
    stored = driver.cloud.client("s3").get_object(
        Bucket=driver.cloud.outputs["OutputsBucket"], Key=file["key"]
    )
    assert stored["Body"].read() == picture.content


def test_a_sweep_on_request_answers_when_it_is_done(driver: Driver) -> None:
    answer = driver.anyone.post("/_local/sweep")
    assert answer.status_code == 200
    assert answer.json()["ok"] is True


HOLD = """
import os, time
def handler(event, context):
    time.sleep(0.3)
    return [os.getpid(), context.get_remaining_time_in_millis()]
"""
HOLD_TIMEOUT_S = 2


def test_newcomer_bug_2_invocations_beyond_the_bound_lose_no_time(driver: Driver) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("hold.py", HOLD)
    functions = driver.cloud.client("lambda")
    functions.create_function(
        FunctionName="hold",
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/hold",
        Handler="hold.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=HOLD_TIMEOUT_S,
    )

    def invoke(_: int) -> list[int]:
        answer = functions.invoke(FunctionName="hold", Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()
        held: list[int] = json.loads(answer["Payload"].read())
        return held

    burst = 20  # Of one worker's six seconds, which exceeds the timeout.
    with ThreadPoolExecutor(burst) as pool:
        processes, left = zip(*pool.map(invoke, range(burst)), strict=True)
    assert len(set(processes)) <= WORKERS
    assert min(left) > 0


def test_newcomer_bug_2_a_burst_of_clients_succeeds_as_a_whole(driver: Driver) -> None:
    def run(number: int) -> str:
        created = driver.create(input={"prompt": f"one of many: {number}"})
        return str(driver.finished(created["id"])["status"])

    with ThreadPoolExecutor(12) as pool:
        assert Counter(pool.map(run, range(12))) == {"succeeded": 12}
    counted = Counter(worker.function for worker in workers())
    assert max(counted.values(), default=0) <= WORKERS, counted
