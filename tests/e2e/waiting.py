"""Waiting for what the embedded cloud does on its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 90
"""Long, so that a machine with other work is no failure: only what never comes about is."""


def until(found: Callable[[], Any]) -> Any:
    """What `found` returns as soon as that is something."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)
