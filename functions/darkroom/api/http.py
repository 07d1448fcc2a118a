"""HTTP events of API Gateway (payload 2.0, 1.0 tolerated), and problem answers."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from darkroom.api import routes
from darkroom.domain import errors
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from darkroom.api.routes import Routes
    from darkroom.ports import ApiKey
    from darkroom.runtime.function import Route

Response = dict[str, Any]
UNKNOWN = "$default"
"""The route of a request that matches no other."""
ANSWERED_WITH = ("allow", "idempotent-replayed", "location", "retry-after", "warning")
"""Headers that functions set, and that a browser's script may read from an answer."""


@immutable
class Request:
    """One request in its canonical form. Header names are as received; see `header`."""

    route: str
    method: str
    path: str
    parameters: dict[str, str]
    query: dict[str, str]
    headers: dict[str, object]
    body: bytes
    received_at: int | None
    """Time of receipt by the gateway, in milliseconds."""

    def header(self, name: str) -> str | None:
        """Return the header's only value; None if absent. Raises BadRequestError for two values."""
        values = [value for key, value in self.headers.items() if key.lower() == name]
        if len(values) > 1 or any(not isinstance(value, str) for value in values):
            raise errors.BadRequestError(f"The header {name} came more than once.")
        return str(values[0]) if values else None


class Call:
    """A request to a route, with the caller once it is known."""

    __slots__ = ("asked", "headers", "key", "request", "status", "tenant")
    key: ApiKey
    """The caller's API key; absent on a route without one."""
    tenant: str
    """The tenant of the key."""

    def __init__(self, request: Request, status: int, asked: dict[str, str]) -> None:
        self.request = request
        self.status = status
        """Status of the answer: the route's own, unless the serving function sets another."""
        self.asked = asked
        """The query without the cursor, repeated in the links to other pages."""
        self.headers: dict[str, str] = {}
        """Headers of the answer."""

    def named(self, name: str) -> str:
        """Return the path's value for the route's `{name}`."""
        return self.request.parameters[name]


def read_request(event: dict[str, Any], ours: dict[str, Route]) -> Request:
    """Parse the event of a function with these routes. Raises BadRequestError for an invalid base64
    body.

    Only here are spellings normalized: /v1/v1/…, /prod/v1/… and a trailing slash become /v1/…, and
    HEAD becomes GET.
    """
    context = event.get("requestContext") or {}
    path = event.get("rawPath") or event.get("path") or "/"
    method, path = routes.canonical(_method(event), path)
    key = event.get("routeKey") or "$default"
    parameters = event.get("pathParameters") or {}
    if routes.is_open(key):
        key, parameters = routes.find(ours, method, path) or (UNKNOWN, {})
    elif key not in ours:
        key = routes.canonical_key(key)
    return Request(
        route=key,
        method=method,
        path=path,
        parameters=parameters,
        query=event.get("queryStringParameters") or {},
        headers=_headers(event),
        body=_body(event),
        received_at=context.get("timeEpoch"),
    )


def _method(event: dict[str, Any]) -> str:
    http = (event.get("requestContext") or {}).get("http") or {}
    return str(http.get("method") or event.get("httpMethod") or "GET")


def _headers(event: dict[str, Any]) -> dict[str, object]:
    many = event.get("multiValueHeaders")
    if many:
        # In payload 1.0, `headers` has only the last of several values.
        return {name: values[0] if len(values) == 1 else values for name, values in many.items()}
    return dict(event.get("headers") or {})


