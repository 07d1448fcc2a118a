"""Wire formats shared by all routes: JSON in and out, problems, pages, times."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import parse_qs, urlencode

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

Item = TypeVar("Item")

MAX_JSON_BYTES = 64_000_000


class ProblemError(Exception):
    """An error answer, raised to the handler that writes it."""

    def __init__(
        self,
        status: int,
        detail: str,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers
        self.body: dict[str, object] = {"title": title} if title else {}
        self.body |= {"detail": detail, "status": status, **extra}

    def response(self) -> Response:
        """Return the problem as `application/problem+json`; 304 has no body."""
        body = None if self.status == 304 else encode(self.body)
        return Response(body, self.status, self.headers, media_type="application/problem+json")


def invalid(problems: Sequence[tuple[str, str, str]]) -> ProblemError:
    """Return a 422 from (type, field, description) in gojsonschema's vocabulary; field "" is the
    root."""
    return ProblemError(
        422,
        "".join(f"- {field}: {text}\n" if field else f"- {text}\n" for _, field, text in problems),
        "Input validation failed",
        invalid_fields=[
            {"type": kind, "field": field, "description": text} for kind, field, text in problems
        ],
    )


def encode(value: object) -> bytes:
    """Encode as compact UTF-8. A lone surrogate, which UTF-8 cannot express, stays an escape."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON answer."""
    return Response(encode(value), status, headers, media_type="application/json")


async def read_body(request: Request, limit: int, too_large: str) -> bytes:
    """Read the whole body. Raises a 413 with the text `too_large` once it exceeds the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise ProblemError(413, too_large)
    return bytes(body)


async def read_json(request: Request) -> Any:
    """Parse the body as strict JSON. Raises a 400 or 413."""
    raw = await read_body(request, MAX_JSON_BYTES, "The request body is too large.")
    try:
        return json.loads(raw, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise ProblemError(400, "The request body is not valid JSON.", "Bad request") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def timestamp(seconds: float, digits: int = 3) -> str:
    """Format as RFC 3339 in UTC, with milliseconds (3) or microseconds (6)."""
    kind = "milliseconds" if digits == 3 else "microseconds"
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=kind).replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Parse ISO 8601 to Unix seconds; without an offset it is UTC. Raises a 400."""
    try:
        # An unescaped "+" in a query string arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ProblemError(400, f"{text!r} is not an ISO 8601 time.", "Bad request") from None


def page(
    request: Request,
    base_url: str,
    items: Sequence[Item],
    *,
    size: int,
    key: Callable[[Item], int],
    show: Callable[[Item], object],
) -> Response:
    """Return one page of `items`, whose keys decrease, with absolute links to its neighbors."""
    after, before = _read_cursor(request.query_params.get("cursor"))
    if before is not None:
        chosen = [item for item in items if key(item) > before][-size:]
    else:
        chosen = [item for item in items if after is None or key(item) < after][:size]

    def link(name: str, edge: int) -> str:
        cursor = base64.urlsafe_b64encode(f"{name}={edge}".encode()).decode()
        query = {**request.query_params, "cursor": cursor}
        return f"{base_url}{request.url.path}?{urlencode(query)}"

    first, last = (key(chosen[0]), key(chosen[-1])) if chosen else (None, None)
    more = last is not None and any(key(item) < last for item in items)
    earlier = first is not None and any(key(item) > first for item in items)
    return json_response(
        {
            "next": link("after", last) if more and last is not None else None,
            "previous": link("before", first) if earlier and first is not None else None,
            "results": [show(item) for item in chosen],
        }
    )


def _read_cursor(cursor: str | None) -> tuple[int | None, int | None]:
    if cursor is None:
        return None, None
    try:
        fields = parse_qs(base64.b64decode(cursor, altchars=b"-_", validate=True).decode("ascii"))
        after, before = fields.get("after"), fields.get("before")
        return (int(after[0]) if after else None), (int(before[0]) if before else None)
    except ValueError:
        raise ProblemError(404, "Invalid cursor.") from None
