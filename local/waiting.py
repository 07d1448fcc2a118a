"""The functions that wait, in the front's own process.

On AWS each wait has its own invocation. Here a function has a few workers, and a dozen waits would
occupy them all, so the front runs the same handlers in threads that mostly sleep. Reads are
batched: a hundred waits that read separately use half of a small machine.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError
from darkroom.api import routes
from darkroom.api.http import ANSWERED_WITH
from darkroom.aws.controls import DynamoControls
from darkroom.aws.predictions import DynamoPredictions
from darkroom.aws.queues import SqsQueue
from darkroom.aws.s3 import S3Outputs, S3Signer
from darkroom.aws.secrets import SecretsManagerStore
from darkroom.domain.errors import UnreadableRecordError
from darkroom.domain.values import immutable
from darkroom.handlers import imagewait, wait
from darkroom.runtime.adapters import Adapters
from darkroom.runtime.observability import logger
from starlette.responses import JSONResponse, Response

from local.processes import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from darkroom import ports
    from darkroom.domain.prediction import Prediction
    from darkroom.runtime.function import Function
    from starlette.requests import Request

    from local.deploy import Aws

FUNCTIONS: tuple[Function[Any, Any], ...] = (wait.FUNCTION, imagewait.FUNCTION)
AT_ONCE = 200
"""Maximum of concurrent waits. Above it the answer is the gateway's 503, like on AWS."""
CONNECTIONS = 32
GATHER_S = 0.1
"""Time for which the first read of a batch waits for others."""
SECRET_KEPT_S = 1.0
_THREADS = "darkroom-waiter"
_ALLOWED = "access-control-allow-origin"


class StoppingError(Exception):
    """The front stops during a wait."""


class _ReadAnew(SecretsManagerStore):
    """Caches secrets for a moment, because nothing restarts the front when a key is rotated."""

    def _read(self, name: str, *, force: bool = False) -> str:  # noqa: ARG002
        read_at, _ = self._cached.get(name, (0.0, ""))
        return super()._read(name, force=time.monotonic() - read_at > SECRET_KEPT_S)


class BatchedReads:
    """Combines concurrent reads of single records into one read of many."""

    def __init__(self, pause: Callable[[], object]) -> None:
        """`pause` is called between the first read of a batch and the batch."""
        self._pause = pause
        self._lock = threading.Lock()
        self.wanted: set[str] = set()
        """The ids of the next batch."""
        self._found: Future[dict[str, Prediction | UnreadableRecordError]] = Future()

    def read(
        self,
        id_: str,
        get_many: Callable[[set[str], list[UnreadableRecordError]], Iterator[Prediction]],
    ) -> Prediction | None:
        """Read the record in a batch that begins after this call. Raises what `get_many` raises."""
        with self._lock:
            leads = not self.wanted
            self.wanted.add(id_)
            found = self._found
        if leads:
            self._pause()
            with self._lock:
                ids, self.wanted, self._found = self.wanted, set(), Future()
            self._fill(found, ids, get_many)
        record = found.result().get(id_)
        if isinstance(record, UnreadableRecordError):
            raise record
        return record

    @staticmethod
    def _fill(
        found: Future[Any], ids: set[str], get_many: Callable[..., Iterator[Prediction]]
    ) -> None:
        unreadable: list[UnreadableRecordError] = []
        try:
            records = list(get_many(ids, unreadable))
        except BaseException as error:  # noqa: BLE001 - raised in every caller of the batch
            found.set_exception(error)
        else:
            broken = {error.id: error for error in unreadable}
            found.set_result({record.id: record for record in records} | broken)


@immutable
class _Batched(DynamoPredictions):
    batches: BatchedReads = field(
        default_factory=lambda: BatchedReads(lambda: time.sleep(GATHER_S)), kw_only=True
    )

    def get(self, id_: str) -> Prediction | None:
        return self.batches.read(id_, self.get_many)

    def glance(self, id_: str) -> Prediction | None:
        return self.batches.read(id_, self.get_many)


