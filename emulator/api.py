"""Replicate's HTTP API under /v1."""

from __future__ import annotations

import asyncio
import math
import re
import struct
import time
from contextlib import suppress
from hmac import compare_digest
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from emulator.checking import problems
from emulator.files import MAX_UPLOAD_BYTES, TOO_LARGE
from emulator.predictions import EVENTS, Prediction
from emulator.wire import (
    ProblemError,
    invalid,
    json_response,
    page,
    parse_time,
    read_body,
    read_json,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from emulator.models import Model
    from emulator.server import Emulator

    Handler = Callable[[Request], Awaitable[Response]]

NOT_FOUND = "The requested resource could not be found."
MAX_WAIT_S = 60
MIN_CANCEL_AFTER_S = 5
_PREFER = re.compile(r"wait(?:=([1-9][0-9]?))?", re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)
_JSON_TYPES = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}
_BODY: dict[str, tuple[type, ...]] = {
    "input": (dict,),
    "webhook": (str,),
    "webhook_completed": (str, type(None)),
    "webhook_events_filter": (list,),
    "stream": (bool,),
}


class Api:
    """One method per operation; `routes` maps paths to them."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._base_url = emulator.url

    def routes(self) -> list[Route]:
        """Return all routes of /v1. Only the stream's URL needs no token, because it is a
        capability URL."""
        model = "/v1/models/{owner}/{name}"
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/v1/predictions", self.create),
            ("GET", "/v1/predictions", self.list_predictions),
            ("GET", "/v1/predictions/{id}", self.get_prediction),
            ("POST", "/v1/predictions/{id}/cancel", self.cancel),
            ("GET", "/v1/models", self.list_models),
            ("GET", model, self.get_model),
            ("GET", model + "/versions", self.list_versions),
            ("GET", model + "/versions/{id}", self.get_version),
            ("POST", model + "/predictions", self.create_for_model),
            ("POST", "/v1/files", self.upload),
            ("GET", "/v1/files", self.list_files),
            ("GET", "/v1/files/{id}", self.get_file),
            ("DELETE", "/v1/files/{id}", self.delete_file),
            ("GET", "/v1/account", self.account),
            ("GET", "/v1/webhooks/default/secret", self.webhook_secret),
        ]
        routes = [
            Route(path, self._authenticated(handler), methods=[method])
            for method, path, handler in table
        ]
        return [*routes, Route("/v1/streams/{token}", self.stream)]

    def _authenticated(self, handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            self._authenticate(request.headers.get("authorization", ""))
            response = await handler(request)
            is_create = handler in {self.create, self.create_for_model}
            response.headers["ratelimit-remaining"] = "599" if is_create else "2999"
            response.headers["ratelimit-reset"] = "1"
            return response

        return handle

    def _authenticate(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        if not header:
            raise ProblemError(401, "You did not pass an authentication token", "Unauthenticated")
        wanted = self._emulator.options.token
        good = compare_digest(token.encode(), wanted.encode()) if wanted else bool(token)
        if scheme.lower() not in {"bearer", "token"} or not good:
            raise ProblemError(
                401, "You did not pass a valid authentication token", "Unauthenticated"
            )

    # Predictions

    async def create(self, request: Request) -> Response:
        await self._refuse_by_fault()
        body = await read_json(request)
        _check_body(body, versioned=True)
        found = self._emulator.models.resolve(body["version"])
        if found is None:
            raise ProblemError(
                422,
                "The specified version does not exist (or perhaps you don't have permission "
                "to use it?)",
                "Invalid version or not permitted",
            )
        return await self._create(request, body, *found)

    async def create_for_model(self, request: Request) -> Response:
        await self._refuse_by_fault()
        model = self._model(request)
        if not model.official:
            raise ProblemError(404, NOT_FOUND)
        body = await read_json(request)
        _check_body(body, versioned=False)
        return await self._create(request, body, model, model.version)

    async def _refuse_by_fault(self) -> None:
        """Raise the error of an active fault that prevents the create."""
        faults = self._emulator.faults
        _refuse_with(faults["create_status"])
        if faults.happens("create_429"):
            seconds = math.ceil(faults["retry_after_s"])
            raise ProblemError(
                429,
                f"Request was throttled. Your rate limit resets in ~{seconds}s.",
                headers={"retry-after": str(seconds)},
                retry_after=seconds,
            )
        if faults.happens("create_500"):
            raise ProblemError(500, "Internal server error")
        if faults["create_hang_s"]:
            await faults.hold(faults["create_hang_s"])
            raise GatewayTimeoutError

    async def _create(
        self, request: Request, body: dict[str, Any], model: Model, version: str
    ) -> Response:
        if found := problems(model.input_schema, body["input"]):
            raise invalid(found)
        cancel_after = _cancel_after(request.headers.get("cancel-after"))
        wait = _wait(request.headers.get("prefer", ""))
        faults = self._emulator.faults
        drop = faults.happens("create_accept_then_drop")
        await faults.hold(faults["create_late_s"])
        prediction = self._emulator.predictions.create(
            model,
            version,
            body["input"],
            webhook=body.get("webhook"),
            events=tuple(body.get("webhook_events_filter", EVENTS)),
            cancel_after=cancel_after,
        )
        if drop:
            return Reset()
        if wait is None:
            return self._created(prediction, 201)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await prediction.done.wait()
        response = self._created(prediction, 201 if prediction.terminal else 202)
        response.headers["preference-applied"] = request.headers["prefer"]
        return response

    def _created(self, prediction: Prediction, status: int) -> Response:
        view = self._emulator.showing.created(prediction)
        if status == 202:
            # Clients take a blocking answer with any status but `starting` for the result.
            view |= {"status": "starting", "output": None}
        return json_response(view, status)

    async def list_predictions(self, request: Request) -> Response:
        faults = self._emulator.faults
        query = request.query_params
        earliest = parse_time(query["created_after"]) if "created_after" in query else -math.inf
        before = parse_time(query["created_before"]) if "created_before" in query else math.inf
        known_before = time.time() - max(faults["list_lag_s"], faults["get_404_s"])
        shown = [
            prediction
            for prediction in reversed(self._emulator.predictions.oldest_first())
            if earliest <= prediction.created < before
            and prediction.created <= known_before
            and query.get("source") != "web"
        ]
        return page(
            request,
            self._base_url,
            shown,
            size=100,
            key=lambda item: item.seq,
            show=self._emulator.showing.view,
        )

    async def get_prediction(self, request: Request) -> Response:
        _refuse_with(self._emulator.faults["read_status"])
        prediction = self._prediction(request)
        if time.time() - prediction.created < self._emulator.faults["get_404_s"]:
            raise ProblemError(404, NOT_FOUND)
        return json_response(self._emulator.showing.view(prediction))

    async def cancel(self, request: Request) -> Response:
        prediction = self._prediction(request)
        self._emulator.predictions.cancel(prediction)
        return json_response(self._emulator.showing.view(prediction))

    def _prediction(self, request: Request) -> Prediction:
        prediction = self._emulator.predictions.get(request.path_params["id"])
        if prediction is None:
            raise ProblemError(404, NOT_FOUND)
        return prediction

    async def stream(self, request: Request) -> Response:
        stream = self._emulator.predictions.streaming(request.path_params["token"])
        if stream is None:
            raise ProblemError(404, NOT_FOUND)
        headers = {"cache-control": "no-store", "access-control-allow-origin": "*"}
        return StreamingResponse(stream.read(), headers=headers, media_type="text/event-stream")

    # Models

    def _model(self, request: Request) -> Model:
        params = request.path_params
        model = self._emulator.models.named(params["owner"], params["name"])
        if model is None:
            raise ProblemError(404, NOT_FOUND)
        return model

    def _model_view(self, model: Model) -> dict[str, Any]:
        runs = self._emulator.predictions.oldest_first()
        return model.view(sum(run.model is model for run in runs))

    async def list_models(self, request: Request) -> Response:
        models = list(enumerate(self._emulator.models.all))
        return page(
            request,
            self._base_url,
            models[::-1],
            size=25,
            key=lambda item: item[0],
            show=lambda item: self._model_view(item[1]),
        )

    async def get_model(self, request: Request) -> Response:
        return json_response(self._model_view(self._model(request)))

    async def list_versions(self, request: Request) -> Response:
        model = self._model(request)
        # An official model has no versions to choose from.
        versions = [] if model.official else sorted(model.versions, key=model.version.__eq__)
        return page(
            request,
            self._base_url,
            list(enumerate(versions))[::-1],
            size=25,
            key=lambda item: item[0],
            show=lambda item: model.version_view(item[1]),
        )

    async def get_version(self, request: Request) -> Response:
        model, version = self._model(request), request.path_params["id"]
        if version not in model.versions:
            raise ProblemError(404, NOT_FOUND)
        return json_response(model.version_view(version))

    # Files

    async def upload(self, request: Request) -> Response:
        body = await read_body(request, MAX_UPLOAD_BYTES, TOO_LARGE)
        file = self._emulator.files.add(request.headers.get("content-type", ""), body)
        return json_response(file.view(self._base_url), 201)

    async def list_files(self, request: Request) -> Response:
        return page(
            request,
            self._base_url,
            self._emulator.files.newest_first(),
            size=100,
            key=lambda file: file.seq,
            show=lambda file: file.view(self._base_url),
        )

    async def get_file(self, request: Request) -> Response:
        file = self._emulator.files.get(request.path_params["id"])
        if file is None:
            raise ProblemError(404, "File not found")
        return json_response(file.view(self._base_url))

    async def delete_file(self, request: Request) -> Response:
        if not self._emulator.files.delete(request.path_params["id"]):
            raise ProblemError(404, "File not found")
        return Response(status_code=204)

    # Account

    async def account(self, _request: Request) -> Response:
        return json_response(
            {"type": "organization", "username": "emulator", "name": "Emulated account"}
        )

    async def webhook_secret(self, _request: Request) -> Response:
        return json_response({"key": self._emulator.webhooks.secret})


class GatewayTimeoutError(ProblemError):
    """The edge timed out. Its answer is no problem document, as from any load balancer."""

    def __init__(self) -> None:
        super().__init__(504, "upstream request timeout")

    def response(self) -> Response:
        return PlainTextResponse("upstream request timeout", self.status)


class Reset(Response):
    """Resets the connection before any byte of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        transport: asyncio.Transport = scope["state"]["transport"]
        # Zero linger turns the close into a reset.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
        transport.abort()
        # The server must notice the loss before this returns; otherwise it would answer 500.
        await asyncio.sleep(0)


