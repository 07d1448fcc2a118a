"""The peer's webhook function: FastAPI behind Mangum, svix's verifier, DynamoDB."""  # noqa: INP001 - a Lambda asset

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from fastapi import FastAPI, HTTPException, Request
from mangum import Mangum
from svix.webhooks import Webhook, WebhookVerificationError

app = FastAPI()
table = boto3.client("dynamodb")
verifier = Webhook(os.environ["WEBHOOK_SECRET"])


@app.post("/hooks/{id_}")
async def receive(id_: str, request: Request) -> dict[str, Any]:
    """Verify the webhook, then store its content."""
    try:
        news = verifier.verify(await request.body(), dict(request.headers))
    except WebhookVerificationError:
        raise HTTPException(401) from None
    table.update_item(
        TableName=os.environ["PREDICTIONS_TABLE"],
        Key={"id": {"S": id_}},
        UpdateExpression="SET #s = :s, #o = :o",
        ExpressionAttributeNames={"#s": "status", "#o": "output"},
        ExpressionAttributeValues={
            ":s": {"S": news["status"]},
            ":o": {"S": json.dumps(news["output"])},
        },
    )
    return {}


handler = Mangum(app)
