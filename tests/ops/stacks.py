"""CloudFormation for the commands: the stacks and their outputs.

A separate server, because moto's would need packages that the lock lacks.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"


@dataclass
class Stacks:
    """Outputs by stack name. `asked` are the called actions."""

    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def describe(self) -> str:
        """Return the answer to DescribeStacks in the query protocol."""
        members = "".join(_stack(name, told) for name, told in self.outputs.items())
        return (
            f'<DescribeStacksResponse xmlns="{NAMESPACE}"><DescribeStacksResult>'
            f"<Stacks>{members}</Stacks></DescribeStacksResult></DescribeStacksResponse>"
        )


def _stack(name: str, outputs: dict[str, str]) -> str:
    told = "".join(
        f"<member><OutputKey>{key}</OutputKey><OutputValue>{escape(value)}</OutputValue></member>"
        for key, value in outputs.items()
    )
    return (
        f"<member><StackName>{name}</StackName><StackStatus>UPDATE_COMPLETE</StackStatus>"
        f"<CreationTime>2026-01-01T00:00:00Z</CreationTime><Outputs>{told}</Outputs></member>"
    )


@contextlib.contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stacks]:
    """The CloudFormation of every client, until the end of the block."""
    stacks = Stacks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            stacks.asked.append(parse_qs(body)["Action"][0])
            answer = stacks.describe().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        stacks.url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", stacks.url)
        try:
            yield stacks
        finally:
            server.shutdown()


TABLE = "controls"
