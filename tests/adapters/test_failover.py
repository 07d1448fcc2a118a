"""Thumbnails behind the CDN: CloudFront asks the bucket, and then the function.

The embedded cloud has no CDN, so a double plays CloudFront's origin group here, over the real
adapters of S3. What it does is what the template says (tests/infra/test_thumbnails.py).
"""

from __future__ import annotations

import base64
import io
from fnmatch import fnmatch
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from darkroom.aws.s3 import S3Outputs
from darkroom.handlers import thumbnail
from darkroom.runtime.adapters import Adapters
from PIL import Image

from tests.support import events

if TYPE_CHECKING:
    from tests.adapters.aws import Aws

PATTERNS = ("*.t256.webp", "*.t512.webp", "*.t1024.webp")
GOES_ON = {403, 404}
KEY = "acme/2026/11/0123456789abcdefghijklmnop/0.png"


class Edge:
    """CloudFront, with the bucket and the function as its origins. Signatures are verified."""

    def __init__(self, aws: Aws) -> None:
        class Real(Adapters):
            def outputs(self, bucket: str, *, lazy: bool = False) -> S3Outputs:
                return S3Outputs(aws.s3, bucket)

        made = thumbnail.build(thumbnail.ThumbnailSettings(outputs_bucket="outputs"), Real())
        self._s3 = aws.s3
        self._function = thumbnail.FUNCTION.entry(lambda: made)
        self.invoked = 0

    def get(self, key: str) -> tuple[int, str, bytes]:
        """Return status, content type and body."""
        answer = self._bucket(key)
        if answer[0] in GOES_ON and any(fnmatch(key, pattern) for pattern in PATTERNS):
            return self._ask_function(key)
        return answer

    def _bucket(self, key: str) -> tuple[int, str, bytes]:
        try:
            found = self._s3.get_object(Bucket="outputs", Key=key)
        except ClientError:
            # S3's answer to one that may not list the bucket.
            return 403, "application/xml", b"<Error><Code>AccessDenied</Code></Error>"
        return 200, found["ContentType"], found["Body"].read()

    def _ask_function(self, key: str) -> tuple[int, str, bytes]:
        self.invoked += 1
        context = SimpleNamespace(
            function_name="thumbnail",
            memory_limit_in_mb=1769,
            invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:thumbnail",
            aws_request_id="request",
            get_remaining_time_in_millis=lambda: 20_000,
        )
        answer: dict[str, Any] = self._function(events.http("GET", f"/{key}"), context)
        coded = answer.get("isBase64Encoded")
        body = base64.b64decode(answer["body"]) if coded else answer["body"].encode()
        return answer["statusCode"], answer["headers"]["content-type"], body


@pytest.fixture
def edge(aws: Aws) -> Edge:
    return Edge(aws)


def picture(width: int, height: int) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), (200, 80, 20)).save(written, "PNG")
    return written.getvalue()


def stored(aws: Aws, data: bytes, key: str = KEY) -> None:
    aws.s3.put_object(Bucket="outputs", Key=key, Body=data, ContentType="image/png")


def test_the_first_look_is_the_functions_and_the_second_is_the_buckets(
    aws: Aws, edge: Edge
) -> None:
    stored(aws, picture(1200, 900))
    first = edge.get(f"{KEY}.t512.webp")
    assert (first[0], first[1], edge.invoked) == (200, "image/webp", 1)
    assert Image.open(io.BytesIO(first[2])).size == (512, 384)
    assert edge.get(f"{KEY}.t512.webp") == first
    assert edge.invoked == 1
    assert edge.get(f"{KEY}.t256.webp")[0] == 200
    assert edge.invoked == 2


def test_what_is_no_thumbnail_never_reaches_the_function(aws: Aws, edge: Edge) -> None:
    stored(aws, picture(64, 64))
    assert edge.get(KEY)[0] == 200
    for key in ("acme/2026/11/0123456789abcdefghijklmnop/1.png", f"{KEY}.t300.webp", f"{KEY}.t"):
        assert edge.get(key)[0] == 403
    assert edge.invoked == 0


@pytest.mark.parametrize("data", [None, b"", b"<svg onload='x'/>", b"\x89PNG\r\n\x1a\n cut off"])
def test_a_picture_that_is_gone_or_hostile_is_a_404_and_stores_nothing(
    aws: Aws, edge: Edge, data: bytes | None
) -> None:
    if data is not None:
        stored(aws, data)
    before = aws.s3.list_objects_v2(Bucket="outputs")["KeyCount"]
    assert edge.get(f"{KEY}.t1024.webp")[:2] == (404, "application/problem+json")
    assert aws.s3.list_objects_v2(Bucket="outputs")["KeyCount"] == before


def test_a_path_that_only_ends_like_one_reads_nothing_else(aws: Aws, edge: Edge) -> None:
    stored(aws, picture(64, 64), "secret/0.png")
    for key in ("secret/0.png.t256.webp", f"x/../{KEY}.t256.webp", "v1/predictions.t256.webp"):
        assert edge.get(key)[0] == 404
    assert edge.invoked == 3
