"""The single port that clients see: the HTTP API and, by signed URL, the files in the buckets.

It adds what stands before the functions on AWS and what the embedded AWS lacks: size limits,
forwarding headers, the gateway's own errors, and no access to files without a signature. One
machine has less capacity than a region, so requests of a burst wait here in order of arrival.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx
import uvicorn
from darkroom.services.files.uploads import TOO_LARGE
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from local.post_policy import Form, PolicyError

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from local.waiting import Waiters

MAX_BODY = 10_000_000
"""Bytes. The HTTP API's limit is 10 MB."""
MAX_HEADERS = 10_240
"""Bytes of all header names and values together, as on the HTTP API."""
CALLS_AT_ONCE = 8
HOOKS_AT_ONCE = 4
"""Separate from the calls, because the provider times out sooner than clients do."""
PATIENCE_S = 120.0
"""Maximum wait for a turn or for a function before a 503; clients wait half as long. The HTTP API's
30 seconds exceed the timeout of every function that it calls."""
RETRY_AFTER_S = 2

_DRAINED = 64_000_000
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade expect".split()
)
_SIGNED_QUERY = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)
_ACCESS_DENIED = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)


class Front:
    """Routes by path: `/{bucket}/…` to S3, `/_local/…` to itself, everything else to the HTTP
    API."""

    def __init__(
        self,
        *,
        aws_endpoint: str,
        api_id: str,
        outputs_bucket: str,
        uploads_bucket: str,
        host: str,
        port: int,
        sweep: Callable[[], dict[str, Any]],
        secret_key: str = "",
        calls_at_once: int = CALLS_AT_ONCE,
        patience_s: float = PATIENCE_S,
        cors: Mapping[str, Sequence[Mapping[str, Any]]] = MappingProxyType({}),
        waiters: Waiters | None = None,
    ) -> None:
        """`host` is the host and port for which file URLs are signed, with this `secret_key`.
        `cors` are the buckets' CORS rules in S3's form. `waiters` answer the requests of the
        function `wait`. At most `calls_at_once` calls of functions run concurrently; others wait up
        to `patience_s` seconds."""
        self._aws = aws_endpoint
        # By path, not by Host: the embedded AWS serves its own paths on every host, such as /health
        # and /_ministack/reset, and this way none of them can be reached from outside.
        self._api = f"/_aws/execute-api/{api_id}/$default".encode()
        self._outputs = outputs_bucket.encode()
        self._uploads = uploads_bucket.encode()
        self._host = host.encode()
        self._port = str(port).encode()
        self._sweep = sweep
        self._secret_key = secret_key
        self._cors = cors
        self._waiters = waiters
        self._calls = asyncio.Semaphore(calls_at_once)
        self._hooks = asyncio.Semaphore(HOOKS_AT_ONCE)
        self._patience_s = patience_s
        self._client: httpx.AsyncClient  # lives as long as the server, in its event loop

    def app(self) -> Starlette:
        """The ASGI application."""
        everything_else = Mount("", app=self._forward)
        # Starlette's own pattern ends at a line break, which %0A puts into a path.
        everything_else.path_regex = re.compile(r"^/(?P<path>.*)$", re.DOTALL)
        return Starlette(
            routes=[
                Route("/", self._about, methods=["GET"]),
                Route("/_local/sweep", self._run_sweep, methods=["POST"]),
                everything_else,
            ],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        async with httpx.AsyncClient(trust_env=False, limits=limits) as self._client:
            yield

    async def _about(self, _: Request) -> Response:
        return PlainTextResponse(
            "Darkroom on the embedded cloud. The API is under /v1, as Replicate's is; people go to "
            "/console.\n"
        )

    async def _run_sweep(self, _: Request) -> Response:
        result = await asyncio.to_thread(self._sweep)
        return JSONResponse(result, status_code=200 if result["ok"] else 502)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        bucket = scope["raw_path"].partition(b"/")[2].partition(b"/")[0]
        to_s3 = bucket in {self._outputs, self._uploads}
        try:
            response = await (self._file(request, bucket) if to_s3 else self._function(request))
        except ClientDisconnect:
            return
        except (httpx.ReadTimeout, TimeoutError):
            response = _busy()
        except httpx.TransportError:
            response = _unavailable("The embedded AWS does not answer.")
        await response(scope, receive, send)

    async def _function(self, request: Request) -> Response:
        if sum(len(name) + len(value) for name, value in request.headers.raw) > MAX_HEADERS:
            return _problem(431, "Headers too large", f"Headers may have {MAX_HEADERS} bytes.")
        if self._waiters and self._waiters.serves(request):
            return await self._waiters.answer(request)
        body = await _read(request)
        if body is None:
            is_file = request.url.path.endswith("/v1/files")
            advice = TOO_LARGE if is_file else f"A body may have {MAX_BODY} bytes."
            return _problem(413, "Body too large", advice)
        headers = [
            (name, value)
            for name, value in _end_to_end(request.headers.raw)
            if name not in {b"content-length", b"x-forwarded-proto", b"x-forwarded-port"}
        ]
        seen = [value for name, value in headers if name == b"x-forwarded-for"]
        caller = request.client.host.encode() if request.client else b"127.0.0.1"
        headers = [(name, value) for name, value in headers if name != b"x-forwarded-for"]
        headers += [
            (b"x-forwarded-for", b", ".join([*seen, caller])),
            (b"x-forwarded-proto", request.scope["scheme"].encode()),
            (b"x-forwarded-port", self._port),
        ]
        target = self._api + _target(request, in_full=False)
        async with self._turn(request):
            answer = await self._send(request.method, target, headers, body, PATIENCE_S)
            # As it was sent: the client decompresses what a function has compressed.
            content = b"".join([chunk async for chunk in _chunks(answer)])
        kind = answer.headers.get("content-type", "")
        if answer.status_code == 502 and not kind.startswith("application/problem+json"):
            if b"Sandbox.Timedout" in content:
                return _busy()
            # The function raised. The gateway on AWS hides the error text.
            return JSONResponse({"message": "Internal Server Error"}, status_code=500)
        return _with_headers(Response(content, answer.status_code), answer)

    @contextlib.asynccontextmanager
    async def _turn(self, request: Request) -> AsyncIterator[None]:
        """Wait for a turn. Raises TimeoutError if none comes, ClientDisconnect if the client has
        gone."""
        line = self._hooks if request.url.path.startswith("/hooks/") else self._calls
        waits = line.locked()
        async with asyncio.timeout(self._patience_s):
            await line.acquire()
        try:
            if waits and await request.is_disconnected():
                raise ClientDisconnect
            yield
        finally:
            line.release()

    async def _file(self, request: Request, bucket: bytes) -> Response:
        posted = request.method == "POST" and bucket == self._uploads
        allowed = self._allowed(request, bucket)
        if request.method == "OPTIONS":
            # A preflight request of a browser has no signature.
            return Response(status_code=200 if allowed else 403, headers=allowed)
        if not posted and not (request.method in {"GET", "HEAD"} and _is_presigned(request)):
            return Response(_ACCESS_DENIED, 403, media_type="application/xml")
        headers = [
            (name, value)
            for name, value in _end_to_end(request.headers.raw)
            if name != b"authorization"  # like CloudFront: only the signature in the URL counts
        ]
        headers.append((b"host", self._host))  # the signed host, not the one that the client used
        try:
            body = await self._signed_form(request) if posted else b""
        except PolicyError:
            return Response(_ACCESS_DENIED, 403, media_type="application/xml")
        answer = await self._send(request.method, _target(request), headers, body, 120.0)
        response = _with_headers(StreamingResponse(_chunks(answer), answer.status_code), answer)
        # The embedded S3 allows every origin to read its answers.
        response.raw_headers = [
            (name, value)
            for name, value in response.raw_headers
            if not name.startswith(b"access-control-")
        ]
        response.headers.update(allowed)
        return response

    def _allowed(self, request: Request, bucket: bytes) -> dict[str, str]:
        """Return the CORS headers of an answer, from the bucket's first rule for origin and
        method."""
        origin = request.headers.get("origin", "")
        asked = request.headers.get("access-control-request-method", "")
        method = asked if request.method == "OPTIONS" else request.method
        for rule in self._cors.get(bucket.decode(), ()):
            if method in rule["AllowedMethods"] and {origin, "*"} & {*rule["AllowedOrigins"]}:
                wanted = request.headers.get("access-control-request-headers", "")
                return {
                    "access-control-allow-origin": origin,
                    "access-control-allow-methods": ", ".join(rule["AllowedMethods"]),
                    "access-control-expose-headers": ", ".join(rule.get("ExposeHeaders", ())),
                    "access-control-max-age": str(rule.get("MaxAgeSeconds", 0)),
                    "vary": "Origin",
                    **({"access-control-allow-headers": wanted} if wanted else {}),
                }
        return {}

    async def _signed_form(self, request: Request) -> AsyncIterator[bytes]:
        """Return the body of a presigned POST. Raises PolicyError if its policy is not signed."""
        form = Form(request.headers.get("content-type", ""))
        chunks = request.stream()
        async for chunk in chunks:
            if form.feed(chunk):
                break
        form.check(self._secret_key)

        async def whole() -> AsyncIterator[bytes]:
            yield form.seen
            async for chunk in chunks:
                yield chunk

        return whole()

    async def _send(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes | AsyncIterator[bytes],
        timeout_s: float,
    ) -> httpx.Response:
        request = httpx.Request(
            method,
            self._aws,
            headers=headers,
            content=body,
            extensions={
                "target": target,  # byte for byte as received; httpx would normalize a URL
                "timeout": httpx.Timeout(timeout_s).as_dict(),
            },
        )
        return await self._client.send(request, stream=True)


class FrontServer:
    """Serves a Front in its own thread, on a socket that already listens."""

    def __init__(
        self,
        front: Front,
        listener: socket.socket,
        *,
        log: Path,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """With `tls` it serves https."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self._logged = logging.FileHandler(log, mode="w")
        logger = logging.getLogger("uvicorn.error")
        logger.addHandler(self._logged)
        logger.propagate = False
        self._server = uvicorn.Server(
            uvicorn.Config(
                front.app(),
                http="h11",
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,  # the caller is the peer, whatever its headers claim
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
                ssl_context_factory=(lambda _config, _default: tls) if tls else None,
            )
        )
        self._listener = listener
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="front", daemon=True
        )

    def start(self) -> None:
        """Start serving, including requests received since the socket began to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop. Requests in progress get a second to finish."""
        self._server.should_exit = True
        self._thread.join(5)
        self._listener.close()
        logging.getLogger("uvicorn.error").removeHandler(self._logged)
        self._logged.close()


async def _read(request: Request) -> bytes | None:
    """Return the body, or None if it exceeds the limit.

    The excess is read and discarded up to a limit, because many clients report a reset connection
    and not the answer when the server stops reading.
    """
    received, kept = 0, bytearray()
    async for chunk in request.stream():
        received += len(chunk)
        if received > _DRAINED:
            break
        if received <= MAX_BODY:
            kept += chunk
    return bytes(kept) if received <= MAX_BODY else None


def _target(request: Request, *, in_full: bool = True) -> bytes:
    """Return path and query as received, optionally without a trailing slash of the path.

    An HTTP API routes such a path to a route that ends in `{…+}`; in the embedded one this variable
    is never empty.
    """
    path, query = request.scope["raw_path"], request.scope["query_string"]
    if not in_full and len(path) > 1 and path.endswith(b"/") and not path.endswith(b"//"):
        path = path[:-1]
    return bytes(path + b"?" + query if query else path)


def _end_to_end(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    named = b",".join(value for name, value in headers if name.lower() == b"connection")
    dropped = _HOP_BY_HOP | {b"host"} | {name.strip().lower() for name in named.split(b",")}
    return [(name.lower(), value) for name, value in headers if name.lower() not in dropped]


def _is_presigned(request: Request) -> bool:
    """Whether the query contains a complete signature. S3 verifies it, but would serve without
    one."""
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    names = [name.lower() for name, _ in query]
    signed = dict(query)
    return (
        all(signed.get(name) and names.count(name.lower()) == 1 for name in _SIGNED_QUERY)
        and signed["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
        and re.fullmatch(r"[1-9][0-9]{0,5}", signed["X-Amz-Expires"]) is not None
    )


def _with_headers(response: Response, answer: httpx.Response) -> Response:
    response.raw_headers = _end_to_end(answer.headers.raw)
    return response


async def _chunks(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def _problem(status: int, title: str, detail: str, **headers: str) -> Response:
    body = json.dumps({"title": title, "status": status, "detail": detail})
    return Response(body, status, headers, "application/problem+json")


def _unavailable(detail: str) -> Response:
    return _problem(503, "Service unavailable", detail, **{"retry-after": str(RETRY_AFTER_S)})


def _busy() -> Response:
    """Answer for a function that timed out, or a turn that did not come."""
    return _unavailable(f"This machine is too busy to answer. Try again in {RETRY_AFTER_S} s.")
