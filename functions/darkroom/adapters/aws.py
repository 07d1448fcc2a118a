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
        config = config.merge(Config(signature_version="s3v4", read_timeout=30))
    make: Any = boto3.client
    return make(service, endpoint_url=endpoint, config=config)
