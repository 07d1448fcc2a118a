"""Endpoints that answer at once: DynamoDB's item calls from a dict, secrets, S3's put, and the
provider's create. Started by bench/warm.py in a separate process."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ITEMS: dict[tuple[str, str], Any] = {}


def answer(target: str, body: dict[str, Any]) -> dict[str, Any]:
    """Answer the named operation of DynamoDB or Secrets Manager. Conditions always hold."""
    match target.rpartition(".")[2]:
        case "PutItem":
            _put(body)
        case "TransactWriteItems":
            for write in body["TransactItems"]:
                if "Put" in write:
                    _put(write["Put"])
        case "GetItem":
            item = ITEMS.get((body["TableName"], _key(body["Key"])))
            return {"Item": item} if item else {}
        case "UpdateItem":
            item = ITEMS.get((body["TableName"], _key(body["Key"])), body["Key"])
            return {"Attributes": item} if body.get("ReturnValues") else {}
        case "GetSecretValue":
            return {"Name": body["SecretId"], "SecretString": os.environ[body["SecretId"]]}
    return {}


def _put(write: dict[str, Any]) -> None:
    ITEMS.setdefault((write["TableName"], _key(write["Item"])), write["Item"])


def _key(item: dict[str, Any]) -> str:
    return str((item.get("id") or item["pk"])["S"])


class Stub(BaseHTTPRequestHandler):
    """Keeps connections open, like the real endpoints."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        """Serve one call."""
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        target = self.headers.get("x-amz-target")
        if target:
            self._send(200, answer(target, json.loads(sent)))
        else:
            self._send(201, {"id": "p" * 26, "status": "starting", "input": {}, "output": None})

    def do_PUT(self) -> None:
        """Accept an object and discard it."""
        left = int(self.headers.get("content-length", 0))
        while left:
            left -= len(self.rfile.read(min(left, 1_000_000)))
        self._send(200, None)

    def handle_expect_100(self) -> bool:
        """Flush the 100 Continue at once, since S3's clients wait a second for it."""
        answered = super().handle_expect_100()
        self.wfile.flush()
        return answered

    def _send(self, status: int, body: dict[str, Any] | None) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log nothing."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as server:
        server.daemon_threads = True
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()
