"""The form of a presigned POST, as the embedded cloud reads it before S3 does."""

from __future__ import annotations

from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from local.post_policy import FIELDS_MAX, MOST_FIELDS, Form, PolicyError

SECRET = "secret"


@pytest.fixture
def fields() -> dict[str, str]:
    client = boto3.client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="key",
        aws_secret_access_key=SECRET,
        config=Config(signature_version="s3v4"),
    )
    form = client.generate_presigned_post("uploads", "acme/x", ExpiresIn=60)
    return dict(form["fields"])


def sent(fields: dict[str, Any], data: bytes = b"x" * 1000) -> tuple[str, bytes]:
    """The Content-Type and the body of a client's form."""
    request = httpx.Request("POST", "https://x.test", data=fields, files={"file": ("x", data)})
    return request.headers["content-type"], request.read()


def fed(content_type: str, body: bytes, size: int = 1 << 20) -> tuple[Form, int]:
    """The form, and how many bytes it took to get to the file."""
    form = Form(content_type)
    for start in range(0, len(body), size):
        if form.feed(body[start : start + size]):
            return form, start + size
    raise AssertionError("no file")


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_a_signed_form_is_taken_in_whatever_pieces_it_comes(
    fields: dict[str, str], size: int
) -> None:
    content_type, body = sent(fields)
    form, read = fed(content_type, body, size)
    form.check(SECRET)
    assert form.seen == body[:read]
    with pytest.raises(PolicyError, match="another key"):
        form.check("other")


def test_an_unsigned_form_is_refused() -> None:
    form, _ = fed(*sent({"key": "acme/x"}))
    with pytest.raises(PolicyError, match="not signed"):
        form.check(SECRET)


@pytest.mark.parametrize(
    ("content_type", "body", "told"),
    [
        ("application/json", b"{}", "not a form"),
        ("multipart/form-data", b"", "not a form"),
        (*sent({"key": ["a", "b"]}), "twice"),
        (*sent({f"x-{number}": "x" for number in range(MOST_FIELDS)}), "not a form: .* count"),
        (*sent({"key": "x" * FIELDS_MAX}), "too many fields"),
        ("multipart/form-data; boundary=b", b"no boundary at all", "not a form"),
        ("multipart/form-data; boundary=b", b"--b\r\n\xff\r\n\r\nx\r\n--b--\r\n", "not a form"),
    ],
    ids=["another type", "no boundary", "twice", "many", "large", "no parts", "no header"],
)
def test_what_is_no_form_before_its_file_is_refused(
    content_type: str, body: bytes, told: str
) -> None:
    with pytest.raises(PolicyError, match=told):
        fed(content_type, body)
