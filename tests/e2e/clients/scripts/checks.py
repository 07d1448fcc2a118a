"""What the scripts for Replicate's Python clients share. Runs in a client's own environment."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

URL = os.environ["DARKROOM_URL"]
"""The front, without /v1."""
TOKEN = os.environ["DARKROOM_TOKEN"]
LISTING_TOKEN = os.environ["DARKROOM_LISTING_TOKEN"]
"""Of a tenant with 101 predictions: two pages."""
THROTTLED_URL = os.environ["DARKROOM_THROTTLED_URL"]
"""A server that answers every request with Darkroom's own 429."""
CALLBACKS_URL = os.environ["DARKROOM_CALLBACKS_URL"]
"""Takes callbacks at /NAME, and gives back the first one at /NAME/seen."""

SCHNELL = "black-forest-labs/flux-schnell"
SDXL = "stability-ai/sdxl"
SDXL_VERSION = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
STREAMING = os.environ["DARKROOM_STREAMING_MODEL"]
"""owner/name:version"""
PICTURE = Path(os.environ["DARKROOM_PICTURE"])
INPUT = {"prompt": "a lighthouse", "megapixels": "0.25"}
SDXL_INPUT = {"prompt": "a lighthouse", "width": 64, "height": 64}

_CHECKS: list[tuple[str, Callable[[], Any], bool]] = []


def works(method: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """The function asserts that this method works; it may be a coroutine function. A text that it
    returns is said of it."""

    def register(check: Callable[[], Any]) -> Callable[[], Any]:
        _CHECKS.append((method, check, False))
        return check

    return register


def refused(method: str, call: Callable[[], Any]) -> None:
    """The call must raise a typed error that says what is not served."""
    _CHECKS.append((method, call, True))


def run(client: str, explain: Callable[[Exception], tuple[int, str, str]]) -> None:
    """Make all checks in order and print one JSON line for each.

    `explain` takes a typed error of the client's apart into status, title and detail; it raises
    for any other.
    """
    with asyncio.Runner() as loop:
        for method, check, is_refused in _CHECKS:
            started = time.monotonic()
            try:
                answer = check()
                if inspect.isawaitable(answer):
                    answer = loop.run(_awaited(answer))
                ok, note = not is_refused, answer if isinstance(answer, str) else ""
                if is_refused:
                    note = "was answered"
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
                ok, note = False, f"{type(error).__name__}: {error}"
                if is_refused:
                    ok, note = _refusal(error, explain)
            seconds = round(time.monotonic() - started, 2)
            line = {"client": client, "method": method, "ok": ok, "note": note, "seconds": seconds}
            print(json.dumps(line), flush=True)


async def _awaited(answer: Any) -> Any:
    return await answer


def _refusal(
    error: Exception, explain: Callable[[Exception], tuple[int, str, str]]
) -> tuple[bool, str]:
    try:
        status, title, detail = explain(error)
    except Exception:  # noqa: BLE001
        return False, f"{type(error).__name__}: {error}"
    clear = status in {404, 405} and "served" in detail + title
    return clear, f"{status} {title}"


def raises(call: Callable[[], Any], explain: Callable[[Exception], Any]) -> Any:
    """What `explain` makes of the error that the call raises."""
    try:
        call()
    except Exception as error:  # noqa: BLE001
        return explain(error)
    raise AssertionError("nothing was raised")


def fetched(url: str) -> bool:
    """Whether a picture is there."""
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read(4)) in {b"RIFF", b"\x89PNG", b"\xff\xd8\xff\xe0"}


def small_file() -> Path:
    """A picture under a name of its own."""
    path = Path(tempfile.mkdtemp()) / "small.png"
    path.write_bytes(PICTURE.read_bytes())
    return path


def callback(name: str, seconds: float = 20) -> dict[str, Any]:
    """`headers` and `body` of the first callback to this name, once it is there."""
    deadline = time.monotonic() + seconds
    while True:
        with urllib.request.urlopen(f"{CALLBACKS_URL}/{name}/seen") as answer:
            seen = json.load(answer)
        if seen:
            return dict(seen)
        assert time.monotonic() < deadline, "no callback came"
        time.sleep(0.1)
