"""The embedded cloud as it stands: deployed whole, authenticated, swept."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import httpx
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.cloud import EmbeddedCloud


def test_tables_keep_the_ttl_that_cloudformation_drops(cloud: EmbeddedCloud) -> None:
    dynamodb = cloud.client("dynamodb")
    for table in ("PredictionsTable", "ControlsTable", "DeliveriesTable"):
        found = dynamodb.describe_time_to_live(TableName=cloud.outputs[table])
        assert found["TimeToLiveDescription"] == {
            "TimeToLiveStatus": "ENABLED",
            "AttributeName": "expires_at",
        }


def test_functions_see_nothing_of_the_developers_shell(cloud: EmbeddedCloud) -> None:
    variables = cloud.client("lambda").get_function_configuration(
        FunctionName=cloud.outputs["FunctionSubmit"]
    )["Environment"]["Variables"]
    assert variables["PUBLIC_URL"] == cloud.base_url
    assert variables["REPLICATE_URL"] == cloud.replicate_url
    assert cloud.replicate_token not in str(variables)


def test_without_a_token_nothing_is_served(anyone: httpx.Client) -> None:
    for method, path in (
        ("GET", "/v1/predictions"),
        ("POST", "/v1/predictions"),
        ("POST", "/v1/files"),
        ("GET", "/v1/predictions/aaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ):
        answer = anyone.request(method, path)
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_local_key_is_let_in(api: httpx.Client) -> None:
    assert api.get("/v1/predictions").status_code == 200


def test_a_prediction_ends_as_a_picture_in_the_bucket(
    cloud: EmbeddedCloud, api: httpx.Client, finished: Callable[..., dict[str, Any]]
) -> None:
    created = api.post(
        "/v1/models/black-forest-labs/flux-schnell/predictions",
        json={"input": {"prompt": "a lighthouse", "aspect_ratio": "3:2"}},
    )
    assert created.status_code == 201
    shown = finished(created.json()["id"])
    assert shown["status"] == "succeeded", shown["error"]
    picture = httpx.get(shown["output"][0], trust_env=False)
    assert picture.status_code == 200
    (file,) = shown["darkroom"]["files"]
    assert hashlib.sha256(picture.content).hexdigest() == file["sha256"]
    with Image.open(io.BytesIO(picture.content)) as opened:
        assert (opened.format, opened.size) == ("WEBP", (1216, 832))
    stored = cloud.client("s3").get_object(Bucket=cloud.outputs["OutputsBucket"], Key=file["key"])
    assert stored["Body"].read() == picture.content


def test_a_sweep_on_request_answers_when_it_is_done(anyone: httpx.Client) -> None:
    answer = anyone.post("/_local/sweep")
    assert answer.status_code == 200
    assert answer.json()["ok"] is True
