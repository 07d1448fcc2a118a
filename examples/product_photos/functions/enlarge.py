"""Requests that Darkroom enlarge a photo that was just uploaded."""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

MODEL = "nightmareai/real-esrgan"
READABLE_S = 3600
"""Longer than Replicate may take to read the photo."""


def handler(event: dict[str, Any], _context: Any) -> None:
    """Handle S3's `Object Created`. Raises if the bus does not accept the request, so Lambda
    retries."""
    bucket, photo = event["detail"]["bucket"]["name"], event["detail"]["object"]
    url = s3().generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": photo["key"]}, ExpiresIn=READABLE_S
    )
    # S3 may report an upload twice; the same id makes only one prediction.
    upload = hashlib.sha256(f"{bucket}/{photo['key']}/{photo['etag']}".encode()).hexdigest()
    request = {"id": upload, "model": MODEL, "input": {"image": url, "scale": 2}}
    answer = bus().put_events(
        Entries=[
            {
                "EventBusName": os.environ["DARKROOM_BUS"],
                "Source": os.environ["DARKROOM_SOURCE"],
                "DetailType": "Prediction Requested",
                "Detail": json.dumps(request),
            }
        ]
    )
    if answer["FailedEntryCount"]:
        raise RuntimeError(f"the bus refused the request: {answer['Entries'][0]['ErrorCode']}")


@cache
def s3() -> Any:
    """Return a client that presigns URLs of the bucket's own host, which every region accepts."""
    return boto3.client("s3", config=Config(s3={"addressing_style": "virtual"}))


@cache
def bus() -> Any:
    return boto3.client("events")
