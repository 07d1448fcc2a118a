"""Files as inputs: in the request, through the API, and posted to the bucket."""

from __future__ import annotations

import base64
import io
import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from tests.e2e.driver import SDXL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.driver import Driver


@pytest.fixture(scope="module")
def picture() -> bytes:
    """A PNG of noise, which does not compress: about 600 kB."""
    packed = io.BytesIO()
    Image.frombytes("RGB", (448, 448), os.urandom(448 * 448 * 3)).save(packed, "PNG")
    return packed.getvalue()


@pytest.fixture
def post() -> Iterator[Callable[..., httpx.Response]]:
    """Posts a form as a browser would."""
    with httpx.Client(trust_env=False, timeout=60) as client:

        def send(form: dict[str, Any], data: bytes, **fields: str | None) -> httpx.Response:
            sent = {k: v for k, v in {**form["fields"], **fields}.items() if v is not None}
            return client.post(form["url"], data=sent, files={"file": ("x", data)})

        yield send


def begin(driver: Driver) -> dict[str, Any]:
    """A form for a PNG."""
    asked = {"filename": "big.png", "content_type": "image/png"}
    answer = driver.api.post("/v1/uploads", json=asked)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def run(driver: Driver, image: str) -> tuple[dict[str, Any], str]:
    """Return the finished prediction, and its id upstream."""
    given = {"prompt": "x", "width": 64, "height": 64, "image": image}
    shown = driver.finished(driver.create(SDXL, input=given)["id"])
    assert shown["status"] == "succeeded", shown["error"]
    return shown, shown["darkroom"]["provider_id"]


def sent(driver: Driver, provider_id: str) -> str:
    """Return the image as the provider received it."""
    (made,) = [each for each in driver.upstream() if each["id"] == provider_id]
    return str(made["input"]["image"])


def test_a_file_posted_to_the_bucket_is_an_input_like_any_other(
    driver: Driver, post: Callable[..., httpx.Response], picture: bytes
) -> None:
    form = begin(driver)
    assert driver.api.get(f"/v1/files/{form['id']}").status_code == 404
    assert post(form, picture).status_code == 204
    file = driver.api.get(f"/v1/files/{form['id']}").json()
    assert (file["name"], file["content_type"]) == ("big.png", "image/png")
    assert (file["size"], file["urls"]) == (len(picture), form["urls"])
    _, provider_id = run(driver, form["urls"]["get"])
    assert "X-Amz-Signature=" in sent(driver, provider_id)
    assert driver.api.delete(f"/v1/files/{form['id']}").status_code == 204


def test_a_large_file_is_taken_up_to_the_limit(
    driver: Driver, post: Callable[..., httpx.Response]
) -> None:
    form = begin(driver)
    assert post(form, bytes(20_000_000)).status_code == 204
    assert driver.api.get(f"/v1/files/{form['id']}").json()["size"] == 20_000_000
    for size, said in ((form["max_bytes"] + 1, "EntityTooLarge"), (0, "EntityTooSmall")):
        refused = post(begin(driver), bytes(size))
        assert (refused.status_code, said in refused.text) == (400, True)


@pytest.mark.parametrize(
    "fields",
    [
        {"x-amz-signature": "0" * 64},
        {"x-amz-signature": None},
        {"policy": "e30="},
        {"policy": None},
        {"x-amz-credential": "000000000000/20200101/us-east-1/s3/aws4_request"},
        {"x-amz-credential": None},
        {"key": "other/files/00000000000000000000000000"},
        {"Content-Type": "text/html"},
        {"x-amz-meta-name": "other.png"},
        {"x-amz-meta-extra": "1"},
    ],
    ids=str,
)
def test_a60_a_form_is_good_only_as_it_was_signed(
    driver: Driver, post: Callable[..., httpx.Response], fields: dict[str, str | None]
) -> None:
    form = begin(driver)
    refused = post(form, b"data", **fields)
    assert refused.status_code in {400, 403}, refused.text
    assert driver.api.get(f"/v1/files/{form['id']}").status_code == 404


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"x" * 200_000),
        (
            "multipart/form-data; boundary=b",
            2 * b'--b\r\nContent-Disposition: form-data; name="policy"\r\n\r\nx\r\n',
        ),
    ],
)
def test_what_is_no_form_does_not_reach_the_bucket(
    driver: Driver, content_type: str, body: bytes
) -> None:
    bucket = httpx.URL(begin(driver)["url"]).path
    refused = driver.anyone.post(bucket, content=body, headers={"content-type": content_type})
    assert refused.status_code == 403


