"""Darkroom's own fields of a record, in answers, callbacks and events."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from darkroom.domain.money import usd
from darkroom.domain.prediction import SHOWN, Prediction, State

STATUS = {
    State.ACCEPTED: "starting",
    State.SUBMITTED: "starting",
    State.PROCESSING: "processing",
    State.STORING: "processing",
    State.SUCCEEDED: "succeeded",
    State.FAILED: "failed",
    State.CANCELED: "canceled",
    # Published clients crash on `aborted`, or poll it forever.
    State.ABORTED: "canceled",
}
"""A record's status as clients see it."""
_AS_THEY_ARE = tuple(field.name for field in fields(Prediction) if field.metadata == SHOWN)


def details(record: Prediction) -> dict[str, Any]:
    """Return Darkroom's own fields, beyond the provider's."""
    return {
        **{name: getattr(record, name) for name in _AS_THEY_ARE},
        "attempts": record.create.attempt,
        "cost": usd(record.cost),
        "files": [
            {
                "key": file.key,
                "sha256": file.sha256,
                "bytes": file.bytes,
                "content_type": file.content_type,
                "width": file.width,
                "height": file.height,
            }
            for file in (record.files if record.state is State.SUCCEEDED else ())
        ],
    }