def _body(event: dict[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(text).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise errors.BadRequestError("The body is not base64.") from None


def answer(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    }


def warning(text: str) -> str:
    """What the header `warning` says of a request that was served all the same."""
    return f'299 darkroom "{text}"'


def page(
    here: str,
    results: list[dict[str, Any]],
    cursor: str | None,
    previous: str | None = None,
    asked: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a page in the provider's form. `here` is the list's own URL; both links repeat `asked`
    besides their cursors, since clients follow them unchanged."""

    def link(to: str | None) -> str | None:
        query = urlencode({"cursor": to, **(asked or {})}, quote_via=quote, safe="")
        return f"{here}?{query}" if to else None

    return {"next": link(cursor), "previous": link(previous), "results": results}


def binary(status: int, body: bytes, headers: dict[str, str]) -> Response:
    """Return an answer whose body is bytes, of the type that the headers name."""
    encoded = base64.b64encode(body).decode()
    return {"statusCode": status, "headers": headers, "body": encoded, "isBase64Encoded": True}


_STATUS: dict[type[Exception], tuple[int, str]] = {
    errors.BadRequestError: (400, "Bad request"),
    errors.NotAuthenticatedError: (401, "Unauthenticated"),
    errors.WebhookRefusedError: (401, "Unauthenticated"),
    errors.PaymentRequiredError: (402, "Insufficient credit"),
    errors.OutOfScopeError: (403, "Forbidden"),
    errors.NotFoundError: (404, "Not found"),
    errors.NoThumbnailError: (404, "Not found"),
    errors.NotServedError: (404, "Not served by Darkroom"),
    errors.MethodNotAllowedError: (405, "Method not allowed"),
    errors.TooLargeError: (413, "Too large"),
    errors.UnsupportedMediaError: (415, "Unsupported media type"),
    errors.TooManyRequestsError: (429, "Too many requests"),
    errors.UnavailableError: (503, "Temporarily unavailable"),
    errors.UnreadableRecordError: (503, "Temporarily unavailable"),
}
_NAME_SHOWN = 60
UNREADABLE_RETRY_S = 60
"""An unreadable record is repaired by people, or by the next deployment."""


def problem(error: Exception) -> Response:
    """Return the answer to an error, in the provider's form. Unexpected errors reveal nothing."""
    extra: dict[str, Any] = {}
    headers = {"content-type": "application/problem+json"}
    if isinstance(error, errors.InvalidInputError):
        status, title = 422, error.title
        if error.fields:
            extra["invalid_fields"] = [
                {"type": kind, "field": field, "description": description}
                for kind, field, description in error.fields
            ]
    else:
        status, title = _STATUS.get(type(error), (500, "Internal error"))
    if isinstance(error, errors.TooManyRequestsError):
        extra["retry_after"] = error.retry_after
        headers["retry-after"] = str(error.retry_after)
    if isinstance(error, errors.MethodNotAllowedError):
        headers["allow"] = ", ".join(error.allowed)
    detail = str(error) if status != 500 else "Something went wrong on our side; try again."
    if isinstance(error, errors.UnreadableRecordError):
        headers["retry-after"] = str(UNREADABLE_RETRY_S)
        detail = "The prediction cannot be read at the moment; try again later."
    if isinstance(error, errors.WebhookRefusedError):
        # One text for every reason, so that a forger learns nothing from it.
        detail = "The webhook could not be verified."
    body = {"title": title, "detail": detail, "status": status, **extra}
    return answer(status, body, headers)


def respond(
    event: dict[str, Any],
    ours: Routes[Any],
    made: Any,
    refusal: Callable[[Exception], Response] = problem,
) -> Response:
    """Parse the request, run its route, and turn any error into an answer by `refusal`, which is a
    problem unless the routes belong to another API.

    `made` is what `build` returned; if the routes need an API key, it has an `authenticate`.
    """
    from darkroom.runtime.observability import logger

    try:
        request = read_request(event, ours)
        response = _run(request, ours, made)
        logger.info("answered", route=request.route, status=response["statusCode"])
    except errors.DarkroomError as error:
        response = refusal(error)
        if isinstance(error, errors.UnreadableRecordError):
            logger.error("unreadable", prediction=error.id, reason=error.reason)
        logger.info(
            "refused",
            route=event.get("routeKey"),
            status=response["statusCode"],
            reason=type(error).__name__,
        )
    except Exception:  # noqa: BLE001 - the edge: nothing of it may reach the client
        logger.exception("failed", route=event.get("routeKey"))
        response = refusal(RuntimeError())
    # An answer is valid only at this moment, and only for the holder of this token, unless its
    # route says otherwise.
    response["headers"].setdefault("cache-control", "no-store")
    if _method(event) == "HEAD":
        response["body"] = ""
    return response


def _run(request: Request, ours: Routes[Any], made: Any) -> Response:
    route = ours.get(request.route)
    if route is None:
        raise routes.unserved(request.method, request.path)
    asked = {name: text for name, text in request.query.items() if name != "cursor"}
    call = Call(request, route.status, asked)
    if route.scope is not None:
        call.key = made.authenticate.key(request.header("authorization"), route.scope)
        call.tenant = call.key.tenant
        ours.admit(made, call)
    _check_names(request.query, route.query)
    body = route.run(made, call)
    if body is None:
        return {"statusCode": call.status, "headers": {"content-type": "text/plain"}, "body": ""}
    if isinstance(body, str):
        # Written already, under the content type that the call's headers name.
        return {"statusCode": call.status, "headers": call.headers, "body": body}
    if isinstance(body, bytes):
        return binary(call.status, body, call.headers)
    return answer(call.status, body, call.headers)


def _check_names(query: Mapping[str, str], names: tuple[str, ...] | None) -> None:
    """Reject a name that the route does not have, since it would be ignored."""
    if names is None:
        return
    for name in query:
        if name not in names:
            known = f"there are {', '.join(names)}" if names else "there are none"
            shown = "".join(c if c.isprintable() else "?" for c in name[:_NAME_SHOWN])
            raise errors.BadRequestError(f"There is no query parameter {shown}: {known}.")
