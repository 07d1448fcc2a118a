"""Publishes Darkroom's output for a photo under the photo's own name."""

from __future__ import annotations

import os
from functools import cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3


def handler(event: dict[str, Any], _context: Any) -> None:
    """Handle `Prediction Succeeded`. A repeated event writes the same bytes to the same key."""
    prediction = event["detail"]
    photo = PurePosixPath(unquote(urlsplit(prediction["input"]["image"]).path).lstrip("/"))
    (made,) = prediction["darkroom"]["files"]
    s3().copy_object(
        CopySource={"Bucket": os.environ["DARKROOM_OUTPUTS"], "Key": made["key"]},
        Bucket=os.environ["PUBLISHED"],
        Key=str(photo.with_suffix(PurePosixPath(made["key"]).suffix)),
    )


@cache
def s3() -> Any:
    return boto3.client("s3")
