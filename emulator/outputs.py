"""The output host: files at unguessable paths, public until they are deleted."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from emulator.wire import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from emulator.faults import Faults

TAIL = b"\n"
"""Bytes appended to a file, like an editor or a careless upload appends."""
OVERSIZE_BYTES = 400_000_000
SLOW_PIECES = 50
SLOW_PAUSE_S = 0.5
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_HEADERS = {
    "cache-control": "public,max-age=3600",
    "access-control-allow-origin": "*",
    "accept-ranges": "bytes",
}


@dataclass(frozen=True)
class Output:
    """One file on the host."""

    data: bytes
    content_type: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'


class Outputs:
    """All files on the host, by path."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._files: dict[str, Output] = {}

    def put(self, name: str, data: bytes, content_type: str) -> str:
        """Store a file and return its path, `/outputs/{token}/{name}`."""
        path = f"/outputs/{secrets.token_urlsafe(32)}/{name}"
        self._files[path] = Output(data, content_type)
        return path

    def delete(self, path: str) -> None:
        """Delete a file. A missing file is not an error."""
        self._files.pop(path, None)

    async def serve(self, request: Request) -> Response:
        """Serve GET and HEAD of a file, subject to the active faults."""
        file = self._files.get(request.url.path)
        if file is None or self._faults.happens("output_404"):
            raise ProblemError(404, "Not found")
        if tail := self._faults["output_tail"]:
            file = Output(file.data + TAIL * tail, file.content_type)
        response = self._answer(request, file)
        if self._faults["output_length"] == "absent":
            # The server then uses chunked encoding, so the length is unknown before the last chunk.
            del response.headers["content-length"]
        return response

    def _answer(self, request: Request, file: Output) -> Response:
        if self._faults.happens("output_html"):
            page = "<!doctype html><title>Sorry</title><p>This file is on its way."
            return Response(page, media_type="text/html", headers=_HEADERS)
        headers = {**_HEADERS, "etag": file.etag, "content-type": file.content_type}
        if request.method == "HEAD":
            return Response(headers={**headers, "content-length": str(len(file.data))})
        if self._faults.happens("output_truncate"):
            return self._truncated(file.data, headers)
        if self._faults.happens("output_oversize"):
            headers["content-length"] = str(OVERSIZE_BYTES)
            return StreamingResponse(_oversize(file.data), headers=headers)
        if self._faults.happens("output_slow"):
            headers["content-length"] = str(len(file.data))
            return StreamingResponse(_slowly(file.data), headers=headers)
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        return _ranged(request.headers.get("range", ""), file.data, headers)

    def _truncated(self, data: bytes, headers: dict[str, str]) -> Response:
        if self._faults["output_length"] == "absent":
            # Ends like a complete answer; only the file's content shows that half of it is missing.
            return Response(data[: len(data) // 2], headers=headers)
        return Truncated(data, headers)


def _ranged(wanted: str, data: bytes, headers: dict[str, str]) -> Response:
    match = _RANGE.fullmatch(wanted)
    if not match or match.groups() == ("", ""):
        return Response(data, headers=headers)
    first, last = match.groups()
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if start > end:
        return Response(status_code=416, headers={"content-range": f"bytes */{len(data)}"})
    headers["content-range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], 206, headers)


class Truncated(Response):
    """Declares the full length, sends half, and lets the server close the connection."""

    def __init__(self, data: bytes, headers: dict[str, str]) -> None:
        super().__init__(data, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send(
            {"type": "http.response.start", "status": 200, "headers": self.raw_headers},
        )
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


async def _oversize(data: bytes) -> AsyncIterator[bytes]:
    yield data[:OVERSIZE_BYTES]
    left = OVERSIZE_BYTES - len(data)
    piece = bytes(1 << 18)
    while left > 0:
        yield piece[:left]
        left -= len(piece)
        await asyncio.sleep(0)


async def _slowly(data: bytes) -> AsyncIterator[bytes]:
    step = max(1, -(-len(data) // SLOW_PIECES))
    for start in range(0, len(data), step):
        yield data[start : start + step]
        await asyncio.sleep(SLOW_PAUSE_S)
