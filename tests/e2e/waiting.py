"""Waiting for asynchronous results of the embedded cloud."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 120
"""Long, so that only a missing result is a failure, not a busy machine."""


def until(found: Callable[[], Any], *, why: object = "it did not come about in time") -> Any:
    """What `found` returns as soon as that is something; `why` it should have by then."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < deadline, why
        time.sleep(0.05)
