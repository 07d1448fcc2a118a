"""AWS's events for the functions, in their real shapes."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from darkroom.api.routes import gateway_keys
from darkroom.runtime.function import declared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TIME = 1_800_000_000_000
"""Time of a request at the gateway, unless a test sets it: FakeClock's start."""

ROUTES = tuple(key for function in declared().values() for key in gateway_keys(function))
"""The routes of the HTTP API; any other request is `$default`."""


class Context:
    """The part of Lambda's context that the functions use."""

    function_name = "darkroom"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:darkroom"
    aws_request_id = "8f507cfc-example"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 110_000


def http(
    method: str,
    path: str,
    body: str | bytes | None = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    query: Mapping[str, str] | None = None,
    time: int = TIME,
) -> dict[str, Any]:
    """Return a request to the HTTP API, payload 2.0.

    As in AWS, header names are in lower case, repeated headers joined by a comma, and bytes in
    base64.
    """
    pairs = list(headers.items() if hasattr(headers, "items") else headers)
    joined: dict[str, str] = {}
    for name, value in pairs:
        known = joined.get(name.lower())
        joined[name.lower()] = value if known is None else f"{known},{value}"
    route, parameters = _route(method, path)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={value}" for name, value in (query or {}).items()),
        "headers": joined,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": route,
            "stage": "$default",
            "time": "15/Jan/2027:08:00:00 +0000",
            "timeEpoch": time,
        },
        "isBase64Encoded": isinstance(body, bytes),
    }
    if parameters:
        event["pathParameters"] = parameters
    if query:
        event["queryStringParameters"] = dict(query)
    if body is not None:
        event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return event


def _route(method: str, path: str) -> tuple[str, dict[str, str]]:
    # A complete match precedes one whose last variable matches the rest of the path.
    for route in sorted(ROUTES, key=lambda key: ("+}" in key, -len(key))):
        wanted, template = route.split(" ")
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template)
        pattern = re.sub(r"{(\w+)\+}", r"(?P<\1>.*)", pattern)
        match = re.fullmatch(pattern, path, re.DOTALL)
        if wanted == method and match:
            return route, match.groupdict()
    return "$default", {}


def in_payload_1(event: dict[str, Any], headers: dict[str, list[str]]) -> dict[str, Any]:
    """Return the same request as a REST API passes it on, with an empty `headers`."""
    return {**event, "version": "1.0", "headers": None, "multiValueHeaders": headers}


def sqs(*bodies: str | dict[str, Any]) -> dict[str, Any]:
    """Return a batch of messages, `m0`, `m1`, and so on."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"handle{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1800000000000",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1800000000001",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:darkroom",
                "awsRegion": "eu-west-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def stream(*changes: tuple[dict[str, Any] | None, dict[str, Any] | None]) -> dict[str, Any]:
    """Return a batch of the table's stream: `(old item, new item)` each, None for an absent one.

    Sequence numbers count from 100.
    """
    return {
        "Records": [_change(100 + number, old, new) for number, (old, new) in enumerate(changes)]
    }


def _as_json(typed: Any) -> Any:
    """Convert to JSON as in a stream record, with bytes in base64."""
    if isinstance(typed, bytes):
        return base64.b64encode(typed).decode()
    if isinstance(typed, dict):
        return {name: _as_json(value) for name, value in typed.items()}
    return [_as_json(value) for value in typed] if isinstance(typed, list) else typed


def _change(number: int, old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
    name = "REMOVE" if new is None else "INSERT" if old is None else "MODIFY"
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": 1800000000.0,
        "Keys": {"id": (new or old or {})["id"]},
        "SequenceNumber": str(number),
        "SizeBytes": 512,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if old is not None:
        change["OldImage"] = _as_json(old)
    if new is not None:
        change["NewImage"] = _as_json(new)
    record: dict[str, Any] = {
        "eventID": f"event{number}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": change,
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/P/stream/2027",
    }
    if name == "REMOVE":
        # Deleted by the table's TTL, not by a caller.
        record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    return record


def schedule() -> dict[str, Any]:
    """Return EventBridge's event of each minute."""
    return {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2027-01-15T08:00:00Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:events:eu-west-1:123456789012:rule/sweep"],
        "detail": {},
    }
