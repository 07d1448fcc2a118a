"""The Model Context Protocol over HTTP: the JSON-RPC envelope of both protocol eras.

Since 2026-07-28 ("modern") a request carries its version and capabilities in headers and `_meta`.
In earlier versions ("older") a client negotiates a version with `initialize`. Both are served
without state between requests.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.requests import json_in
from darkroom.domain.strict_json import StrictJSONError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.api.http import Request

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
"""Versions that `initialize` can negotiate, newest first. Clients of the oldest send no version
header."""
FIRST_WITH_LINKS = "2025-06-18"

PARSE, INVALID, NO_METHOD, BAD_PARAMS = -32700, -32600, -32601, -32602
MISMATCH, NO_CAPABILITY, NO_VERSION = -32020, -32021, -32022
REFUSED = -32010
"""A code of our own, of the range for implementations: the API rejects the request. `data` is the
problem object of the HTTP API."""
STATUS = {NO_METHOD: 404}
"""HTTP status by error code for modern clients; other codes are 400. Older clients treat any status
but 200 as a broken connection, so they get 200 once the envelope is valid."""

TASKS = "io.modelcontextprotocol/tasks"
_VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
_CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
_SERVER_KEY = "io.modelcontextprotocol/serverInfo"

_NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
"""The parameter that the header Mcp-Name repeats, by method."""
_ENCODED = re.compile(r"=\?base64\?(.*)\?=")
LONGEST_ID = 200
LARGEST_ID = 2**63
LONGEST_METHOD = 100


class McpError(Exception):
    """A JSON-RPC error: code, message, and the data that the code calls for."""

    def __init__(self, code: int, text: str, data: object = None, status: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.data = data
        self.status = status or STATUS.get(code, 400)
        """HTTP status for modern clients."""


class McpMessage(NamedTuple):
    """A JSON-RPC request. A notification has the id None."""

    id: str | int | None
    method: str
    params: dict[str, Any]


class McpClient(NamedTuple):
    """Protocol version and capabilities of the client, as the request declares them."""

    version: str
    capabilities: Mapping[str, Any]

    @property
    def modern(self) -> bool:
        """Whether the client speaks the stateless version."""
        return self.version == MODERN

    @property
    def takes_links(self) -> bool:
        """Whether the client knows content of the type `resource_link`."""
        return self.version >= FIRST_WITH_LINKS

    @property
    def takes_tasks(self) -> bool:
        """Whether the request declares the tasks extension."""
        extensions = self.capabilities.get("extensions")
        return isinstance(extensions, dict) and TASKS in extensions


def read(request: Request) -> McpMessage:
    """Parse the body of a request. Raises McpError, UnsupportedMediaError or TooLargeError."""
    try:
        body = json_in(request)
    except StrictJSONError as error:
        raise McpError(PARSE, f"The body is not JSON: {error}") from None
    if isinstance(body, list):
        raise McpError(INVALID, "Batches are not taken: send one message at a time.")
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise McpError(INVALID, "The body is not a JSON-RPC 2.0 message.")
    method, params = body.get("method"), body.get("params", {})
    if not isinstance(method, str) or not 0 < len(method) <= LONGEST_METHOD:
        raise McpError(INVALID, "The message has no method, or a long one.")
    if not isinstance(params, dict):
        raise McpError(INVALID, "`params` is not an object.")
    if "id" not in body:
        return McpMessage(None, method, params)
    return McpMessage(_id(body["id"]), method, params)


def _id(given: object) -> str | int:
    """Check an id, which the answer repeats. Raises McpError."""
    if isinstance(given, str) and len(given) <= LONGEST_ID:
        return given
    if isinstance(given, float) and given.is_integer():
        # JSON knows one kind of number.
        given = int(given)
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) <= LARGEST_ID:
        return given
    raise McpError(INVALID, f"`id` is an integer, or a text of at most {LONGEST_ID} characters.")


def client_of(request: Request, message: McpMessage) -> McpClient:
    """Determine the client's version and capabilities.

    Raises McpError for a version that is not served, for a modern request without its required
    metadata, and for headers that differ from the body.
    """
    said = request.header("mcp-protocol-version")
    meta = message.params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    named = meta.get(_VERSION_KEY)
    if named is None and said in {*LEGACY, None}:
        return McpClient(said or LEGACY[-1], {})
    if named is None and said != MODERN:
        raise _not_served(said)
    capabilities = meta.get(_CAPABILITIES_KEY)
    if not isinstance(named, str) or not isinstance(capabilities, dict):
        wanted = f"`_meta` must have {_VERSION_KEY} and {_CAPABILITIES_KEY}."
        raise McpError(BAD_PARAMS, wanted)
    _check_header("MCP-Protocol-Version", said, named)
    _check_header("Mcp-Method", request.header("mcp-method"), message.method)
    name = message.params.get(_NAMED_BY.get(message.method, ""))
    if isinstance(name, str):
        _check_header("Mcp-Name", _decoded(request.header("mcp-name")), name)
    if named != MODERN:
        raise _not_served(named)
    return McpClient(named, capabilities)


def _not_served(version: str | None) -> McpError:
    data = {"supported": [MODERN, *LEGACY], "requested": version}
    return McpError(NO_VERSION, "This version of the protocol is not served.", data)


def _check_header(name: str, said: str | None, meant: str) -> None:
    if said != meant:
        what = "is missing" if said is None else "says something else than the body"
        raise McpError(MISMATCH, f"The header {name} {what}.")


def _decoded(text: str | None) -> str | None:
    """Decode a header value. Names that a header cannot hold are sent as `=?base64?…?=`."""
    encoded = _ENCODED.fullmatch(text or "")
    if encoded is None:
        return text
    try:
        return base64.b64decode(encoded[1], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text


def check_takes_tasks(client: McpClient) -> None:
    """Raise McpError unless the request declares the tasks extension."""
    if not client.takes_tasks:
        data: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        raise McpError(NO_CAPABILITY, f"Declare the extension {TASKS} on the request.", data)


def agreed(asked: object) -> str:
    """Return the version that `initialize` negotiates: the requested one or the newest older
    one."""
    return asked if isinstance(asked, str) and asked in LEGACY else LEGACY[0]


def answered(
    message: McpMessage, client: McpClient, result: dict[str, Any], server: dict[str, Any]
) -> dict[str, Any]:
    """Build the answer with a result. Modern clients also get `resultType` and `server`."""
    if client.modern:
        meta = {**result.get("_meta", {}), _SERVER_KEY: server}
        result = {"resultType": "complete", **result, "_meta": meta}
    return {"jsonrpc": "2.0", "id": message.id, "result": result}


def failed(id_: str | int | None, error: McpError) -> dict[str, Any]:
    """Build the answer with an error."""
    data: dict[str, object] = {} if error.data is None else {"data": error.data}
    return {
        "jsonrpc": "2.0",
        "id": id_,
        "error": {"code": error.code, "message": str(error), **data},
    }
