"""A record in the provider's wire format: the body of answers, callbacks and events."""

from __future__ import annotations

from typing import Any

from darkroom.domain import correlation, outputs
from darkroom.domain.details import STATUS, details
from darkroom.domain.inputs import filled
from darkroom.domain.prediction import Prediction, State
from darkroom.domain.progress import progress
from darkroom.domain.times import rfc3339


def body(
    record: Prediction,
    *,
    public_url: str,
    output_urls: list[str],
    upload_urls: dict[str, str],
) -> dict[str, Any]:
    """Return the prediction as `GET /v1/predictions/{id}` shows it.

    `output_urls` has one URL per stored file, in order; `upload_urls` one per pointer of
    `record.uploads`. The output is shown only once all its files are stored.
    """
    here = f"{public_url}/v1/predictions/{record.id}"
    urls = {"get": here, "cancel": f"{here}/cancel", "web": here}
    if record.stream_url:
        urls["stream"] = record.stream_url
    shown: dict[str, Any] = {
        "id": record.id,
        "model": record.model,
        "version": record.version or "hidden",
        "input": filled(record.input, upload_urls),
        "output": outputs.shown(record.output, output_urls) if _stored(record) else None,
        "logs": record.logs,
        "error": record.error,
        "status": STATUS[record.state],
        "created_at": rfc3339(record.created_at),
        "deadline": rfc3339(record.deadline),
        "data_removed": False,
        "source": "api",
        "metrics": record.metrics or {},
        "urls": urls,
        **correlation.shown(record),
        "darkroom": details(record),
    }
    # The provider omits a time until it is known.
    if record.started_at:
        shown["started_at"] = record.started_at
    if record.completed_at and record.state.terminal:
        shown["completed_at"] = record.completed_at
    if record.webhook:
        shown["webhook"] = record.webhook
    return shown


def watched(record: Prediction, output_urls: list[str]) -> dict[str, Any]:
    """Return the answer of a watch URL: nothing of the request, and no other URLs of the API."""
    return {
        "id": record.id,
        "status": STATUS[record.state],
        "output": outputs.shown(record.output, output_urls) if _stored(record) else None,
        "error": record.error,
        "progress": 1.0 if _stored(record) else progress(record.logs),
        "revision": record.revision,
    }


def _stored(record: Prediction) -> bool:
    return record.state is State.SUCCEEDED
