"""One picture through each open door, and the shell commands for it."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MODEL = "black-forest-labs/flux-schnell"
OPENAI = "/openai/v1/images/generations"
PROMPT = "A lighthouse above the sea at dawn"
CREATES = f"/v1/models/{MODEL}/predictions"
CREATE = (
    f"""curl -s -H "Authorization: Bearer $TOKEN" "$URL{CREATES}" """
    f"""--json '{{"input": {{"prompt": "{PROMPT}"}}}}'"""
)


def _by_tool(name: str, arguments: str) -> str:
    """Return the curl command that calls a tool by the door `mcp`."""
    call = f'{{"name": "{name}", "arguments": {arguments}}}'
    message = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {call}}}'
    return f"""curl -s -H "Authorization: Bearer $TOKEN" "$URL/mcp" \\\n  --json '{message}'"""


_GENERATE = _by_tool("generate_image", f'{{"model": "{MODEL}", "prompt": "{PROMPT}"}}')


class DoorError(Exception):
    """The answer of a door is no picture."""


FAILURES = (DoorError, httpx.HTTPError, OSError, LookupError, ValueError)
"""The errors that an unexpected answer of a door can raise."""


class Door(NamedTuple):
    name: str
    function: str
    """The output's name that the stack has if the door is open."""
    how: str
    """The same from a shell, which has $URL and $TOKEN."""
    picture: Callable[[httpx.Client], bytes]
    """Makes a picture with a client that has URL and token. Raises one of FAILURES."""


def through_wait(api: httpx.Client) -> bytes:
    """One call: the create is redirected to the wait."""
    return fetched(
        api.post(
            CREATES,
            json={"input": {"prompt": PROMPT}},
            headers={"Darkroom-Wait": "redirect"},
            follow_redirects=True,
        )
    )


def through_watch(api: httpx.Client) -> bytes:
    """The creator passes on a URL, with which another client waits without a key."""
    made = api.post(CREATES, json={"input": {"prompt": PROMPT}}).raise_for_status().json()
    while True:
        answer = httpx.get(f"{made['urls']['watch']}&seconds=25", trust_env=False, timeout=60)
        if answer.is_error or answer.json()["status"] not in {"starting", "processing"}:
            return fetched(answer)


def through_mcp(api: httpx.Client) -> bytes:
    """Create and await a picture by tools, as an agent does. Raises DoorError."""
    shown = _tool(api, "generate_image", {"model": MODEL, "prompt": PROMPT})
    while shown["status"] in {"starting", "processing"}:
        shown = _tool(api, "get_image", {"id": shown["id"], "wait_seconds": 20})
    if shown["status"] != "succeeded":
        raise DoorError(f"/mcp: {shown['error']}")
    url = shown["files"][0]["url"]
    return httpx.get(url, trust_env=False, timeout=60).raise_for_status().content


def _tool(api: httpx.Client, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    call = {"name": name, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    answer = api.post("/mcp", json=message)
    result = answer.raise_for_status().json()["result"]
    if result["isError"]:
        raise DoorError(f"{name}: {result['content'][0]['text'][:300]}")
    shown: dict[str, Any] = result["structuredContent"]
    return shown


def through_thumbnails(api: httpx.Client) -> bytes:
    """The picture made small, by a URL that a page could show. Raises DoorError."""
    answer = api.post(
        CREATES,
        json={"input": {"prompt": PROMPT}},
        headers={"Darkroom-Wait": "redirect"},
        follow_redirects=True,
    )
    fetched(answer)
    url = answer.json()["darkroom"]["files"][0]["thumbnail"]
    small = httpx.get(url, follow_redirects=True, trust_env=False, timeout=60)
    return small.raise_for_status().content


def through_openai(api: httpx.Client) -> bytes:
    """One call in OpenAI's format, which is followed to the picture itself."""
    body = {"model": "dall-e-2", "prompt": PROMPT, "response_format": "b64_json"}
    answer = api.post(OPENAI, json=body, follow_redirects=True)
    if answer.status_code != 200:
        raise DoorError(f"{OPENAI} answered {answer.status_code}: {answer.text[:300]}")
    return base64.b64decode(answer.json()["data"][0]["b64_json"])


def fetched(answer: httpx.Response) -> bytes:
    """Return the first output of the prediction in this answer. Raises DoorError."""
    shown: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    if shown.get("status") != "succeeded":
        raise DoorError(f"{answer.url.path} answered {answer.status_code}: {answer.text[:300]}")
    return httpx.get(shown["output"][0], trust_env=False, timeout=60).raise_for_status().content


DOORS = (
    Door(
        "wait",
        "FunctionWait",
        f'{CREATE} \\\n  -H "Darkroom-Wait: redirect" -L --max-redirs 20',
        through_wait,
    ),
    Door(
        "watch",
        "FunctionWait",
        f"WATCH=$({CREATE} \\\n  | python3 -c 'import json, sys; "
        f'print(json.load(sys.stdin)["urls"]["watch"])\')\ncurl -s "$WATCH&seconds=25"',
        through_watch,
    ),
    Door(
        "mcp",
        "FunctionMcp",
        f"ID=$({_GENERATE} \\\n  | python3 -c 'import json, sys; "
        """print(json.load(sys.stdin)["result"]["structuredContent"]["id"])')\n"""
        + _by_tool("get_image", """{"id": "'$ID'", "wait_seconds": 20}"""),
        through_mcp,
    ),
    Door(
        "thumbnails",
        "FunctionThumbnail",
        f"""{CREATE} \\\n  -H "Darkroom-Wait: redirect" -L --max-redirs 20 \\\n"""
        "  | python3 -c 'import json, sys; "
        """print(json.dumps(json.load(sys.stdin)["darkroom"]["files"][0]["thumbnails"]))'""",
        through_thumbnails,
    ),
    Door(
        "openai",
        "FunctionImages",
        f"""curl -s -H "Authorization: Bearer $TOKEN" "$URL{OPENAI}" -L --max-redirs 20 """
        f"""\\\n  --json '{{"model": "dall-e-2", "prompt": "{PROMPT}"}}'""",
        through_openai,
    ),
)


def opened(outputs: Mapping[str, str]) -> tuple[Door, ...]:
    """Return the doors of a stack with these outputs."""
    return tuple(door for door in DOORS if door.function in outputs)


def through_each(doors: tuple[Door, ...], api: httpx.Client) -> dict[str, bytes | Exception]:
    """Return the picture of each door, or the error that it raised, by its name."""

    def one(door: Door) -> bytes | Exception:
        try:
            return door.picture(api)
        except FAILURES as error:
            return error

    with ThreadPoolExecutor(len(doors) or 1) as pool:
        return dict(zip((door.name for door in doors), pool.map(one, doors), strict=True))
