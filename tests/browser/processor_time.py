"""The processor time that a page's main thread takes for each of its tasks.

A browser that is throttled four times takes four times as long for a task. What counts here is the
thread's own time without the throttle, because the clock on a wall also counts what other programs
do meanwhile.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

CATEGORIES = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]


@dataclass
class Tasks:
    """Milliseconds of the tasks of the page's main thread."""

    longest_first: list[float] = field(default_factory=list)


@contextmanager
def watched(browser: Browser, page: Page) -> Iterator[Tasks]:
    """Yield what is known of the tasks once the block has ended."""
    tasks = Tasks()
    browser.start_tracing(page=page, categories=CATEGORIES)
    yield tasks
    events = json.loads(browser.stop_tracing())["traceEvents"]
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks.longest_first = sorted(
        (
            event["tdur"] / 1000
            for event in events
            if event["name"] == "RunTask"
            and event.get("ph") == "X"
            and (event["pid"], event["tid"]) in main
            and "tdur" in event
        ),
        reverse=True,
    )
