"""Reading a thumbnail by its URL, from a server that behaves as it likes."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from darkroom.outbound.http import Client
from darkroom.outbound.previews import MOST_BYTES, UrlPreviews

if TYPE_CHECKING:
    from collections.abc import Iterator

WEBP = {"content-type": "image/webp"}
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/small": (200, WEBP, b"RIFF small"),
    "/largest": (200, WEBP, bytes(MOST_BYTES)),
    "/too-large": (200, WEBP, bytes(MOST_BYTES + 1)),
    "/page": (200, {"content-type": "text/html"}, b"<html>"),
    "/untyped": (200, {}, b"RIFF"),
    "/none": (404, {"content-type": "application/problem+json"}, b"{}"),
    "/broken": (500, WEBP, b"RIFF"),
    "/nowhere": (302, {}, b""),
    "/moved": (302, {"location": "{here}/small"}, b""),
    "/moved-twice": (302, {"location": "{here}/moved"}, b""),
    "/moved-badly": (302, {"location": "nothing"}, b""),
}


@pytest.fixture(scope="module")
def here() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = ANSWERS[self.path]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value.format(here=url))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        try:
            yield url
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("path", "size"),
    [("/small", 10), ("/moved", 10), ("/largest", MOST_BYTES)],
)
def test_a_thumbnail_is_read_at_its_url_or_one_redirect_further(
    here: str, path: str, size: int
) -> None:
    found = UrlPreviews(Client())(here + path)
    assert found is not None
    assert len(found) == size


@pytest.mark.parametrize(
    "path",
    [
        *("/too-large", "/page", "/untyped", "/none", "/broken"),
        *("/nowhere", "/moved-twice", "/moved-badly"),
    ],
)
def test_whatever_is_no_small_thumbnail_is_none(here: str, path: str) -> None:
    assert UrlPreviews(Client())(here + path) is None


def test_a_server_that_is_not_there_is_none() -> None:
    assert UrlPreviews(Client())("http://127.0.0.1:9/small") is None