def _refuse_with(status: int) -> None:
    if status:
        raise ProblemError(status, f"The emulator was told to answer {status}.")


def _check_body(body: Any, *, versioned: bool) -> None:
    """Check the top level of a create. Raises a 422 that lists every problem."""
    if not isinstance(body, dict):
        raise invalid([("invalid_type", "", _wrong_type("object", body))])
    types = {"version": (str,), **_BODY} if versioned else _BODY
    required = ("version", "input") if versioned else ("input",)
    problems = [("required", "", f"{name} is required") for name in required if name not in body]
    for name, value in body.items():
        if name not in types:
            text = f"Additional property {name} is not allowed"
            problems.append(("additional_property_not_allowed", "", text))
        elif type(value) not in types[name]:
            expected = _JSON_TYPES[types[name][0]]
            problems.append(("invalid_type", name, _wrong_type(expected, value)))
        elif name == "webhook" and not _is_url(value):
            problems.append(("format", name, "Does not match format 'uri'"))
        elif name == "webhook_events_filter":
            problems += _unknown_events(value)
    if problems:
        raise invalid(problems)


def _unknown_events(events: list[Any]) -> list[tuple[str, str, str]]:
    known = ", ".join(f'"{event}"' for event in EVENTS)
    fields = [f"webhook_events_filter.{n}" for n, event in enumerate(events) if event not in EVENTS]
    return [("enum", field, f"{field} must be one of the following: {known}") for field in fields]


def _wrong_type(expected: str, given: object) -> str:
    return f"Invalid type. Expected: {expected}, given: {_JSON_TYPES[type(given)]}"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _wait(prefer: str) -> float | None:
    match = _PREFER.fullmatch(prefer)
    return min(int(match[1] or MAX_WAIT_S), MAX_WAIT_S) if match else None


def _cancel_after(header: str | None) -> float | None:
    if header is None:
        return None
    if header.isascii() and header.isdigit() and len(header) <= 9:
        seconds = int(header)
    else:
        match = _DURATION.fullmatch(header)
        parts = [int(part or 0) for part in match.groups()] if match else [0, 0, 0]
        seconds = parts[0] * 3600 + parts[1] * 60 + parts[2]
    if seconds < MIN_CANCEL_AFTER_S:
        raise ProblemError(
            422, "Cancel-After is a duration of at least 5 seconds.", "Invalid header"
        )
    return seconds
