"""Darkroom's functions, built as in a deployed stack, over an AWS account in this process (moto).

A meter between them and AWS records every request and its billed DynamoDB units.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import importlib
import io
import json
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
from darkroom.aws import clients as aws_
from darkroom.aws.items import RELAY
from darkroom.domain import keys, row_keys, signature
from darkroom.outbound.http import Client
from darkroom.replicate.hooks import HOOK_PATH
from darkroom.runtime import adapters
from darkroom.runtime.function import declared
from moto import mock_aws

from bench.meter import Call, Meter
from ops.keys import put_key
from tests.support import events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.outbound.http import Guard

TENANT = "acme"
PROVIDER_ID = "p" * 26
QUEUES = ("dispatch", "persist", "deliver", "tasks")
CONSUMERS = {"tasks": "deliver"}
"""Functions that consume queues of another name."""
_OTHER_QUEUES = {"intake": "INTAKE_QUEUE", "intake-dlq": "INTAKE_DLQ"}
"""Queues whose messages are not passed on here, by the variables that name them."""
_WEBHOOK_KEY = b"w" * 32
_REGION = "eu-west-1"


class _Context(events.Context):
    """Has a request id as long as Lambda's, since lines of warnings and errors contain it."""

    aws_request_id = "8f507cfc-0000-4000-8000-0123456789ab"


_DUE = {"due_shard": "N", "due_at": "N"}
TABLES: dict[str, tuple[dict[str, str], dict[str, dict[str, str]]]] = {
    "predictions": ({"id": "S"}, {"due": _DUE, "tenant": {"tenant": "S", "created_at": "N"}}),
    "deliveries": ({"prediction": "S", "event": "S"}, {"due": _DUE}),
    "controls": ({"pk": "S"}, {}),
}
"""Keys of the tables and of their KEYS_ONLY indexes, as in the stateful stack."""


