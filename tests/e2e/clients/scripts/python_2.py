"""Every method of Replicate's Python client 2.x against Darkroom; one JSON line for each."""

from __future__ import annotations

import io
import os
import time
import warnings
from pathlib import Path
from typing import Any

import replicate
from checks import (
    CALLBACKS_URL,
    INPUT,
    LISTING_TOKEN,
    PICTURE,
    SCHNELL,
    SDXL,
    SDXL_INPUT,
    SDXL_VERSION,
    STREAMING,
    THROTTLED_URL,
    TOKEN,
    URL,
    callback,
    raises,
    refused,
    run,
    works,
)
from replicate import AsyncReplicate, Replicate
from replicate.lib._files import AsyncFileOutput, FileOutput

warnings.simplefilter("ignore", DeprecationWarning)
# `use` and `stream` create their own client.
os.environ |= {"REPLICATE_API_TOKEN": TOKEN, "REPLICATE_BASE_URL": f"{URL}/v1"}
client = Replicate(bearer_token=TOKEN, base_url=f"{URL}/v1")
twin = AsyncReplicate(bearer_token=TOKEN, base_url=f"{URL}/v1")
SDXL_PINNED = f"{SDXL}:{SDXL_VERSION}"
SDXL_PATH = {"model_owner": "stability-ai", "model_name": "sdxl"}
SCHNELL_PATH = {"model_owner": "black-forest-labs", "model_name": "flux-schnell"}


def explain(error: Exception) -> tuple[int, str, str]:
    assert isinstance(error, replicate.APIStatusError), repr(error)
    body: Any = error.body
    return error.status_code, body["title"], body["detail"]


def is_picture(output: Any) -> bool:
    return isinstance(output, FileOutput) and output.read()[:4] in {b"RIFF", b"\x89PNG"}


# Running


@works("run")
def _() -> None:
    (output,) = client.run(SCHNELL, input=INPUT)
    assert is_picture(output)


@works("run (owner/name:version)")
def _() -> None:
    (output,) = client.run(SDXL_PINNED, input=SDXL_INPUT)
    assert is_picture(output)


@works("run (wait=False)")
def _() -> None:
    (output,) = client.run(SCHNELL, input=INPUT, wait=False)
    assert is_picture(output)


@works("run (hosted URL as input)")
def _() -> None:
    (made,) = client.run(SCHNELL, input=INPUT)
    (output,) = client.run(SDXL_PINNED, input={**SDXL_INPUT, "image": made.url})
    assert is_picture(output)


@works("run (local file as input)")
def _() -> None:
    with PICTURE.open("rb") as image:
        (output,) = client.run(SDXL_PINNED, input={**SDXL_INPUT, "image": image})
    assert is_picture(output)


@works("run (local file as data URI)")
def _() -> None:
    # Without a name the client declares it as application/octet-stream.
    image = io.BytesIO(PICTURE.read_bytes())
    (output,) = client.run(
        SDXL_PINNED, input={**SDXL_INPUT, "image": image}, file_encoding_strategy="base64"
    )
    assert is_picture(output)


@works("run (failed prediction)")
def _() -> None:
    def fail() -> None:
        client.run(SDXL_PINNED, input={**SDXL_INPUT, "image": f"{URL}/nothing.png"})

    error = raises(fail, lambda error: error)
    assert type(error).__name__ == "ModelError"
    assert error.prediction.error


@works("AsyncReplicate.run")
async def _() -> None:
    (output,) = await twin.run(SCHNELL, input=INPUT)
    assert isinstance(output, AsyncFileOutput)
    assert (await output.read())[:4] == b"RIFF"


@works("use")
def _() -> None:
    paths = replicate.use(SDXL_PINNED)(**SDXL_INPUT)
    # It is downloaded when it is first opened.
    assert Path(paths[0]).read_bytes()[:4] in {b"RIFF", b"\x89PNG"}


@works("use (streaming)")
def _() -> None:
    model = replicate.use(STREAMING, streaming=True)
    assert "tides" in "".join(model(prompt="tides", max_tokens=5))


@works("stream")
def _() -> None:
    parts = replicate.stream(STREAMING, input={"prompt": "tides", "max_tokens": 5})
    assert "tides" in "".join(parts)


@works("FileOutput.read")
def _() -> None:
    (output,) = client.run(SCHNELL, input=INPUT)
    assert output.read() == b"".join(output)


# Predictions


