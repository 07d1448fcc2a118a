"""Requests by event, as the queue of a tenant's source passes them to intake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support import events
from tests.support.world import SCHNELL

if TYPE_CHECKING:
    from tests.support.app import App

DETAIL: dict[str, Any] = {"model": SCHNELL, "input": {"prompt": "a corgi"}}
ID = "5a4d2a1e-7f0e-4c30-a3a5-1f7b6f0c2f11"


def message(detail: Any = None, **changes: Any) -> dict[str, Any]:
    """Return the message that the rule of acme's source writes to the queue."""
    return {"tenant": "acme", "id": ID, "detail": DETAIL if detail is None else detail} | changes


def intake(app: App, *bodies: Any, receives: int = 1) -> list[str]:
    """Pass on the messages; return the ids of those to be redelivered."""
    event = events.sqs(*bodies)
    for record in event["Records"]:
        record["attributes"]["ApproximateReceiveCount"] = str(receives)
    answer = app.call("intake", event)
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def told(app: App) -> dict[str, Any]:
    """Return the only event on the bus, which must be a rejection."""
    ((kind, detail),) = app.world.bus.events
    assert kind == "Prediction Rejected"
    return detail
