"""The emulator as a server: composition, and the ways to run it."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from emulator.api import Api
from emulator.control import Control
from emulator.faults import Faults
from emulator.files import Files
from emulator.inputs import InputFetcher
from emulator.models import Models
from emulator.outputs import Outputs
from emulator.predictions import Predictions
from emulator.showing import Showing
from emulator.webhooks import TIMEOUT_S, WebhookSender, new_secret
from emulator.wire import ProblemError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

MAX_REQUESTS_KEPT = 20_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of one emulator. Every start is a new, empty Replicate."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes any free port."""
    token: str | None = None
    """The only token accepted; None accepts any."""
    public_url: str | None = None
    """Origin of all URLs in answers, if it differs from host and port."""
    webhook_secret: str = field(default_factory=new_secret)
    retention_s: float = 3600.0
    retry_scale: float = 1.0
    """Factor for the delays between attempts at a terminal webhook."""
    seed: int | None = None
    """Makes the draws of faults repeatable."""
    ca_file: Path | None = None
    """An additional certificate authority to trust, for webhooks and inputs."""
    models: tuple[dict[str, Any], ...] = ()
    """Additional models, as entries of Darkroom's catalogue."""


class Emulator:
    """All state of one emulator, and the application that serves it."""

    def __init__(self, options: Options, url: str) -> None:
        self.options = options
        self.url = url
        """Origin, without /v1 and without a trailing slash."""
        self.requests: deque[dict[str, Any]] = deque(maxlen=MAX_REQUESTS_KEPT)
        self._sending: set[asyncio.Task[None]] = set()
        random = Random(options.seed)
        # One connection per message, because a receiver may close idle connections at any time.
        self._client = httpx.AsyncClient(
            trust_env=False,
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_keepalive_connections=0),
            verify=_trusted(options.ca_file),
        )
        self.faults = Faults(random)
        self.showing = Showing(url, self.faults)
        self.models = Models(options.models)
        self.files = Files()
        self.outputs = Outputs(self.faults)
        self.webhooks = WebhookSender(
            client=self._client,
            faults=self.faults,
            secret=options.webhook_secret,
            retry_scale=options.retry_scale,
            spawn=self._spawn,
        )
        self.predictions = Predictions(
            base_url=url,
            faults=self.faults,
            showing=self.showing,
            inputs=InputFetcher(client=self._client, files=self.files, own_url=url),
            outputs=self.outputs,
            webhooks=self.webhooks,
            random=Random(options.seed),
            retention_s=options.retention_s,
        )

    def app(self) -> ASGIApp:
        """The application: API, output host, control API."""
        output = Route("/outputs/{path:path}", self.outputs.serve)
        app = Starlette(
            routes=[*Api(self).routes(), output, *Control(self).routes()],
            exception_handlers={
                ProblemError: _answer_problem,
                HTTPException: _answer_http_exception,
                Exception: _answer_crash,
            },
            lifespan=self._lifespan,
        )
        app.router.redirect_slashes = False
        return self._recorded(app)

    def _recorded(self, app: ASGIApp) -> ASGIApp:
        """Record every call of the API and of the output host with its status; None for no
        answer."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"].startswith("/_emulator/"):
                await app(scope, receive, send)
                return
            call = {
                "method": scope["method"],
                "path": scope["path"],
                "query": scope["query_string"].decode("latin-1"),
                "time": time.time(),
                "status": None,
            }
            self.requests.append(call)

            async def note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    call["status"] = message["status"]
                await send(message)

            await app(scope, receive, note)

        return serve

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        yield
        self.predictions.close()
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._client.aclose()


async def _answer_problem(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, ProblemError)  # noqa: S101 - what the handler is registered for
    return problem.response()


async def _answer_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is registered for
    return ProblemError(error.status_code, error.detail, headers=error.headers).response()


async def _answer_crash(request: Request, error: Exception) -> Response:
    logger.error("%s %s crashed", request.method, request.url.path, exc_info=error)
    return ProblemError(500, "Internal server error").response()


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    return context


class _Protocol(H11Protocol):
    """Passes each request its transport, so that a fault can reset the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Server(uvicorn.Server):
    """Calls `ready` once it accepts connections. Stops at once on request."""

    def __init__(self, emulator: Emulator, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                emulator.app(),
                http=_Protocol,
                ws="none",
                lifespan="on",
                loop="asyncio",
                log_config=None,
                log_level="critical",  # it would warn about the faults that are intended
                access_log=False,
                timeout_graceful_shutdown=0,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: object) -> None:  # noqa: ARG002 - uvicorn's signature
        self.should_exit = True


def listen(options: Options) -> tuple[socket.socket, str]:
    """Return a listening socket and the origin that clients see. Raises OSError if the port is in
    use."""
    listener = socket.create_server((options.host, options.port), backlog=512)
    # Connections inherit it. asyncio would not set it on them, and each answer would take 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host, port = listener.getsockname()[:2]
    return listener, (options.public_url or f"http://{host}:{port}").rstrip("/")


@contextmanager
def running(**options: Any) -> Iterator[Emulator]:
    """Serve an emulator from a thread, for tests. Keywords are those of Options."""
    chosen = Options(**options)
    listener, url = listen(chosen)
    emulator = Emulator(chosen, url)
    ready = threading.Event()
    server = Server(emulator, ready.set)
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), name="emulator"
    )
    thread.start()
    try:
        if not ready.wait(10):
            raise TimeoutError("The emulator did not start.")
        yield emulator
    finally:
        server.should_exit = True
        thread.join()
