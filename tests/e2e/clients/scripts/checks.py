"""Shared code of the scripts for Replicate's Python clients. Runs in a client's own environment."""

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
"""The front's URL, without /v1."""
TOKEN = os.environ["DARKROOM_TOKEN"]
LISTING_TOKEN = os.environ["DARKROOM_LISTING_TOKEN"]
"""The token of a tenant with 101 predictions, which fill two pages."""
THROTTLED_URL = os.environ["DARKROOM_THROTTLED_URL"]
"""A server that answers every request with Darkroom's own 429."""
CALLBACKS_URL = os.environ["DARKROOM_CALLBACKS_URL"]
"""Accepts callbacks at /NAME, and returns the first one at /NAME/seen."""

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
    """Register the function, which may be a coroutine function, as a check that the method works. A
    returned text becomes a remark on it."""

    def register(check: Callable[[], Any]) -> Callable[[], Any]:
        _CHECKS.append((method, check, False))
        return check

    return register


def refused(method: str, call: Callable[[], Any]) -> None:
    """Register a call that must raise a typed error that names the missing feature."""
    _CHECKS.append((method, call, True))


def run(client: str, explain: Callable[[Exception], tuple[int, str, str]]) -> None:
    """Run all checks in order and print one JSON line for each.

    `explain` splits a typed error of the client's into status, title and detail; it raises for any
    other.
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
    """Return `explain` of the error that the call raises."""
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
    """Write a picture under a separate name."""
    path = Path(tempfile.mkdtemp()) / "small.png"
    path.write_bytes(PICTURE.read_bytes())
    return path


def callback(name: str, seconds: float = 90) -> dict[str, Any]:
    """Return `headers` and `body` of the first callback to this name, as soon as it has arrived."""
    deadline = time.monotonic() + seconds
    while True:
        with urllib.request.urlopen(f"{CALLBACKS_URL}/{name}/seen") as answer:
            seen = json.load(answer)
        if seen:
            return dict(seen)
        assert time.monotonic() < deadline, "no callback came"
        time.sleep(0.1)
