"""An answer that Lambda could not return is built in pieces, so that memory is bounded."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSResponse
from darkroom.aws.s3 import READ, S3Outputs
from darkroom.domain.prediction import File
from darkroom.services.doors.file_answers import FileAnswers, size

from tests.support.fakes import FakeSigner
from tests.support.versions import records

if TYPE_CHECKING:
    from collections.abc import Iterator

MB = 1_000_000
CREATED = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
COMPLETED = b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"


class Discarding:
    """S3 that keeps none of what it is sent, and counts it."""

    def __init__(self) -> None:
        self.client = boto3.client(
            "s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        self.client.meta.events.register("before-send.s3", self._answer)
        self.received = 0

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        body = CREATED if request.url.endswith("uploads") else COMPLETED
        if request.method == "PUT":
            sent = request.body
            self.received += len(sent if isinstance(sent, bytes) else sent.read())
            body = b""
        response = AWSResponse(request.url, 200, {"ETag": '"x"'}, None)
        response._content = body
        return response


class Endless(S3Outputs):
    """Outputs whose files have whatever bytes they are asked for."""

    def get(self, key: str) -> Iterator[bytes]:
        yield from itertools.repeat(bytes(READ), int(key))


def test_a_large_answer_takes_less_than_64_mb_of_memory() -> None:
    s3 = Discarding()
    answers = FileAnswers(Endless(s3.client, "outputs"), FakeSigner())
    file = File("40", "0" * 64, 40 * READ, "image/png")
    pieces = ['{"data":[', *[file] * 4, "]}"]
    tracemalloc.start()
    answers.kept(records()[0], "answer", "application/json", pieces)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert s3.received >= size(pieces) > 200 * MB
    assert peak < 64 * MB
