"""Types of the answers, for the OpenAPI document and the tests. Not loaded by functions."""

from __future__ import annotations

import re
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Url = Annotated[str, Field(json_schema_extra={"format": "uri"})]
Id = Annotated[str, Field(pattern="^[0-9a-z]{26}$")]
Version = Annotated[str, Field(pattern="^([0-9a-f]{64}|hidden)$")]
Status = Literal["starting", "processing", "succeeded", "failed", "canceled"]
Absent = Field(default_factory=str)
"""A string that is omitted if absent, and never null, as Replicate's clients expect."""

_BODY = re.compile(r"(?<=[a-z])Body(?![a-z])")


def published(text: str) -> str:
    """Return a document, or a name in it, with published names: `Prediction` for PredictionBody."""
    return _BODY.sub("", text)


class OutputFile(BaseModel):
    """One stored output."""

    key: str = Field(description="Its place in the outputs bucket")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int
    content_type: str
    width: int | None
    height: int | None


class ShownFile(OutputFile):
    """The same in an answer, where a deployment that has the door `thumbnails` shows pictures'
    thumbnails. Their URLs need no API key, live for an hour, and are secrets."""

    thumbnail: Url = Field(default_factory=str, description="512 pixels wide")
    thumbnails: dict[str, Url] = Field(
        default_factory=dict, description="By the width in pixels: 256, 512, 1024"
    )


class PredictionDetails(BaseModel):
    """Darkroom's own fields, beyond the provider's."""

    state: Literal[
        "accepted",
        "submitted",
        "processing",
        "storing",
        "succeeded",
        "failed",
        "canceled",
        "aborted",
    ]
    code: str | None = Field(description="Why it did not succeed, for programs")
    provider_id: str | None = Field(description="Replicate's own id")
    attempts: int = Field(description="POSTs to Replicate, one but for those that were refused")
    cost: float | None = Field(description="US dollars, once it is over; null: not known")
    cost_assumed: bool = Field(description="The run is unknown: the cost is the reserved maximum")
    cached_from: str | None = Field(description="The prediction whose stored result this one has")
    files: list[OutputFile]


class UnderWay(BaseModel):
    """What a create below /openai/v1 is answered with: clients that follow it never read this."""

    id: Id
    status: str


class ImageModel(BaseModel):
    """A name that `model` may be below /openai/v1."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All of those names."""

    object: Literal["list"]
    data: list[ImageModel]


class ImageMade(BaseModel):
    """One picture."""

    url: Url = Absent
    b64_json: str = Absent


class ShownDetails(PredictionDetails):
    """The details in an answer; events have only those above."""

    files: list[ShownFile]  # type: ignore[assignment]
    revision: int = Field(
        default_factory=int,
        description="One more with each change, for `revision` of a wait. In the answers to a "
        "create, a get and a wait alone",
    )


class ImageDetails(PredictionDetails):
    """The same, of an answer below /openai/v1."""

    id: Id
    model: str
    created_at: Time
    ignored: list[str] = Field(description="Parameters that had no effect")


class ImagesAnswer(BaseModel):
    """Pictures in OpenAI's form. As `text/event-stream` it is one event for each."""

    created: int
    data: list[ImageMade]
    output_format: str = Absent
    size: str = Absent
    safety_identifier: str = Absent
    darkroom: ImageDetails


class ImagesProblem(BaseModel):
    """What went wrong, in OpenAI's form."""

    message: str
    type: str
    param: str | None
    code: str | None


class ImagesRefusal(BaseModel):
    """A refusal below /openai/v1; `x-should-retry` says whether another try may end otherwise."""

    error: ImagesProblem


class Expected(BaseModel):
    """Expectations of a model before money is spent on it."""

    expected_seconds: float | None = Field(description="A run's duration lately; null: unknown")
    cold: bool | None = Field(description="It has probably to be started first; null: unknown")


class CreatedDetails(Expected, ShownDetails):
    """`ShownDetails`, with the expectations."""


class PredictionUrls(BaseModel):
    get: Url
    cancel: Url
    web: Url
    stream: Url = Absent
    watch: Url = Field(
        default_factory=str,
        description="For a day, without an API key: waits, and shows the result. A secret. In "
        "the answers to a create, a get and a wait alone, of a deployment that has the door `wait`",
    )


class Said(BaseModel):
    """The client's own fields of a prediction; absent ones are omitted."""

    metadata: dict[str, str] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    end_user: str = Absent
    request_id: str = Field(
        default_factory=str,
        description="Of a request that came as an event: `id` in its detail, else its own id",
    )


class PredictionBody(Said):
    """A prediction, as on Replicate. Output URLs are signed anew for each answer."""

    id: Id
    model: str
    version: Version
    input: dict[str, Any]
    output: Any = Field(description="Null until every file of it is stored")
    logs: str
    error: str | None = Field(description="Why it failed, or missed its deadline")
    status: Status
    created_at: Time
    started_at: Time = Absent
    completed_at: Time = Absent
    deadline: Time
    data_removed: bool
    source: Literal["api"]
    metrics: dict[str, Any]
    urls: PredictionUrls
    webhook: Url = Absent
    darkroom: ShownDetails


class WatchedBody(BaseModel):
    """The answer of a watch URL."""

    id: Id
    status: Status
    output: Any = Field(description="Null until every file of it is stored")
    error: str | None
    progress: float | None = Field(
        ge=0, le=1, description="The last progress bar in the logs; null: there is none"
    )
    revision: int


class CreatedPrediction(PredictionBody):
    """The answer to a create: `starting`, or the result of an earlier prediction that it
    repeats."""

    darkroom: CreatedDetails


