"""The `mcp` package, 1.x, as an agent's host uses it: the protocol of 2025-11-25.

Prints one JSON object: what each step showed. It knows nothing of Darkroom but its URL and a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import McpError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL = os.environ["DARKROOM_URL"] + "/mcp"
MODEL = os.environ["DARKROOM_MODEL"]
LONGEST_S = 10
"""How long a client that is refused before it shakes hands is waited for."""


@contextlib.asynccontextmanager
async def connected(token: str) -> AsyncIterator[tuple[ClientSession, Any]]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
        streamable_http_client(URL, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        yield session, await session.initialize()


async def by_polling(said: dict[str, Any]) -> None:
    async with connected(os.environ["DARKROOM_TOKEN"]) as (session, hello):
        said["version"], said["server"] = hello.protocolVersion, hello.serverInfo.name
        await session.send_ping()
        said["tools"] = [tool.name for tool in (await session.list_tools()).tools]
        given = {"model": MODEL, "prompt": "a lighthouse", "seed": int(os.environ["DARKROOM_SEED"])}
        begun = await session.call_tool("generate_image", given)
        shown = begun.structuredContent
        said["begun"] = shown["status"]
        polls = 0
        while shown["status"] in {"starting", "processing"}:
            polls += 1
            waited = {"id": shown["id"], "wait_seconds": 5}
            result = await session.call_tool("get_image", waited)
            shown = result.structuredContent
        said["polls"], said["ended"] = polls, shown["status"]
        said["links"] = [str(part.uri) for part in result.content[1:]]
        listed = await session.call_tool("list_images", {"limit": 5})
        said["listed"] = shown["id"] in [i["id"] for i in listed.structuredContent["images"]]
        said["spent"] = (await session.call_tool("usage", {})).structuredContent["spent_usd"]
        wrong = await session.call_tool("generate_image", {"model": "no/such", "prompt": "x"})
        said["wrong"] = [wrong.isError, wrong.content[0].text]
        try:
            unknown = await session.call_tool("no_such_tool", {})
            said["unknown"] = [unknown.isError, unknown.content[0].text]
        except McpError as error:
            said["unknown"] = [error.error.code, str(error)]


async def refusals(said: dict[str, Any]) -> None:
    async with connected(os.environ["DARKROOM_POOR_TOKEN"]) as (session, _):
        poor = await session.call_tool("generate_image", {"model": MODEL, "prompt": "x"})
        said["poor"] = [poor.isError, poor.content[0].text]
    try:
        async with asyncio.timeout(LONGEST_S), connected(os.environ["DARKROOM_REVOKED_TOKEN"]):
            said["revoked"] = "let in"
    except BaseExceptionGroup as errors:
        said["revoked"] = [str(error) for error in _leaves(errors)]
    except (McpError, httpx.HTTPStatusError, TimeoutError) as error:
        said["revoked"] = [f"{type(error).__name__} {error}"]


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]


async def main() -> None:
    said: dict[str, Any] = {}
    for step in (by_polling, refusals):
        await step(said)
    print(json.dumps(said))


asyncio.run(main())
