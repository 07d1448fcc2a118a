"""The bodies that clients and events send, as types: for documents and tests, in no function.

`python -m darkroom.api.bodies` writes bodies.json from them, by which the functions check.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema

from darkroom.api.mcp import LARGEST_ID, LONGEST_ID, LONGEST_METHOD
from darkroom.api.openai.answers import AnswerFormat
from darkroom.api.openai.bodies import (
    LONGEST_PROMPT,
    MOST_COUNT,
    MOST_PICTURES,
    SIZE,
)
from darkroom.api.requests import BODIES, LONGEST_KEY, LONGEST_REFERENCE
from darkroom.domain.correlation import (
    LONGEST_END_USER,
    LONGEST_TAG,
    METADATA_KEPT,
    MOST_TAGS,
)
from darkroom.domain.events import LONGEST_TASK_TOKEN
from darkroom.domain.inputs import UPLOAD_TYPE
from darkroom.services.files.uploads import MOST_SAID

Reference = Annotated[str, Field(max_length=LONGEST_REFERENCE)]
Callback = Annotated[str, Field(max_length=2048)]
Tag = Annotated[str, Field(min_length=1, max_length=LONGEST_TAG)]
_NO_NUL = r"^[^\u0000]*$"
Key = Annotated[str, Field(min_length=1, pattern=_NO_NUL)]
Text = Annotated[str, Field(pattern=_NO_NUL)]


class Sent(BaseModel):
    """A JSON object that holds nothing but its fields, each exactly of its type.

    A class below whose name ends in `Body` is written into bodies.json.
    """

    model_config = ConfigDict(extra="forbid", strict=True)


class Wish(Sent):
    """What a request and an event say of a prediction alike."""

    input: dict[str, Any]
    webhook: Callback | None = None
    webhook_events_filter: list[Literal["start", "output", "logs", "completed"]] | None = Field(
        None, description="All four where it is left out, or empty"
    )
    metadata: dict[Key, Text] | None = Field(
        None,
        description=f"The client's own texts, at most {METADATA_KEPT} bytes as JSON: shown with "
        "the prediction, never to the provider",
    )
    tags: list[Tag] | None = Field(
        None, max_length=MOST_TAGS, description="Filters of the list and of the usage"
    )
    end_user: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_END_USER,
        description="Whom it is made for, by any name: a list and limits are by it",
    )


class NewModelPredictionBody(Wish):
    """The body of a create. `stream` is accepted and ignored."""

    webhook_completed: Callback | None = Field(
        None, description="Without a `webhook`: a webhook with the filter `completed`"
    )
    stream: Any = None


class Versioned(Sent):
    """A request whose path names no model."""

    version: Reference = Field(
        description="owner/name, owner/name:version, a version, or an alias of the deployment"
    )


class NewPredictionBody(NewModelPredictionBody, Versioned):
    """The body of a create. `stream` is accepted and ignored."""


class Referring(Sent):
    """An event names its model in one of two ways."""

    model: Reference | None = Field(None, description="owner/name, owner/name:version, or an alias")
    version: Reference | None = Field(None, description="In place of a model")


class RequestedBody(Wish, Referring):
    """The detail of a `Prediction Requested` event. It cannot name the tenant."""

    cancel_after: str | None = Field(None, max_length=30, description="30s, 5m or 2h30m")
    id: str | None = Field(
        None,
        max_length=LONGEST_KEY,
        description="The same request sent twice has the same, and what follows names it as "
        "`request_id`; by default the event's own id",
    )
    taskToken: str | None = Field(  # noqa: N815 - Step Functions' own spelling
        None,
        min_length=1,
        max_length=LONGEST_TASK_TOKEN,
        description="The Step Functions task that waits for the end",
    )


class NewUploadBody(Sent):
    """Description of a file that the client will post to the bucket itself."""

    model_config = ConfigDict(regex_engine="python-re")

    filename: str | None = Field(None, max_length=300)
    content_type: str = Field(
        "application/octet-stream", max_length=100, pattern=f"^({UPLOAD_TYPE})$"
    )


class NewFileForm(BaseModel):
    """A form with a file in it."""

    content: bytes
    filename: str = Field("", description="In place of the name of `content`")
    type: str = Field("", description="In place of the media type of `content`")
    metadata: dict[str, Any] = Field(
        default_factory=dict, description=f"At most {MOST_SAID} bytes as JSON in ASCII"
    )


class JsonRpcMessage(BaseModel):
    """One JSON-RPC message of MCP; docs/mcp.md lists the methods. Without an `id` it is a
    notification, and the answer is a 202."""

    jsonrpc: Literal["2.0"]
    id: (
        Annotated[str, Field(max_length=LONGEST_ID)]
        | Annotated[int, Field(ge=-LARGEST_ID, le=LARGEST_ID)]
    ) = ""
    method: str = Field(min_length=1, max_length=LONGEST_METHOD)
    params: dict[str, Any] = Field(default_factory=dict)


class PictureWords(BaseModel):
    """As OpenAI's. Names that it does not have are inputs of the model."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str = Field(
        min_length=1,
        max_length=LONGEST_REFERENCE,
        description="One of OpenAI's names that the deployment has a model for, or `owner/name`",
    )
    prompt: str = Field(max_length=LONGEST_PROMPT)
    n: int | None = Field(None, ge=1, le=MOST_COUNT)
    size: str | None = Field(None, pattern=f"^(auto|{SIZE})$")
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = (
        None
    )
    output_format: Literal["png", "jpeg", "jpg", "webp", "gif", "svg"] | None = None
    output_compression: int | None = Field(None, ge=0, le=100)
    response_format: AnswerFormat | None = None
    stream: bool | None = None
    partial_images: int | None = Field(None, ge=0, le=3)
    user: str | None = None
    safety_identifier: str | None = None


