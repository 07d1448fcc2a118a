"""The only HTTP client: guarded addresses, a wall-clock limit, no redirects, no decoding.

httpx speaks HTTP. Since its timeouts are per read and it resolves names by itself, the network
backend below its transport implements the limit and the guard.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

if TYPE_CHECKING:
    from httpcore._backends.base import SOCKET_OPTION

Guard = Callable[[str, str, int], bool]
"""`(host, address, port)` → whether a connection to it is allowed."""

_UNICAST = ipaddress.IPv6Network("2000::/3")
"""The publicly routed part of IPv6; NAT64, site-local and IPv4-compatible addresses are outside of
it."""
_NOT_PUBLIC = [
    *map(ipaddress.ip_network, ("100.64.0.0/10", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4")),
    *map(ipaddress.ip_network, ("2002::/16", "3fff::/20")),
]
_PIECE = 16 * 1024
"""Bytes per write, so that the clock is checked between writes to a slow reader."""


def public(host: str, address: str, port: int) -> bool:
    """Whether it is a public unicast address on port 443, and no private network or tunnel into
    one.

    `ipaddress.is_global` is True for NAT64, 6to4, its relay and multicast, so they are listed.
    """
    del host
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif ip not in _UNICAST:
            return False
    named = any(ip in network for network in _NOT_PUBLIC)
    return port == 443 and ip.is_global and not ip.is_multicast and not named


class ExchangeTimeoutError(httpx.TimeoutException):
    """The wall-clock limit of the whole exchange has passed."""


class AddressRefusedError(httpx.ConnectError):
    """The guard does not allow this address, so nothing was sent."""


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, client: Client) -> None:
        self._stream = stream
        self._client = client

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._client.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            left = self._client.left(timeout)
            self._client.writing()
            self._stream.write(buffer[start : start + _PIECE], left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._stream.start_tls(ssl_context, server_hostname, self._client.left(timeout))
        return _Stream(inner, self._client)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Resolves once, has the guard check every address, and connects to those in turn.

    Name resolution is the only step without our time limit; the resolver has its own.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception = httpcore.ConnectError("the name has no address")
        for address in self._resolve(host, port):
            left = self._client.left(timeout)
            try:
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _Stream(stream, self._client)
        raise failed

    def _resolve(self, host: str, port: int) -> list[str]:
        guard = self._client.guard
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name does not resolve") from error
        addresses = [str(entry[4][0]) for entry in found]
        if guard is not None and not all(guard(host, address, port) for address in addresses):
            raise AddressRefusedError("the address is not allowed")
        return addresses


NETWORK_ERRORS = (
    httpx.TransportError,
    # Headers that are not valid in HTTP.
    UnicodeError,
    # Socket errors that httpcore does not translate.
    OSError,
)
"""All errors of an exchange. `wrote` tells whether a byte of the request was sent."""


class _Exchange(threading.local):
    ends = 0.0
    wrote = False


_HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "darkroom"}


class GuardedTransport(httpx.HTTPTransport):
    """httpx's own transport over the backend above: no proxy, no retry, and no idle connections,
    which would be dead after a function was frozen.

    httpx has no parameter for a backend, so its pool is replaced.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(verify=client.ssl_context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=client.ssl_context,
            network_backend=_Backend(client),
            max_connections=10,
            keepalive_expiry=5.0,
            retries=0,
        )


def read_whole(response: httpx.Response, most: int) -> bytes | None:
    """Read the body; None as soon as it has more than `most` bytes. Raises NETWORK_ERRORS."""
    read = bytearray()
    for chunk in response.iter_raw():
        read += chunk
        if len(read) > most:
            return None
    return bytes(read)


class Client:
    """One exchange at a time in each thread, since the budget belongs to the thread.

    Requests go to the transport itself, because httpx's client above it would keep cookies, prepare
    redirects, and log URLs.
    """

    def __init__(self, guard: Guard | None = None) -> None:
        self.guard = guard
        self.ssl_context = ssl.create_default_context()
        self._exchange = _Exchange()
        self._transport = GuardedTransport(self)

    def close(self) -> None:
        """Close idle connections; a function never does."""
        self._transport.close()

    @contextmanager
    def exchange(
        self,
        method: str,
        url: str,
        *,
        budget_s: float,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> Iterator[httpx.Response]:
        """Send a request and yield the answer, with its body unread. Raises NETWORK_ERRORS.

        The budget covers everything: connecting, TLS, every write and every read.
        """
        try:
            # Path and query are sent as given, since a signed URL must be exact.
            target = httpcore.URL(url).target
            request = httpx.Request(
                method,
                url,
                headers={**_HEADERS, **(headers or {})},
                content=content or None,
                extensions={"target": target},
            )
        except (httpx.InvalidURL, TypeError, ValueError) as error:
            raise httpx.UnsupportedProtocol("not a URL") from error
        if not request.url.host:
            raise httpx.UnsupportedProtocol("a URL without a host")
        self.begin(budget_s)
        response = self._transport.handle_request(request)
        try:
            yield response
        finally:
            response.close()

    def begin(self, budget_s: float) -> None:
        """Start the clock of this thread's exchange."""
        self._exchange.ends = time.monotonic() + budget_s
        self._exchange.wrote = False

    @property
    def wrote(self) -> bool:
        """Whether a byte of the exchange's request may have been sent."""
        return self._exchange.wrote

    def writing(self) -> None:
        """Record that a byte of the request is about to be sent."""
        self._exchange.wrote = True

    def left(self, timeout: float | None) -> float:
        """Return the time left for the next call on the socket. Raises ExchangeTimeoutError if
        there is none."""
        left = self._exchange.ends - time.monotonic()
        if left <= 0:
            raise ExchangeTimeoutError("the exchange took too long")
        return left if timeout is None else min(left, timeout)