class _Outside(http.server.BaseHTTPRequestHandler):
    """Replicate's API, its output host, and a client's webhook endpoint, in one server."""

    protocol_version = "HTTP/1.1"
    server: Outside

    def handle_one_request(self) -> None:
        """Treat any error of a connection as its end."""
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def do_GET(self) -> None:
        self._take()
        if self.path.startswith("/output"):
            self._send(200, self.server.picture, "image/png")
            return
        answer = self.server.said
        id_ = self.path.partition("?")[0].removeprefix("/v1/predictions").strip("/")
        if not id_:
            answer = {"results": [answer] if answer else [], "next": None}
        elif answer.get("status"):
            answer = {**answer, "id": id_}
        self._send(200, json.dumps(answer).encode())

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self._take(self.rfile.read(length))
        if self.path == "/v1/predictions":
            status = self.server.create_statuses.pop(0) if self.server.create_statuses else 201
            self._send(status, json.dumps(self.server.answer_to_create(status)).encode())
        elif self.path.endswith("/cancel"):
            self._send(200, json.dumps(self.server.said).encode())
        else:
            self._send(self.server.callback_status, b"{}")

    def _take(self, body: bytes = b"") -> None:
        self.server.requests.append((self.command, self.path, body))

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Outside(http.server.ThreadingHTTPServer):
    """The services that Darkroom calls besides AWS, on one port."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Outside)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[tuple[str, str, bytes]] = []
        self.provider_id = PROVIDER_ID
        """Id of the next prediction that is created, and of the status answers."""
        self.create_statuses: list[int] = []
        """Statuses of the answers to the next creates; then 201."""
        self.said: dict[str, Any] = {}
        """The answer to a GET of the prediction, and to a cancel."""
        self.picture = b""
        self.callback_status = 200

    def answer_to_create(self, status: int) -> dict[str, Any]:
        """Return a prediction, or the error body."""
        if status != 201:
            return {"detail": "Request was throttled.", "status": status, "retry_after": 1}
        return {"id": self.provider_id, "status": "starting", "logs": ""}


@dataclass(frozen=True, slots=True)
class Invocation:
    """A function, its event, and the number of outside requests before it."""

    function: str
    event: dict[str, Any]
    outside: int


@dataclass
class Account:
    """The account, with the roles of API Gateway, SQS, the table's stream and the schedule."""

    meter: Meter
    outside: Outside
    token: str
    clients: dict[str, Any]
    """Clients that are not metered."""
    log_bytes: int = 0
    """Bytes that the functions have written to standard output."""
    invocations: list[str] = field(default_factory=list)
    inputs: list[Invocation] = field(default_factory=list)
    ahead_ms: int = 0

    def now(self) -> int:
        """Return the milliseconds since the epoch, on the functions' clock."""
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def later(self, seconds: float) -> None:
        """Advance the clock without waiting."""
        self.ahead_ms += int(seconds * 1000)

    def call(self, function: str, event: dict[str, Any]) -> Any:
        """Invoke a function like Lambda does."""
        module = importlib.import_module(f"darkroom.handlers.{function}")
        self.invocations.append(function)
        self.inputs.append(Invocation(function, event, len(self.outside.requests)))
        self.meter.source = function
        with _captured() as written:
            answer = module.handler(event, _Context())
        self.log_bytes += len(written.getvalue().encode())
        return answer

    def request(
        self,
        function: str,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send one HTTP request through the gateway."""
        sent = {
            "authorization": f"Bearer {self.token}",
            "content-type": "application/json",
            **(headers or {}),
        }
        text = None if body is None else json.dumps(body)
        event = events.http(method, path, text, sent, query, time=self.now())
        answer = self.call(function, event)
        return answer["statusCode"], json.loads(answer["body"] or "null")

    def webhook(self, id_: str, said: dict[str, Any]) -> None:
        """Send Replicate's signed webhook for the record, to the URL in its create."""
        created = [body for _, path, body in self.outside.requests if path == "/v1/predictions"]
        token = json.loads(created[-1])["webhook"].partition("?t=")[2]
        text = json.dumps(said)
        at = self.now() // 1000
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(at),
            "webhook-signature": signature.sign("msg_1", at, text.encode(), key=_WEBHOOK_KEY),
        }
        path = f"{HOOK_PATH}{id_}"
        answer = self.call("webhook", events.http("POST", path, text, headers, {"t": token}))
        if answer["statusCode"] != 200:
            raise RuntimeError(f"the webhook was answered {answer['statusCode']}")

    def settle(self) -> None:
        """Pass on stream records and messages, one per invocation, until none are left.

        Records that the stream's filter drops are not passed on, and cost nothing.
        """
        while True:
            if self.meter.stream:
                old, new = self.meter.stream.pop(0)
                if new and new[RELAY]["BOOL"]:
                    self._whole("relay", events.stream((old, new)))
                continue
            queue = next((name for name in QUEUES if self.meter.messages[name]), None)
            if queue is None:
                return
            body = self.meter.messages[queue].pop(0)
            # The poller's own two requests, besides the sender's, with one message per batch.
            self.meter.source = f"{queue} poller"
            self.meter.calls.append(Call(self.meter.source, "sqs", "ReceiveMessage", queue))
            self.meter.calls.append(Call(self.meter.source, "sqs", "DeleteMessage", queue))
            self._whole(CONSUMERS.get(queue, queue), events.sqs(body))

    def _whole(self, function: str, event: dict[str, Any]) -> None:
        answer = self.call(function, event)
        if answer["batchItemFailures"]:
            raise RuntimeError(f"{function} failed")

    def forget(self) -> None:
        """Reset the counts."""
        self.meter.calls.clear()
        self.invocations.clear()
        self.inputs.clear()
        self.outside.requests.clear()
        self.log_bytes = 0

    def put_limits(self, **limits: int) -> None:
        """Give the tenant caps and rates, like `ops limits` does."""
        self.clients["dynamodb"].put_item(
            TableName="controls",
            Item={
                "pk": {"S": row_keys.tenant(TENANT)},
                **{name: {"N": str(value)} for name, value in limits.items()},
            },
        )


