"""A client of the emulator, and a receiver of its webhooks."""

from __future__ import annotations

import json
import queue
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "r8_emulator_tests"
SCHNELL = "black-forest-labs/flux-schnell"


@dataclass
class Receiver:
    """The received webhooks, in order of arrival; answers with `answers` in turn, then with 200."""

    url: str
    arrived: queue.Queue[tuple[dict[str, str], bytes]] = field(default_factory=queue.Queue)
    answers: list[int] = field(default_factory=list)

    def next(self) -> tuple[dict[str, str], bytes]:
        return self.arrived.get(timeout=60)

    def next_status(self) -> str:
        return json.loads(self.next()[1])["status"]


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = receiver.answers.pop(0) if receiver.answers else 200
            receiver.arrived.put((headers, body))
            self.send_response(answer)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hooks?id=7")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Client(httpx.Client):
    """A client of the emulator with its token."""

    def __init__(self, url: str) -> None:
        headers = {"authorization": f"Bearer {TOKEN}"}
        super().__init__(base_url=url, headers=headers, trust_env=False, timeout=30)

    def faults(self, **values: object) -> None:
        """Set the faults; without simulated time unless the test sets it."""
        self.put("/_emulator/faults", json={"time_scale": 0, **values}).raise_for_status()

    def create(
        self,
        version: str = SCHNELL,
        /,
        *,
        wait: bool = False,
        body: dict | None = None,
        **values: Any,
    ) -> dict[str, Any]:
        values.setdefault("prompt", "a quiet harbour")
        response = self.post(
            "/v1/predictions",
            json={"version": version, "input": values, **(body or {})},
            headers={"prefer": "wait"} if wait else {},
        )
        assert response.status_code in {201, 202}, response.text
        return response.json()

    def prediction(self, prediction_id: str) -> dict[str, Any]:
        return self.get(f"/v1/predictions/{prediction_id}").raise_for_status().json()


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first true value of the condition."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value
