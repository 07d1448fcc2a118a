"""Clients of one session, created on first use, with timeouts for a short function.

With botocore only: importing boto3 on top of it costs each cold start a tenth more, for nothing
that a function uses.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

from botocore.config import Config
from botocore.session import Session, get_session

_CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "max_attempts": 3},
)
_FIRST_USE = Lock()


@lru_cache
def client(service: str, endpoint: str | None = None) -> Any:
    """Return a client of the service; `endpoint` is set only if URLs must name another host."""
    config = _CONFIG
    if service == "s3":
        # Presigned URLs use the bucket's regional host: the global one redirects outside us-east-1
        # while a bucket is new, and neither a form nor Replicate's Python client follows redirects.
        config = config.merge(
            Config(signature_version="s3v4", read_timeout=30, s3={"addressing_style": "virtual"})
        )
    make: Any = _session().create_client
    return make(service, endpoint_url=endpoint, config=config)


@lru_cache
def _session() -> Session:
    return get_session()


class LazyClient:
    """A client that is created at its first call, for a service that most invocations do not use.

    S3's costs a cold start a quarter more, because its endpoint rules alone are hundreds of
    kilobytes.
    """

    def __init__(self, service: str, endpoint: str | None = None) -> None:
        # With the same arguments as other callers, because clients are cached by arguments.
        self._which = (service, endpoint) if endpoint else (service,)

    def __getattr__(self, name: str) -> Any:
        # Several threads may arrive first, but a session creates one client at a time.
        with _FIRST_USE:
            made = client(*self._which)
        return getattr(made, name)