class ImageGenerationBody(PictureWords):
    """As OpenAI's. Names that it does not have are inputs of the model."""


class PictureReference(Sent):
    """A picture, by one of two names."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    image_url: str = Field("", description="An https URL, or a data URL")
    file_id: str = Field("", description="Of a file at `/v1/files`")


class MaskReference(PictureReference):
    """A data URL of a PNG, fully transparent where to edit."""


class ImageEditBody(PictureWords):
    """As OpenAI's. Names that it does not have are inputs of the model."""

    images: list[PictureReference] = Field(min_length=1, max_length=MOST_PICTURES)
    mask: MaskReference = Field(default_factory=lambda: MaskReference(image_url="", file_id=""))


class ImageEditForm(PictureWords):
    """As OpenAI's. Names that it does not have are inputs of the model."""

    image: bytes = Field(description="A picture; as `image[]` one of several")
    mask: bytes = Field(b"", description="A PNG, fully transparent where to edit")


class SentSchema(GenerateJsonSchema):
    """JSON Schema in the words that domain/checker.py reads: no title, and null is one more type of
    a field, not a branch of its own."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """A field's name says enough."""
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """What is left out is absent, which null or empty as a default would hide."""
        made = super().default_schema(schema)
        return made if made.get("default") else {k: v for k, v in made.items() if k != "default"}

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        """The inner schema, with null among its types and its choices."""
        made = self.generate_inner(schema["schema"])
        if "type" not in made:
            return super().nullable_schema(schema)
        if "const" in made:
            made["enum"] = [made.pop("const")]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
        return {**made, "type": [made["type"], "null"]}

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        """Names that do not match are refused, where `patternProperties` would let them through."""
        made = super().dict_schema(schema)
        for pattern, values in made.pop("patternProperties", {}).items():
            made["propertyNames"] = {**made.get("propertyNames", {}), "pattern": pattern}
            made["additionalProperties"] = values
        return {name: said for name, said in made.items() if said is not True}


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a model, as documents show it."""
    made = model.model_json_schema(schema_generator=SentSchema, by_alias=True)
    found: dict[str, Any] = _whole(made, made.pop("$defs", {}))
    return found


def _whole(made: Any, types: dict[str, Any]) -> Any:
    """The schema with the types that it refers to in their places, and without their titles."""
    if isinstance(made, list):
        return [_whole(each, types) for each in made]
    if not isinstance(made, dict):
        return made
    if "$ref" in made:
        made = {**types[made["$ref"].removeprefix("#/$defs/")], **made}
    return {
        name: _whole(said, types)
        for name, said in made.items()
        if name != "$ref" and not (name == "title" and isinstance(said, str))
    }


def checked() -> dict[str, Any]:
    """What the functions check by, by the names of the classes: without what only people read."""
    models = [each for name, each in globals().items() if name.endswith("Body")]
    return {model.__name__: _bare(schema(model)) for model in models}


def _bare(made: dict[str, Any]) -> dict[str, Any]:
    fields = {
        name: {word: said for word, said in field.items() if word not in {"description", "default"}}
        for name, field in made["properties"].items()
    }
    return {"required": [], **made, "description": "", "properties": fields}


def written() -> str:
    """The text of bodies.json: a body on a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(made)}" for name, made in checked().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    Path(BODIES).write_text(written())
