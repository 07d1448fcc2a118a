"""Progress of a prediction whose client has no webhook and only polls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.e2e.driver import Driver


def test_field_f34_logs_grow_while_somebody_polls(driver: Driver) -> None:
    """A few seconds behind the provider's own, from which Replicate's clients read progress."""
    driver.faults(time_scale=4)
    body = {"input": {"prompt": "a lighthouse"}}
    made = driver.api.post("/v1/models/black-forest-labs/flux-dev/predictions", json=body)
    shown: dict[str, Any] = made.json()
    seen: set[str] = set()
    while shown["status"] in {"starting", "processing"}:
        if shown["status"] == "processing":
            seen.add(shown["logs"])
        # As Replicate's clients poll.
        time.sleep(0.5)
        shown = driver.api.get(f"/v1/predictions/{shown['id']}").json()
    assert shown["status"] == "succeeded"
    partial = seen - {"", shown["logs"]}
    assert partial, "nothing was seen before the end"
    assert all(shown["logs"].startswith(logs) for logs in partial)
