"""Reads outputs from the provider's hosts, and calls clients' webhooks."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from darkroom.domain.callback import LOOPBACK
from darkroom.domain.errors import TransferFailedError
from darkroom.domain.prediction import Code
from darkroom.domain.values import immutable
from darkroom.outbound.http import NETWORK_ERRORS, Client, Guard, public
from darkroom.ports import CallbackAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

CALLBACK_BUDGET_S = 15.0
_LOOPBACK_ADDRESSES = frozenset({"127.0.0.1", "::1"})


@immutable
class HttpDownload:
    """One open response with its raw bytes, never decoded."""

    response: httpx.Response
    most: int
    length: int | None
    content_type: str | None

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes. Raises TransferFailedError if they end early, exceed the cap, or take
        too long."""
        size = 0
        try:
            for chunk in self.response.iter_raw():
                size += len(chunk)
                if size > self.most:
                    raise too_large(self.most)
                yield chunk
        except NETWORK_ERRORS as error:
            raise TransferFailedError(f"the download broke off: {type(error).__name__}") from None


@immutable
class OutputFetcher:
    """Fetcher for the hosts from which the provider serves outputs."""

    client: Client
    hosts: tuple[str, ...]
    """`host`, `*.host` (https, port 443), or a whole origin such as `http://127.0.0.1:9000`."""
    most: int
    budget_s: float

    def serves(self, url: str) -> bool:
        """Whether the URL is on one of the hosts."""
        return allowed(url, self.hosts)

    @contextmanager
    def open(self, url: str) -> Iterator[HttpDownload]:
        """GET the URL. Raises TransferFailedError, with a code if no retry can help."""
        if not self.serves(url):
            raise TransferFailedError(
                "the output is on a host that is not allowed", Code.OUTPUT_REFUSED
            )
        with ExitStack() as opened:
            try:
                response = opened.enter_context(
                    self.client.exchange("GET", url, budget_s=self.budget_s)
                )
            except NETWORK_ERRORS as error:
                raise TransferFailedError(f"no answer: {type(error).__name__}") from None
            length = self._length(response)
            yield HttpDownload(response, self.most, length, response.headers.get("content-type"))

    def _length(self, response: httpx.Response) -> int | None:
        if response.status_code != 200:
            raise TransferFailedError(f"status {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise TransferFailedError("the output is compressed on the way")
        length = response.headers.get("content-length")
        if length is None:
            if response.headers.get("transfer-encoding", "").lower() != "chunked":
                raise TransferFailedError("the output's length is not announced")
            return None
        if int(length) > self.most:
            raise too_large(self.most)
        return int(length)


def too_large(most: int) -> TransferFailedError:
    """Return the error for an output above the stage's cap, which no retry makes smaller."""
    return TransferFailedError(f"the output is larger than {most} bytes", Code.OUTPUT_TOO_LARGE)


def allowed(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether the URL is on one of the hosts, with https on port 443 and no unusual parts."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    odd = any(c <= " " or c == "\\" or c > "~" for c in url)
    if odd or parts.username is not None or parts.password is not None or not parts.hostname:
        return False
    if f"{parts.scheme}://{parts.netloc.lower()}" in hosts:
        return True
    if parts.scheme != "https" or port not in {None, 443}:
        return False
    host = parts.hostname
    return any(
        host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
        for pattern in hosts
    )


def output_guard(hosts: tuple[str, ...]) -> Guard:
    """Return a guard that allows public addresses, and the whole origins among the hosts (the
    embedded cloud's)."""
    return lambda host, address, port: (
        f"http://{host}:{port}" in hosts or public(host, address, port)
    )


def callback_guard(*, local: bool) -> Guard:
    """Return a guard that allows public addresses, and with `local` this machine by its own
    names."""
    return lambda host, address, port: (
        (local and host.lower() in LOOPBACK and address in _LOOPBACK_ADDRESSES)
        or public(host, address, port)
    )


@immutable
class Callbacks:
    """CallbackSender: one POST to a public address, without redirects."""

    client: Client
    local: bool = False
    """Allow URLs of this machine: for the embedded cloud, never in a deployed stack."""

    def post(self, url: str, headers: dict[str, str], body: bytes) -> CallbackAnswer:
        """Return the answer, with its body unread. Raises TransferFailedError without one."""
        if not (url[:8].lower() == "https://" or (self.local and is_loopback(url))):
            raise TransferFailedError("the callback's URL is not https")
        try:
            with self.client.exchange(
                "POST", url, budget_s=CALLBACK_BUDGET_S, headers=headers, content=body
            ) as response:
                wait = _retry_after_s(response.headers.get("retry-after", ""))
        except NETWORK_ERRORS as error:
            raise TransferFailedError(f"no answer: {type(error).__name__}") from None
        return CallbackAnswer(response.status_code, wait)


def _retry_after_s(text: str) -> float | None:
    """Parse seconds, or the time until an HTTP date; None for anything else."""
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        return max(0.0, at.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def is_loopback(url: str) -> bool:
    """Whether it is `http://127.0.0.1:PORT/…` or `http://localhost:PORT/…`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname in LOOPBACK and parts.username is None
