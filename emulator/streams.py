"""Server-sent events of a prediction that streams its output."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

IDLE_S = 30.0
"""Replicate closes a stream without events after this time."""


class Stream:
    """All events so far. Any number of readers read them from the beginning."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._events: list[bytes] = []
        self._closed = False
        self._news = asyncio.Event()

    def add(self, event: str, data: str) -> None:
        """Append an event; `done` ends the stream. Every event has an id, since clients require
        one."""
        lines = "".join(f"data: {line}\n" for line in data.split("\n"))
        text = f"event: {event}\nid: {int(time.time())}:{len(self._events)}\n{lines}\n"
        self._events.append(text.encode("utf-8", "replace"))
        self._closed = event == "done"
        self._news.set()
        self._news = asyncio.Event()

    async def read(self) -> AsyncIterator[bytes]:
        """Yield the events from the first on, and wait for more until the stream is done."""
        sent = 0
        while True:
            while sent < len(self._events):
                sent += 1
                yield self._events[sent - 1]
            if self._closed:
                return
            try:
                async with asyncio.timeout(IDLE_S):
                    await self._news.wait()
            except TimeoutError:
                yield b":408: 408 Request Timeout\n\n"
                return
