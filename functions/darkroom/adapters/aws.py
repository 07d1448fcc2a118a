"""One session's clients, made on first use, with time-outs that fit a short function."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config

_CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "max_attempts": 3},
)


@lru_cache
def client(service: str, endpoint: str | None = None) -> Any:
    """A client of the service; `endpoint` only where URLs must be made for another host."""
    config = _CONFIG
    if service == "s3":
        # In URLs that we sign, the bucket's own regional host: the global one redirects outside
        # us-east-1 while a bucket is new, and a form or Replicate's Python client does not follow.
        config = config.merge(
            Config(signature_version="s3v4", read_timeout=30, s3={"addressing_style": "virtual"})
        )
    make: Any = boto3.client
    return make(service, endpoint_url=endpoint, config=config)
