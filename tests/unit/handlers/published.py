"""Events as a subscriber receives them, each checked against its published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
from darkroom.api.events import file_name

if TYPE_CHECKING:
    from tests.support.app import App

DOCS = Path(__file__).parents[3] / "docs" / "events"
LARGEST = 200_000
"""Maximum bytes of a detail: EventBridge accepts 256 kB including the envelope."""


def envelope(detail_type: str, detail: dict[str, Any], source: str = "darkroom") -> dict[str, Any]:
    """Return the event as a target receives it."""
    text = json.dumps(detail, separators=(",", ":"))
    assert len(text.encode()) < LARGEST
    return {
        "version": "0",
        "id": "5a4d2a1e-7f0e-4c30-a3a5-1f7b6f0c2f11",
        "source": source,
        "detail-type": detail_type,
        "account": "123456789012",
        "time": "2027-01-15T08:00:00Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": json.loads(text),
    }


def check(event: dict[str, Any]) -> None:
    written = json.loads((DOCS / file_name(event["detail-type"])).read_text())
    jsonschema_rs.Draft202012Validator(written, validate_formats=True).validate(event)


def published(app: App) -> list[dict[str, Any]]:
    """Return the events on the bus, each checked against its schema."""
    found = [envelope(kind, detail) for kind, detail in app.world.bus.events]
    for event in found:
        check(event)
    return found
