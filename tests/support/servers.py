"""HTTP servers with deliberate faults; each connection is served by a function of its socket."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    Serve = Callable[[socket.socket, "Server"], None]


@dataclass
class Server:
    """The requests that a server received. `stopping` ends the waiting threads at the end of the
    test."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released for every connection that the server has closed."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(*serve: Serve, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve connections by the functions in turn, repeating the last one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        threads: list[threading.Thread] = []

        def one(connection: socket.socket, function: Serve) -> None:
            with contextlib.suppress(OSError, EOFError), connection:
                connection.settimeout(10)
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                with connection:
                    function(connection, server)
            server.closed.release()

        def accept() -> None:
            while True:
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    if server.stopping.is_set():
                        connection.close()
                        return
                    function = serve[min(server.connections, len(serve) - 1)]
                    server.connections += 1
                    thread = threading.Thread(target=one, args=(connection, function))
                    threads.append(thread)
                    thread.start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server
        finally:
            server.stopping.set()
            # A connection of our own wakes the thread that waits for one.
            socket.create_connection(("127.0.0.1", server.port)).close()
            for thread in [acceptor, *threads]:
                thread.join()


def read_request(connection: socket.socket, server: Server) -> bytes:
    """Read one request, head and body. Raises EOFError if it ends early."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += _some(connection)
    server.requests.append(head + b"\r\n\r\n" + body)
    return body


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise EOFError
    return data


def reply(raw: bytes, *, times: int = 1) -> Serve:
    """Read a request, answer with these bytes, close; `times` requests on one connection."""

    def serve(connection: socket.socket, server: Server) -> None:
        for _ in range(times):
            read_request(connection, server)
            connection.sendall(raw)

    return serve


def answer(
    status: int, body: Any = b"", headers: dict[str, str] | None = None, *, times: int = 1
) -> Serve:
    """Return a complete answer; a body that is not bytes is sent as JSON."""
    end = {"connection": "close"} if times == 1 else {}
    return reply(http(status, body, {**end, **(headers or {})}), times=times)


def http(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Some reason"]
    named = {"content-length": str(len(raw)), **(headers or {})}
    lines += [f"{name}: {value}" for name, value in named.items() if value]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def reset(connection: socket.socket, server: Server) -> None:
    """Read the request, then reset the connection."""
    read_request(connection, server)
    _abort(connection)


def reset_at_once(connection: socket.socket, _server: Server) -> None:
    """Reset the connection when the first byte arrives."""
    connection.recv(1)
    _abort(connection)


def _abort(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silent(connection: socket.socket, server: Server) -> None:
    """Read everything, send nothing."""
    read_request(connection, server)
    server.stopping.wait(10)


def deaf(_connection: socket.socket, server: Server) -> None:
    """Read nothing, send nothing."""
    server.stopping.wait(10)


def sipping(connection: socket.socket, server: Server) -> None:
    """Read a request at no more than five megabytes per second, and send nothing."""
    while not server.stopping.wait(0.05) and connection.recv(256 * 1024):
        pass


def drip(raw: bytes, start: bytes = b"") -> Serve:
    """Read a request, send `start`, then one byte of `raw` every quarter of a second."""

    def serve(connection: socket.socket, server: Server) -> None:
        read_request(connection, server)
        connection.sendall(start)
        for byte in raw:
            if server.stopping.wait(0.25):
                return
            connection.sendall(bytes([byte]))

    return serve


BUDGET = 0.5
"""Seconds of an exchange, where a test waits for its end."""
GRACE = 6.0
"""Tolerance for the duration of an exchange on a busy machine: less than a server here takes for
one that is not cut off."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Assert that the block takes at most so many seconds."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds + GRACE


def addresses(*found: str) -> Any:
    """Return a resolver with these answers."""

    def getaddrinfo(_host: str, port: int, *_args: Any, **_more: Any) -> Any:
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, 1, 6, "", (address, port))
            for address in found
        ]

    return getaddrinfo
