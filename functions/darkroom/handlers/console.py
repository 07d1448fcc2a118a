"""GET /console…: the console's files. Of the door `console`.

It has no right at AWS and knows no key: the page in the browser calls the API by itself.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.http import Response, respond
from darkroom.api.routes import Routes
from darkroom.domain.errors import NotFoundError
from darkroom.runtime.function import Function
from darkroom.runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.api.http import Call, Request
    from darkroom.runtime.adapters import Adapters

FOLDER = Path(__file__).parents[1] / "console"
PAGE = "index.html"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class ConsoleSettings(Settings):
    public_url: str
    picture_origins: tuple[str, ...]
    """Origins from which the page may show pictures and films: the CDN's or the buckets'."""
    upload_origins: tuple[str, ...]
    """Origins to which the page may send the form of a large upload."""


class StaticFile(NamedTuple):
    """A file in both forms in which it is served."""

    content_type: str
    plain: bytes
    compressed: bytes
    etag: str


class Console(NamedTuple):
    files: Mapping[str, StaticFile]
    """By name. A path that is no name in it reaches no file system."""
    headers: dict[str, str]
    """Sent with every answer, errors included."""


def build(s: ConsoleSettings, _adapters: Adapters) -> Console:
    return Console(read_files(), _security_headers(s))


def read_files() -> dict[str, StaticFile]:
    """Read the files of the console by their names."""
    files = (path for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES)
    return {path.name: _static(_TYPES[path.suffix], path.read_bytes()) for path in files}


def _static(content_type: str, plain: bytes) -> StaticFile:
    # Weak, because it is that of both forms.
    etag = f'W/"{hashlib.sha256(plain).hexdigest()[:20]}"'
    return StaticFile(content_type, plain, gzip.compress(plain, mtime=0), etag)


def _security_headers(s: ConsoleSettings) -> dict[str, str]:
    pictures = " ".join(("'self'", *dict.fromkeys((s.public_url, *s.picture_origins))))
    forms = " ".join(("'self'", *dict.fromkeys(s.upload_origins)))
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Previews of files that the visitor chose are blobs.
        f"img-src {pictures} blob:",
        f"media-src {pictures} blob:",
        f"connect-src {forms}",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return {
        "content-security-policy": "; ".join(policy),
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


ROUTES: Routes[Console] = Routes()


@ROUTES.add("GET /console", scope=None)
def show_page(made: Console, call: Call) -> bytes:
    """The page"""
    return _serve(made, call, PAGE)


@ROUTES.add("GET /console/{rest+}", scope=None)
def show_file(made: Console, call: Call) -> bytes:
    """A file of the page"""
    return _serve(made, call, call.request.path.rpartition("/")[2])


def _serve(made: Console, call: Call, name: str) -> bytes:
    """Return the file's bytes in a form that the browser takes; none if it has them already."""
    file = made.files.get(name)
    if file is None:
        raise NotFoundError("The console has no such file.")
    call.headers |= {
        "cache-control": "no-cache",
        "content-type": file.content_type,
        "etag": file.etag,
        "vary": "accept-encoding",
    }
    if _has_already(call.request, file):
        call.status = 304
        return b""
    if _takes_gzip(call.request):
        call.headers["content-encoding"] = "gzip"
        return file.compressed
    return file.plain


def _has_already(request: Request, file: StaticFile) -> bool:
    tags = (tag.strip() for tag in (request.header("if-none-match") or "").split(","))
    return any(tag == "*" or tag.removeprefix("W/") == file.etag[2:] for tag in tags)


def _takes_gzip(request: Request) -> bool:
    codings = (request.header("accept-encoding") or "").lower().split(",")
    parts = (coding.replace(" ", "").partition(";q=") for coding in codings)
    # A weight of zero refuses it.
    return any(name == "gzip" and (weight or "1").strip("0.") for name, _, weight in parts)


def handle(made: Console, event: dict[str, Any], _context: Any) -> Response:
    """Serve a file of the console."""
    response = respond(event, ROUTES, made)
    response["headers"] |= made.headers
    return response


FUNCTION = Function(
    __name__,
    settings=ConsoleSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    memory_mb=256,
    timeout_s=10,
    rights=(),
    door="console",
)
handler = FUNCTION.handler()
