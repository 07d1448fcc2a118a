"""The `mcp` package, 2.x, as an agent's host uses it: the protocol of 2026-07-28.

Prints one JSON object: what each step showed. It knows nothing of Darkroom but its URL and a token.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, Literal

import httpx2
from mcp import Client, MCPError
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Request, RequestParams, Result

URL = os.environ["DARKROOM_URL"] + "/mcp"
MODEL = os.environ["DARKROOM_MODEL"]


class GetTask(RequestParams):
    task_id: str


class GetTaskRequest(Request[GetTask, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: GetTask
    name_param = "taskId"


class Task(Result):
    result_type: Literal["task"] = "task"
    task_id: str
    poll_interval_ms: int


class TaskNow(Result):
    status: str
    result: dict[str, Any] | None = None


class Tasks(ClientExtension):
    """The extension, as a host that knows it would have it: it polls until the task is over."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def claims(self) -> Any:
        return [ResultClaim(result_type="task", model=Task, resolve=self._resolve)]

    async def _resolve(self, task: Task, context: ClaimContext) -> CallToolResult:
        while True:
            request = GetTaskRequest(params=GetTask(task_id=task.task_id))
            now = await context.session.send_request(request, TaskNow)
            self.seen.append(now.status)
            if now.result is not None:
                return CallToolResult.model_validate(now.result)
            await asyncio.sleep(task.poll_interval_ms / 1000)


def connected(http: httpx2.AsyncClient, **more: Any) -> Client:
    return Client(streamable_http_client(URL, http_client=http), **more)


def bearer(token: str) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False)


async def by_polling(said: dict[str, Any]) -> None:
    async with bearer(os.environ["DARKROOM_TOKEN"]) as http, connected(http) as client:
        said["version"] = client.protocol_version
        said["server"] = client.server_info.name if client.server_info else None
        said["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        given = {"model": MODEL, "prompt": "a lighthouse", "seed": int(os.environ["DARKROOM_SEED"])}
        begun = await client.call_tool("generate_image", given)
        shown = begun.structured_content
        said["begun"] = shown["status"]
        polls = 0
        while shown["status"] in {"starting", "processing"}:
            polls += 1
            waited = {"id": shown["id"], "wait_seconds": 5}
            result = await client.call_tool("get_image", waited)
            shown = result.structured_content
        said["polls"], said["ended"] = polls, shown["status"]
        said["links"] = [str(part.uri) for part in result.content[1:]]
        listed = await client.call_tool("list_images", {"limit": 5})
        said["listed"] = shown["id"] in [i["id"] for i in listed.structured_content["images"]]
        said["spent"] = (await client.call_tool("usage", {})).structured_content["spent_usd"]
        wrong = await client.call_tool("generate_image", {"model": "no/such", "prompt": "x"})
        said["wrong"] = [wrong.is_error, wrong.content[0].text]
        try:
            await client.call_tool("no_such_tool", {})
        except MCPError as error:
            said["unknown"] = [error.code, str(error)]


async def by_task(said: dict[str, Any]) -> None:
    tasks = Tasks()
    async with (
        bearer(os.environ["DARKROOM_TOKEN"]) as http,
        connected(http, extensions=[tasks]) as client,
    ):
        given = {"model": MODEL, "prompt": "by task", "seed": int(os.environ["DARKROOM_SEED"])}
        result = await client.call_tool("generate_image", given)
        said["task"] = [result.is_error, result.structured_content["status"], tasks.seen]


async def refusals(said: dict[str, Any]) -> None:
    async with bearer(os.environ["DARKROOM_POOR_TOKEN"]) as http, connected(http) as client:
        poor = await client.call_tool("generate_image", {"model": MODEL, "prompt": "x"})
        said["poor"] = [poor.is_error, poor.content[0].text]
    async with bearer(os.environ["DARKROOM_REVOKED_TOKEN"]) as http:
        try:
            async with connected(http) as client:
                await client.call_tool("usage", {})
        except* MCPError as errors:
            said["revoked"] = [str(error) for error in _leaves(errors)]


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]


async def main() -> None:
    said: dict[str, Any] = {}
    for step in (by_polling, by_task, refusals):
        await step(said)
    print(json.dumps(said))


asyncio.run(main())
