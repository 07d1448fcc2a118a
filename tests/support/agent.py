"""Messages of the Model Context Protocol, as its clients of both eras send them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support import events
from tests.support.app import ACME, bearer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.app import Answer, App

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
TASKS = "io.modelcontextprotocol/tasks"


def post(
    app: App,
    body: object,
    headers: Mapping[str, str] | None = None,
    token: str | None = ACME,
) -> Answer:
    """POST a body; what is no text is sent as JSON."""
    if not isinstance(body, str | bytes):
        body = json.dumps(body)
    sent = {"content-type": "application/json", **bearer(token), **(headers or {})}
    return app.http("mcp", events.http("POST", "/mcp", body, sent))


def message(method: str, params: Mapping[str, Any] | None = None, id_: object = 1) -> Any:
    """A request, as older clients send it."""
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": dict(params or {})}


def modern(
    method: str,
    params: Mapping[str, Any] | None = None,
    extensions: tuple[str, ...] = (),
    version: str = MODERN,
) -> tuple[Any, dict[str, str]]:
    """A request as clients of today send it: its body, and the headers that say the same."""
    given = dict(params or {})
    capabilities = {"extensions": {name: {} for name in extensions}} if extensions else {}
    meta = {
        f"{META}protocolVersion": version,
        f"{META}clientCapabilities": capabilities,
        f"{META}clientInfo": {"name": "test", "version": "1"},
    }
    headers = {"mcp-protocol-version": version, "mcp-method": method}
    name = given.get("name" if method == "tools/call" else "taskId")
    if isinstance(name, str):
        headers["mcp-name"] = name
    return message(method, {**given, "_meta": meta}), headers


def ask(
    app: App,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    token: str | None = ACME,
    extensions: tuple[str, ...] = (),
) -> Answer:
    """A request of a client of today."""
    body, headers = modern(method, params, extensions)
    return post(app, body, headers, token)


def use(app: App, tool: str, *, token: str = ACME, tasks: bool = False, **arguments: Any) -> Any:
    """The result of a tool."""
    extensions = (TASKS,) if tasks else ()
    params = {"name": tool, "arguments": arguments}
    answer = ask(app, "tools/call", params, token=token, extensions=extensions)
    assert answer.status == 200, answer.text
    return answer.json["result"]


def shown(result: Any) -> Any:
    """What a result shows, once for programs and once as text."""
    assert not result["isError"], result
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    return result["structuredContent"]
