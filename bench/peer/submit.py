"""The peer's submit function: FastAPI behind Mangum, Replicate's client, DynamoDB."""  # noqa: INP001 - a Lambda asset

from __future__ import annotations

import os
import time
import uuid
from typing import Any

import boto3
import replicate
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

app = FastAPI()
table = boto3.client("dynamodb")
provider = replicate.Client(api_token=os.environ["REPLICATE_API_TOKEN"])


class NewPrediction(BaseModel):
    """The body of a client's request."""

    version: str
    input: dict[str, Any]
    webhook: str | None = None


@app.post("/v1/predictions", status_code=201)
def create(body: NewPrediction) -> dict[str, Any]:
    """Create upstream, then store the result. A crash between the two loses the prediction."""
    id_ = uuid.uuid4().hex
    made = provider.predictions.create(
        version=body.version,
        input=body.input,
        webhook=f"{os.environ['PUBLIC_URL']}/hooks/{id_}",
        webhook_events_filter=["completed"],
    )
    item = {"id": {"S": id_}, "provider_id": {"S": made.id}, "at": {"N": str(time.time())}}
    table.put_item(TableName=os.environ["PREDICTIONS_TABLE"], Item=item)
    return {"id": id_, "status": made.status}


handler = Mangum(app)