class Beside(Adapters):
    """Builds the adapters that the function needs for the embedded AWS, which is another
    process."""

    def __init__(self, aws: Aws, sleep: Callable[[float], object]) -> None:
        self._aws = aws
        self._sleep = sleep

    def sleep(self) -> Callable[[float], object]:
        return self._sleep

    def predictions(self, table: str, controls: str = "") -> ports.PredictionStore:
        client = self._aws.client("dynamodb", connections=CONNECTIONS)
        return _Batched(client, table, controls)

    def controls(self, table: str) -> ports.Controls:
        return DynamoControls(self._aws.client("dynamodb", connections=CONNECTIONS), table)

    def outputs(self, bucket: str, *, lazy: bool = False) -> ports.OutputStore:  # noqa: ARG002
        return S3Outputs(self._aws.client("s3"), bucket)

    def signer(self, outputs: str, uploads: str, endpoint: str) -> ports.Signer:
        return S3Signer(self._aws.client("s3", endpoint=endpoint), outputs, uploads)

    def secrets(self, **names: str) -> ports.Secrets:
        return _ReadAnew(self._aws.client("secretsmanager"), **names)

    def queue(self, url: str, *, lazy: bool = False) -> ports.Queue:  # noqa: ARG002
        return SqsQueue(self._aws.client("sqs"), url)


class Waiters:
    """Answers the requests of the functions that wait."""

    def __init__(
        self, aws: Aws, outputs: Mapping[str, str], *, log: Path, origins: tuple[str, ...] = ()
    ) -> None:
        """`outputs` of the stacks have the functions' names in the embedded AWS, which provides
        their environments. Raises StartError."""
        self._stopping = threading.Event()
        self._made = [
            (function, self._build(aws, function, outputs[f"Function{function.name.title()}"]))
            for function in FUNCTIONS
        ]
        self._origins = origins
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=_THREADS)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = logging.FileHandler(log, mode="w")
        logging.getLogger(logger.name).addFilter(self._divert)

    def _build(self, aws: Aws, function: Function[Any, Any], name: str) -> Any:
        try:
            found = aws.client("lambda").get_function_configuration(FunctionName=name)
        except (BotoCoreError, ClientError) as error:
            text = f"The function {function.name} cannot be looked at: {error}"
            raise StartError(text) from None
        settings = function.settings.from_env(found["Environment"]["Variables"])
        return function.build(settings, Beside(aws, self._sleep))

    def stop(self) -> None:
        """End all waits at once."""
        self._stopping.set()
        self._threads.shutdown()
        logging.getLogger(logger.name).removeFilter(self._divert)
        self._log.close()

    def serves(self, request: Request) -> bool:
        """Whether the request belongs to one of the functions."""
        return self._for(request) is not None

    def _for(self, request: Request) -> tuple[Function[Any, Any], Any] | None:
        """Return the function of the request, and what `build` made for it."""
        method, path = routes.canonical(request.method, request.url.path)
        return next(
            (each for each in self._made if routes.find(each[0].routes, method, path)), None
        )

    async def answer(self, request: Request) -> Response:
        """Return the function's answer, or the gateway's if too many requests wait."""
        found = self._for(request)
        if found is None:
            return JSONResponse({"message": "Not Found"}, status_code=404)
        if not self._room.acquire(blocking=False):
            return JSONResponse({"message": "Service Unavailable"}, status_code=503)
        try:
            loop = asyncio.get_running_loop()
            made = await loop.run_in_executor(self._threads, self._call, *found, event_of(request))
        finally:
            self._room.release()
        response = Response(made["body"], made["statusCode"])
        response.headers.update(self._headers(request, made["headers"]))
        return response

    def _call(
        self, function: Function[Any, Any], made: Any, event: dict[str, Any]
    ) -> dict[str, Any]:
        answer: dict[str, Any] = function.handle(made, event, None)
        return answer

    def _headers(self, request: Request, given: dict[str, str]) -> dict[str, str]:
        """Drop CORS headers of the function if the API has its own, like an HTTP API does."""
        if not self._origins:
            return given
        kept = {name: value for name, value in given.items() if name != _ALLOWED}
        origin = request.headers.get("origin")
        if origin not in self._origins:
            return kept
        exposed = {"access-control-expose-headers": ",".join(ANSWERED_WITH)}
        return {**kept, _ALLOWED: origin, **exposed}

    def _sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise StoppingError

    def _divert(self, record: logging.LogRecord) -> bool:
        """Write lines of these threads to their own file, since this process's output is for
        people."""
        if not threading.current_thread().name.startswith(_THREADS):
            return True
        self._log.handle(record)
        return False


def event_of(request: Request) -> dict[str, Any]:
    """Convert the request to the gateway's event (payload 2.0), as for the default route."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    query: dict[str, str] = {}
    for name, value in parse_qsl(request.url.query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    path = request.url.path
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "headers": headers,
        "queryStringParameters": query,
        "requestContext": {
            "http": {"method": request.method, "path": path},
            "requestId": uuid4().hex,
            "timeEpoch": time.time_ns() // 1_000_000,
        },
    }
