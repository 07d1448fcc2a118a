"""The events as JSON Schemas: `python -m darkroom.api.events docs/events`. Not loaded by
functions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from darkroom.api import bodies
from darkroom.api.schemas import Id, InvalidFieldBody, PredictionDetails, Said, Time, published
from darkroom.domain import events

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Told(Said):
    """Result of a prediction. Fields may be added; ignore fields that you do not know."""

    event_id: str = Field(description="The same in every repetition of the event")
    id: Id
    tenant: str
    model: str
    version: str | None
    status: Literal["processing", "succeeded", "failed", "canceled"]
    error: str | None
    created_at: Time
    completed_at: Time | None
    input: dict[str, Any] | None = Field(
        description="Without its files; null where it is too large: read it by the id"
    )
    input_files: dict[str, str] | None = Field(
        description="JSON pointer into the input → key in the uploads bucket"
    )
    darkroom: PredictionDetails


class Started(Told):
    completed_at: None
    error: None


class Succeeded(Told):
    status: Literal["succeeded"]
    completed_at: Time
    error: None


class Failed(Told):
    status: Literal["failed"]
    completed_at: Time
    error: str


class Canceled(Told):
    """Canceled by a client, or by the deadline; then `darkroom.code` is `deadline_exceeded`, and
    there is an `error`."""

    status: Literal["canceled"]
    completed_at: Time


class Rejected(BaseModel):
    """A request by event that made no prediction."""

    event_id: str = Field(description="The same in every repetition of the event")
    request_id: str = Field(
        description="`id` in the request's detail, else the id of its event, or of its message"
    )
    tenant: str | None = Field(description="Null where the message could not be read so far")
    status: int = Field(description="The status that HTTP would have: 400, 402, 413, 422, …")
    title: str
    detail: str
    invalid_fields: list[InvalidFieldBody] = Field(max_length=50)


class CallbackDisabled(Said):
    """Nothing more is sent to a prediction's webhook, until a redelivery is requested or 30 days
    have passed."""

    event_id: str = Field(description="The same in every repetition of the event")
    id: Id
    tenant: str
    host: str = Field(description="Of the webhook's URL; the rest may be a secret")
    callback: str = Field(description="The callback whose last attempt disabled it")
    status: int | None = Field(
        description="410: several in a row by this URL, its query included, and none taken in "
        "between. Anything else, and null for no answer: the host has failed for five days"
    )


DETAILS: dict[str, Any] = {
    "Prediction Started": Started,
    "Prediction Succeeded": Succeeded,
    "Prediction Failed": Failed,
    "Prediction Canceled": Canceled,
    events.CALLBACK_DISABLED: CallbackDisabled,
    events.REJECTED: Rejected,
    events.REQUESTED: Annotated[
        dict[str, Any], WithJsonSchema(bodies.schema(bodies.RequestedBody))
    ],
}


def schema(detail_type: str) -> dict[str, Any]:
    """Return the schema of the whole event, as EventBridge passes it to a target."""
    detail = DETAILS[detail_type]
    source: Any = str if detail_type == events.REQUESTED else Literal["darkroom"]
    fields: dict[str, Any] = {
        "source": (source, ...),
        "detail_type": (Literal[detail_type], Field(alias="detail-type")),
        "detail": (detail, ...),
    }
    config = ConfigDict(title=detail_type)
    event = create_model(detail_type.replace(" ", ""), __config__=config, **fields)
    made = json.dumps(event.model_json_schema(mode="validation", by_alias=True))
    return {"$schema": _DIALECT, **json.loads(published(made))}


def file_name(detail_type: str) -> str:
    """Return the file name: `Prediction Started` is in prediction-started.json."""
    return detail_type.lower().replace(" ", "-") + ".json"


def main(folder: Path) -> None:
    """Write one file for each detail-type."""
    folder.mkdir(parents=True, exist_ok=True)
    for detail_type in DETAILS:
        text = json.dumps(schema(detail_type), indent=2, ensure_ascii=False)
        (folder / file_name(detail_type)).write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