@works("predictions.create")
def _() -> None:
    for version in (SCHNELL, SDXL_PINNED, SDXL_VERSION):
        assert client.predictions.create(version=version, input=SDXL_INPUT).status == "starting"


@works("predictions.create (wait)")
def _() -> None:
    started = time.monotonic()
    made = client.predictions.create(version=SCHNELL, input=INPUT, prefer="wait=60")
    assert made.status == "starting"
    assert time.monotonic() - started < 50


@works("predictions.create (webhook)")
def _() -> None:
    made = client.predictions.create(
        version=SCHNELL,
        input=INPUT,
        webhook=f"{CALLBACKS_URL}/python-2",
        webhook_events_filter=["completed"],
    )
    assert f'"{made.id}"' in callback("python-2")["body"]


@works("predictions.create (cancel_after)")
def _() -> None:
    made = client.predictions.create(version=SCHNELL, input=INPUT, cancel_after="5m")
    assert made.deadline is not None


@works("predictions.get")
def _() -> None:
    made = client.predictions.create(version=SCHNELL, input=INPUT)
    found = client.predictions.get(prediction_id=made.id)
    assert (found.id, found.model) == (made.id, SCHNELL)


@works("predictions.list")
def _() -> None:
    assert len(client.predictions.list().results) > 1


@works("pagination (for … in predictions.list())")
def _() -> None:
    other = Replicate(bearer_token=LISTING_TOKEN, base_url=f"{URL}/v1")
    assert len({each.id for each in other.predictions.list()}) == 101


@works("predictions.cancel")
def _() -> None:
    made = client.predictions.create(version=SCHNELL, input=INPUT)
    client.predictions.cancel(prediction_id=made.id)
    assert client.predictions.wait(made.id).status in {"canceled", "succeeded"}


@works("predictions.wait")
def _() -> None:
    made = client.predictions.create(version=SCHNELL, input=INPUT)
    assert client.predictions.wait(made.id).status == "succeeded"


@works("AsyncReplicate.predictions.create, get, list, cancel, wait")
async def _() -> None:
    made = await twin.predictions.create(version=SCHNELL, input=INPUT)
    assert (await twin.predictions.get(prediction_id=made.id)).id == made.id
    assert made.id in {each.id for each in (await twin.predictions.list()).results}
    assert (await twin.predictions.wait(made.id)).status == "succeeded"
    assert (await twin.predictions.cancel(prediction_id=made.id)).status == "succeeded"


# Models


@works("models.get")
def _() -> None:
    assert client.models.get(**SCHNELL_PATH).name == "flux-schnell"


@works("models.list")
def _() -> None:
    assert "flux-schnell" in {model.name for model in client.models.list().results}


@works("models.versions.list")
def _() -> None:
    assert SDXL_VERSION in str(client.models.versions.list(**SDXL_PATH))


@works("models.versions.get")
def _() -> None:
    version: Any = client.models.versions.get(**SDXL_PATH, version_id=SDXL_VERSION)
    assert "openapi_schema" in str(version)


@works("models.predictions.create")
def _() -> None:
    made = client.models.predictions.create(**SCHNELL_PATH, input=INPUT)
    assert made.status == "starting"


@works("AsyncReplicate.models.get, list, versions.get, versions.list, predictions.create")
async def _() -> None:
    assert (await twin.models.get(**SDXL_PATH)).name == "sdxl"
    assert "sdxl" in {model.name async for model in twin.models.list()}
    await twin.models.versions.get(**SDXL_PATH, version_id=SDXL_VERSION)
    await twin.models.versions.list(**SDXL_PATH)
    made = await twin.models.predictions.create(**SCHNELL_PATH, input=INPUT)
    assert made.status == "starting"


# Files


@works("files.create")
def _() -> None:
    file = client.files.create(content=PICTURE.read_bytes(), filename="small.png")
    assert (file.content_type, file.size) == ("image/png", PICTURE.stat().st_size)


@works("files.get")
def _() -> None:
    file = client.files.create(content=PICTURE.read_bytes())
    assert client.files.get(file_id=file.id).id == file.id


@works("files.list")
def _() -> None:
    file = client.files.create(content=PICTURE.read_bytes())
    assert file.id in {each.id for each in client.files.list()}


@works("files.delete")
def _() -> None:
    file = client.files.create(content=PICTURE.read_bytes())
    client.files.delete(file_id=file.id)
    assert raises(lambda: client.files.get(file_id=file.id), explain)[0] == 404