class ModelVersion(BaseModel):
    id: Version
    created_at: Time
    cog_version: str
    openapi_schema: dict[str, Any]


class PriceTable(BaseModel):
    """Indexed by the value of an input; `*` is every other value."""

    by: str
    usd: dict[str, float | PriceTable]


class PriceTiers(BaseModel):
    """Price of one picture by its size."""

    tiers: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        description="Pixels, up to which it costs so many dollars"
    )


class PriceBody(BaseModel):
    unit: Literal[
        "image",
        "second",
        "megapixel",
        "whole_megapixel",
        "prediction",
        "megapixel_in",
        "whole_megapixel_in",
    ]
    usd: float | PriceTable | PriceTiers
    most: float = Field(default_factory=float, description="Megapixels of one output")


class ModelStatus(BaseModel):
    """Set if the model's maker has deprecated it."""

    state: Literal["deprecated"]
    as_of: str
    successor: str = Absent


class ModelDetails(Expected):
    """Expectations of a model, and the price of a run on Replicate; several prices are added up."""

    tasks: list[str]
    status: ModelStatus | None
    price: PriceBody | list[PriceBody] | None
    pictures: list[str] = Field(description="Inputs that take a picture, or pictures")
    mask: str | None = Field(description="The input that takes a mask of the first of them")
    mask_repaints: Literal["white", "black"] | None = Field(
        description="The color of the part of the mask that is repainted"
    )


class DryRunDetails(BaseModel):
    most: float | None = Field(description="US dollars, at most; null: no price is known")


class DryRun(BaseModel):
    """The answer to a create with `dry_run=true`: the request is valid, and nothing was created."""

    darkroom: DryRunDetails


class ModelBody(BaseModel):
    url: Url
    owner: str
    name: str
    description: str
    visibility: Literal["public"]
    is_official: bool
    github_url: None
    paper_url: None
    license_url: None
    run_count: int
    cover_image_url: None
    default_example: None
    latest_version: ModelVersion
    created_at: Time
    darkroom: ModelDetails


class FileChecksums(BaseModel):
    sha256: str = Field(description="Empty for a file that was posted to the bucket itself")
    md5: str


class FileUrls(BaseModel):
    get: Url = Field(description="The URL for use in an input")


class FileBody(BaseModel):
    id: Id
    name: str
    content_type: str
    size: int
    etag: str
    checksums: FileChecksums
    metadata: dict[str, Any]
    created_at: Time
    expires_at: Time
    urls: FileUrls


class Upload(BaseModel):
    """A form: POST `fields` and the file, as the last field `file`, to `url`."""

    id: Id
    url: Url
    fields: dict[str, str]
    max_bytes: int
    urls: FileUrls
    expires_at: Time


class DeliveryAttempt(BaseModel):
    at: Time
    duration_ms: int
    status: int | None
    error: str | None


class DeliveryBody(BaseModel):
    """A callback to the client."""

    event: str
    state: Literal["pending", "delivered", "failed", "disabled", "superseded", "expired"]
    attempts: int
    created_at: Time
    next_at: Time | None
    last_status: int | None
    last_error: str | None
    history: list[DeliveryAttempt] = Field(description="The last ten attempts, oldest first")


class DayOfUsage(BaseModel):
    """A model on a day: ended predictions, by the UTC day of their creation."""

    day: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    model: str
    predictions: int
    cost: float = Field(description="US dollars")


class UsageBody(BaseModel):
    """A tenant's predictions and cost."""

    model_config = ConfigDict(populate_by_name=True)

    from_: str = Field(alias="from")
    to: str
    tag: str = Field(default_factory=str, description="Where the request names one")
    predictions: int
    cost: float = Field(description="US dollars")
    results: list[DayOfUsage]


class ModelOfMonth(BaseModel):
    """A model in a month: ended predictions, by the UTC day of their creation."""

    model: str
    predictions: int
    cost: float = Field(description="US dollars")


class MonthBody(BaseModel):
    """A tenant's spending in the current UTC month, in US dollars."""

    month: str = Field(pattern=r"^\d{4}-\d{2}$")
    predictions: int
    spent_usd: float
    reserved_usd: float | None = Field(
        description="For predictions that are running; null: without a cap it is not counted"
    )
    cap_usd: float | None
    remaining_usd: float | None = Field(description="What is neither spent nor reserved")
    by_model: list[ModelOfMonth]


class Account(BaseModel):
    type: Literal["organization"]
    username: str = Field(description="The tenant of the API key")
    name: str


class WebhookSecret(BaseModel):
    key: str = Field(pattern="^whsec_", description="The secret that signs this tenant's callbacks")


class McpFailure(BaseModel):
    code: int
    message: str
    data: Any = Field(default_factory=dict, description="What the code says should be here")


class McpAnswer(BaseModel):
    """A JSON-RPC answer: a result, or an error."""

    jsonrpc: Literal["2.0"]
    id: str | int | None = Field(description="That of the request; null: none could be read")
    result: dict[str, Any] = Field(default_factory=dict)
    error: McpFailure = Field(default_factory=lambda: McpFailure(code=0, message=""))


class InvalidFieldBody(BaseModel):
    type: str
    field: str
    description: str


class Problem(BaseModel):
    """An error, in Replicate's form."""

    title: str
    detail: str
    status: int
    invalid_fields: list[InvalidFieldBody] = Field(default_factory=list)
    retry_after: int = Field(default_factory=int, description="Seconds, with a 429")


Item = TypeVar("Item")


class PageBody(BaseModel, Generic[Item]):
    """One page of a list."""

    next: Url | None = Field(description="The next page, absolute; null on the last")
    previous: Url | None = Field(description="The page before, absolute; null on the first")
    results: list[Item]
