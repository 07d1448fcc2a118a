"""What paths, queries and headers may say, as types: for the OpenAPI document, in no function.

Whether a parameter is needed is its route's word. Functions read them by the names and bounds that
stand here (api/queries.py, api/requests.py, api/waiting.py).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from darkroom.api import queries, requests, waiting
from darkroom.api.openai.answers import IGNORABLE, AnswerFormat
from darkroom.api.schemas import Status, Time
from darkroom.domain.correlation import LONGEST_END_USER, LONGEST_TAG
from darkroom.services.predictions.create import SHORTEST_CANCEL_AFTER_S
from darkroom.services.predictions.read import PAGE

Day = Annotated[str, Field(json_schema_extra={"format": "date"})]


class PathNames(BaseModel):
    """What stands in braces in a route's path."""

    id: str = Field(description="26 characters; of a version, 64 hex digits")
    owner: str
    name: str
    event: str = Field(description="As the list of deliveries shows it")
    number: int = Field(ge=0, description="Of the file in `files`, from 0")
    width: Literal[256, 512, 1024]


class Queries(BaseModel):
    """Every name that a query may have, of whatever route."""

    cursor: str = Field(description="From `next` or `previous` of another page")
    limit: int = Field(PAGE, ge=1, le=PAGE)
    created_after: Time = Field(description="Created at this time or later")
    created_before: Time = Field(description="Created earlier than this")
    source: queries.Source = Field(description="All here are made by the API: `web` has none")
    tag: str = Field(pattern=f"^[^,]{{1,{LONGEST_TAG}}}$", description="What has the tag")
    end_user: str = Field(
        min_length=1, max_length=LONGEST_END_USER, description="What was made for the end user"
    )
    model: str = Field(description="What the model made, `owner/name`")
    status: Status
    sort_by: queries.Sort = Field(
        description="All models have the same times: either order is one of names"
    )
    sort_direction: queries.Direction = "asc"
    dry_run: Literal["true"] = Field(
        description="Check and price the request, and make nothing: the answer is a 200"
    )
    from_: Day = Field(alias="from", description="First day, 30 days ago by default (UTC)")
    to: Day = Field(description="Last day, today by default (UTC)")
    t: str = Field(description="The token of the URL")
    seconds: int = Field(
        ge=1,
        le=waiting.LONGEST_S,
        description="How long to wait at most; as long as the deployment lets where it is left "
        "out, and never longer",
    )
    revision: int = Field(
        ge=0,
        le=waiting.LATEST,
        description="The one that is known: any other is waited for. Without it, the end is",
    )
    hop: int = Field(
        ge=1,
        le=waiting.MOST_HOPS,
        description="The number of this wait in a chain: when the time is over, the answer is a "
        "303 to the next one",
    )
    response_format: AnswerFormat = Field(description="Both where it is left out")
    stream: Literal["true"] = Field(description="As `text/event-stream`")
    ignored: Annotated[str, Field(json_schema_extra={"enum": list(IGNORABLE)})] = Field(
        description="What `darkroom.ignored` is to name, separated by commas"
    )


class CreateHeaders(BaseModel):
    """Headers of a create."""

    prefer: str = Field(alias="Prefer", description="`wait` is taken and not waited for; see 303")
    cancel_after: str = Field(
        alias="Cancel-After",
        pattern=f"^({requests.CANCEL_AFTER})$",
        description="From when on the prediction is not wanted any more: 30s, 5m, 2h30m; between "
        f"{SHORTEST_CANCEL_AFTER_S} seconds and 24 hours",
    )
    idempotency_key: str = Field(
        alias="Idempotency-Key",
        max_length=requests.LONGEST_KEY,
        pattern=f"^{requests.IDEMPOTENCY_KEY}$",
        description="A repeated request with the same key answers with the first prediction",
    )
    darkroom_wait: Literal["redirect"] = Field(
        alias="Darkroom-Wait",
        description="The answer is a 303 to where the prediction is waited for, if the "
        "deployment has the door `wait`",
    )
    darkroom_cache: requests.Cache = Field(
        alias="Darkroom-Cache",
        description="An equal request with a seed gets the stored result; `reuse` asks for it "
        "without a seed too, `bypass` always makes anew",
    )