@works("AsyncReplicate.files.create, get, list, delete")
async def _() -> None:
    file = await twin.files.create(content=PICTURE.read_bytes())
    assert (await twin.files.get(file_id=file.id)).id == file.id
    assert file.id in {each.id async for each in twin.files.list()}
    await twin.files.delete(file_id=file.id)


# Account and webhooks


@works("account.get")
def _() -> None:
    assert client.account.get().username


@works("webhooks.default.secret.get")
def _() -> None:
    assert str(client.webhooks.default.secret.get().key).startswith("whsec_")


@works("AsyncReplicate.account.get, webhooks.default.secret.get")
async def _() -> None:
    assert (await twin.account.get()).name
    assert (await twin.webhooks.default.secret.get()).key


# Set-up and errors


@works("base_url ending in /v1/v1")
def _() -> None:
    other = Replicate(bearer_token=TOKEN, base_url=f"{URL}/v1/v1")
    (output,) = other.run(SCHNELL, input=INPUT)
    assert is_picture(output)


@works("error 401")
def _() -> None:
    other = Replicate(bearer_token="r8_wrong", base_url=f"{URL}/v1")
    error = raises(other.predictions.list, lambda error: error)
    assert isinstance(error, replicate.AuthenticationError)
    assert explain(error)[1] == "Unauthenticated"


@works("error 404")
def _() -> None:
    error = raises(lambda: client.predictions.get(prediction_id="0" * 26), lambda error: error)
    assert isinstance(error, replicate.NotFoundError)


@works("error 413")
def _() -> None:
    status, _title, detail = raises(lambda: client.files.create(content=bytes(5_000_000)), explain)
    assert status == 413
    assert "/v1/uploads" in detail


@works("error 422")
def _() -> None:
    error = raises(
        lambda: client.predictions.create(version=SCHNELL, input={}), lambda error: error
    )
    assert isinstance(error, replicate.UnprocessableEntityError)
    assert error.body["invalid_fields"][0]["description"] == "prompt is required"


@works("error 429")
def _() -> None:
    other = Replicate(bearer_token=TOKEN, base_url=f"{THROTTLED_URL}/v1", max_retries=0)
    error = raises(
        lambda: other.predictions.create(version=SCHNELL, input=INPUT), lambda error: error
    )
    assert isinstance(error, replicate.RateLimitError)
    assert error.response.headers["retry-after"] == str(error.body["retry_after"])


# Left out by Darkroom

DEPLOYMENT = {"deployment_owner": "a", "deployment_name": "b"}
refused(
    "models.create",
    lambda: client.models.create(owner="a", name="b", visibility="private", hardware="cpu"),
)
refused("models.update", lambda: client.models.update(**SDXL_PATH, description="x"))
refused("models.delete", lambda: client.models.delete(**SDXL_PATH))
refused("models.search", lambda: client.models.search(body="corgi"))
refused("search", lambda: client.search(query="corgi"))
refused("models.examples.list", lambda: client.models.examples.list(**SDXL_PATH))
refused("models.readme.get", lambda: client.models.readme.get(**SDXL_PATH))
refused(
    "models.versions.delete",
    lambda: client.models.versions.delete(**SDXL_PATH, version_id=SDXL_VERSION),
)
refused(
    "files.download",
    lambda: client.files.download(file_id="0" * 26, owner="a", expiry=1, signature="x"),
)
refused("collections.list", client.collections.list)
refused("collections.get", lambda: client.collections.get(collection_slug="text-to-image"))
refused("hardware.list", client.hardware.list)
refused("deployments.list", client.deployments.list)
refused("deployments.get", lambda: client.deployments.get(**DEPLOYMENT))
refused(
    "deployments.create",
    lambda: client.deployments.create(
        name="a", model=SDXL, version=SDXL_VERSION, hardware="cpu", min_instances=0, max_instances=1
    ),
)
refused("deployments.update", lambda: client.deployments.update(**DEPLOYMENT, max_instances=1))
refused("deployments.delete", lambda: client.deployments.delete(**DEPLOYMENT))
refused(
    "deployments.predictions.create",
    lambda: client.deployments.predictions.create(**DEPLOYMENT, input=INPUT),
)
refused("trainings.list", client.trainings.list)
refused("trainings.get", lambda: client.trainings.get(training_id="0" * 26))
refused("trainings.cancel", lambda: client.trainings.cancel(training_id="0" * 26))
refused(
    "trainings.create",
    lambda: client.trainings.create(
        **SDXL_PATH, version_id=SDXL_VERSION, destination="a/b", input={}
    ),
)

if __name__ == "__main__":
    run("python-2", explain)
