"""Receives callbacks on this machine during a run."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from darkroom.domain.signature import KeyRejectedError, SignatureRejectedError, load_keys, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_BODY = 8_000_000


@dataclass
class Receiver:
    """The target of callbacks. Without `listens` it is an external URL, and arrivals are not
    seen."""

    url: str
    listens: bool = False
    got: list[tuple[dict[str, str], bytes, float]] = field(default_factory=list, repr=False)

    def signed(self, prediction: str, secret: str) -> tuple[int, int]:
        """Return how many callbacks about the prediction were correctly signed, and how many
        not."""
        about = [one for one in self.got if one[0].get("webhook-id", "").startswith(prediction)]
        good = sum(_is_signed(headers, body, at, secret) for headers, body, at in about)
        return good, len(about) - good


def _is_signed(headers: dict[str, str], body: bytes, at: float, secret: str) -> bool:
    try:
        verify(headers, body, keys=load_keys([secret]), now=at)
    except (SignatureRejectedError, KeyRejectedError):
        return False
    return True


@contextmanager
def receiving(url: str | None, port: int | None) -> Iterator[Receiver]:
    """Yield a receiver at `url`. With a port (0 for a free one) it listens on this machine's
    loopback."""
    if port is None:
        yield Receiver(url or "")
        return
    receiver = Receiver("", listens=True)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("content-length") or 0), LARGEST_BODY)
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append((headers, body, time.time()))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        receiver.url = url or f"http://127.0.0.1:{server.server_address[1]}/live"
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