@pytest.mark.parametrize("size", [4_500_001, 10_500_000])
def test_a_file_too_large_for_the_api_is_told_the_way(driver: Driver, size: int) -> None:
    answer = driver.api.post("/v1/files", files={"content": bytes(size)})
    assert answer.status_code == 413
    assert "POST /v1/uploads" in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/png"])
def test_a_large_data_uri_reaches_the_provider_as_a_url(
    driver: Driver, picture: bytes, kind: str
) -> None:
    uri = f"data:{kind};base64,{base64.b64encode(picture).decode()}"
    shown, provider_id = run(driver, uri)
    url = sent(driver, provider_id)
    assert (url[:4], len(url) < 2000) == ("http", True)
    # The client sees a URL in its place too, with the bytes that it sent.
    back = httpx.get(shown["input"]["image"], trust_env=False, timeout=60)
    assert (back.content, back.headers["content-type"]) == (picture, "image/png")


def test_a_small_data_uri_is_passed_on_as_it_is(driver: Driver) -> None:
    packed = io.BytesIO()
    Image.new("RGB", (64, 64)).save(packed, "PNG")
    uri = f"data:application/octet-stream;base64,{base64.b64encode(packed.getvalue()).decode()}"
    _, provider_id = run(driver, uri)
    assert sent(driver, provider_id) == uri


def test_a_hosted_url_is_passed_on_as_it_is(driver: Driver, picture: bytes) -> None:
    uri = f"data:;base64,{base64.b64encode(picture).decode()}"
    shown, _ = run(driver, uri)
    hosted = shown["input"]["image"]
    _, provider_id = run(driver, hosted)
    assert sent(driver, provider_id) == hosted


def test_f18_an_output_is_an_input_however_its_url_is_signed(driver: Driver) -> None:
    made = driver.create(input={"prompt": "x"})
    url, _, signature = driver.finished(made["id"])["output"][0].partition("?")
    assert signature
    shown, provider_id = run(driver, f"{url}?X-Amz-Signature=over")
    fetched = sent(driver, provider_id)
    assert fetched.partition("?")[0] == url
    assert "X-Amz-Expires=7200" in fetched
    back = httpx.get(shown["input"]["image"], trust_env=False, timeout=60)
    assert back.content == httpx.get(f"{url}?{signature}", trust_env=False, timeout=60).content


def test_f22_an_uploads_url_ends_in_its_extension(driver: Driver, picture: bytes) -> None:
    content = ("photo.jpeg", picture, "image/jpeg")
    file = driver.api.post("/v1/files", files={"content": content}).json()
    _, provider_id = run(driver, file["urls"]["get"])
    assert sent(driver, provider_id).partition("?")[0].endswith(".png")


def test_f12_text_beside_an_output_stays_text(driver: Driver) -> None:
    driver.faults(output_kind="mapping")
    made = driver.create(SDXL, input={"prompt": "x"})
    shown = driver.finished(made["id"])
    assert (shown["status"], shown["darkroom"]["code"]) == ("succeeded", None)
    assert shown["output"]["meta"] == {"source": "https://example.com/license"}
    assert httpx.get(shown["output"]["image"], trust_env=False, timeout=60).status_code == 200
