"""One session's clients, made on first use, with time-outs that fit a short function.

Of botocore alone: importing boto3 on top of it costs each cold start a tenth more, for nothing that
a function uses.
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
    """A client of the service; `endpoint` only where URLs must be made for another host."""
    config = _CONFIG
    if service == "s3":
        # In URLs that we sign, the bucket's own regional host: the global one redirects outside
        # us-east-1 while a bucket is new, and a form or Replicate's Python client does not follow.
        config = config.merge(
            Config(signature_version="s3v4", read_timeout=30, s3={"addressing_style": "virtual"})
        )
    make: Any = _session().create_client
    return make(service, endpoint_url=endpoint, config=config)


@lru_cache
def _session() -> Session:
    return get_session()


class OnFirstUse:
    """A client that is made at its first call, for a service that most invocations do not call.

    S3's costs a cold start a quarter more: its endpoint rules alone are hundreds of kilobytes.
    """

    def __init__(self, service: str, endpoint: str | None = None) -> None:
        # As everybody else asks for it: a client is kept by what it was asked for with.
        self._which = (service, endpoint) if endpoint else (service,)

    def __getattr__(self, name: str) -> Any:
        # Several threads may come first; a session makes one client at a time.
        with _FIRST_USE:
            made = client(*self._which)
        return getattr(made, name)
