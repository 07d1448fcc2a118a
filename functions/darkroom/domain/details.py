"""Darkroom's own fields of a record, in answers, callbacks and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.domain.money import usd
from darkroom.domain.prediction import State

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

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


def details(record: Prediction) -> dict[str, Any]:
    """Return Darkroom's own fields, beyond the provider's."""
    return {
        "state": record.state.value,
        "code": record.code.value if record.code else None,
        "provider_id": record.provider_id,
        "attempts": record.create.attempt,
        "cost_assumed": record.cost_assumed,
        "cached_from": record.cached_from,
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