@contextlib.contextmanager
def account(**environment: str) -> Iterator[Account]:
    """Yield a new, empty account, with its environment and an emulated Replicate.

    `environment` has a stage's variables besides the names of resources.
    """
    dummy = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": _REGION,
        "POWERTOOLS_LOG_DEDUPLICATION_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": "darkroom-prod",
    }
    with contextlib.ExitStack() as lasting:
        lasting.enter_context(mock.patch.dict(os.environ, dummy))
        lasting.enter_context(mock_aws())
        outside = Outside()
        thread = threading.Thread(target=outside.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        lasting.callback(thread.join)
        lasting.callback(outside.server_close)
        lasting.callback(outside.shutdown)
        names = ("dynamodb", "s3", "sqs", "events", "secretsmanager")
        make: Any = boto3.client
        clients = {name: make(name, region_name=_REGION) for name in names}
        queues = _make(clients)
        lasting.enter_context(
            mock.patch.dict(os.environ, {**_environment(outside.url, queues), **environment})
        )
        new_process()
        lasting.callback(new_process)
        lasting.enter_context(_closing())
        meter = Meter(clients["dynamodb"], TABLES)
        for name in names:
            meter.attach(aws_.client(name))
        token = keys.new_token()
        put_key(clients["dynamodb"], "controls", token, tenant=TENANT)
        made = Account(meter, outside, token, clients)
        lasting.enter_context(mock.patch.object(adapters, "now", made.now))
        yield made


@contextlib.contextmanager
def _closing() -> Iterator[None]:
    """Close the HTTP clients created meanwhile, since a function keeps its client for its
    lifetime."""
    made: list[Client] = []
    begin = Client.__init__

    def tracked(self: Client, guard: Guard | None = None) -> None:
        begin(self, guard)
        made.append(self)

    with mock.patch.object(Client, "__init__", tracked):
        yield
    for client in made:
        client.close()


def _make(clients: dict[str, Any]) -> dict[str, str]:
    for name, (key, indexes) in TABLES.items():
        kinds = {**key, **{n: kind for index in indexes.values() for n, kind in index.items()}}
        made = [
            {
                "IndexName": index,
                "KeySchema": _schema(index_key),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index, index_key in indexes.items()
        ]
        clients["dynamodb"].create_table(
            TableName=name,
            KeySchema=_schema(key),
            AttributeDefinitions=[
                {"AttributeName": n, "AttributeType": kind} for n, kind in kinds.items()
            ],
            BillingMode="PAY_PER_REQUEST",
            **({"GlobalSecondaryIndexes": made} if made else {}),
        )
    for bucket in ("outputs", "uploads"):
        clients["s3"].create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": _REGION}
        )
    clients["events"].create_event_bus(Name="bus")
    whsec = "whsec_" + base64.b64encode(_WEBHOOK_KEY).decode()
    for name, value in {
        "token": "r8_test",
        "webhook": json.dumps({"current": whsec}),
        "link": json.dumps({"current": "l" * 64}),
        "callback": "c" * 64,
    }.items():
        clients["secretsmanager"].create_secret(Name=name, SecretString=value)
    return {
        name: clients["sqs"].create_queue(QueueName=name)["QueueUrl"]
        for name in (*QUEUES, *_OTHER_QUEUES)
    }


def _schema(key: dict[str, str]) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": n, "KeyType": kind} for n, kind in zip(key, kinds, strict=False)]


def _environment(outside: str, queues: dict[str, str]) -> dict[str, str]:
    return {
        "PREDICTIONS_TABLE": "predictions",
        "CONTROLS_TABLE": "controls",
        "DELIVERIES_TABLE": "deliveries",
        "OUTPUTS_BUCKET": "outputs",
        "UPLOADS_BUCKET": "uploads",
        "PUBLIC_URL": "https://api.example.com",
        "REPLICATE_URL": outside,
        "REPLICATE_TOKEN_SECRET": "token",
        "REPLICATE_WEBHOOK_SECRET": "webhook",
        "LINK_KEY_SECRET": "link",
        "CALLBACK_KEY_SECRET": "callback",
        "EVENT_BUS": "bus",
        "OUTPUT_HOSTS": outside,
        "LOCAL_CALLBACKS": "true",
        "RESULT_CACHE": "true",
        **{_OTHER_QUEUES.get(name, f"{name.upper()}_QUEUE"): url for name, url in queues.items()},
    }


def new_process() -> None:
    """Reset everything that a new process would not have."""
    aws_.client.cache_clear()
    for function in declared().values():
        function.forget()


@contextlib.contextmanager
def _captured() -> Iterator[io.StringIO]:
    """Capture the functions' standard output, which CloudWatch would receive."""
    from darkroom.runtime.observability import logger

    written = io.StringIO()
    stream = logger.registered_handler
    before = stream.setStream(written)  # type: ignore[attr-defined]
    try:
        with contextlib.redirect_stdout(written):
            yield written
    finally:
        stream.setStream(before)  # type: ignore[attr-defined]
