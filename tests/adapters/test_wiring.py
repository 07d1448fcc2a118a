"""Every function as wired in a deployed stack, over moto and the tests' own provider."""

from __future__ import annotations

import base64
import importlib
import io
import json
import logging
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from darkroom.aws import clients as aws_
from darkroom.domain import keys, signature
from darkroom.runtime.function import declared
from darkroom.runtime.observability import logger
from darkroom.runtime.settings import SettingsError
from pytest_socket import enable_socket, socket_allow_hosts

from ops.keys import put_key
from tests.support import events
from tests.support.servers import Server, http, read_request, serving
from tests.support.world import PNG, SCHNELL

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from tests.adapters.aws import Aws

TOKEN = keys.new_token()
WEBHOOK_KEY = b"w" * 32


def outside(connection: socket.socket, server: Server) -> None:
    """Replicate's API, its output host, and a client's webhook, in one server."""
    read_request(connection, server)
    line = server.requests[-1].split(b"\r\n")[0].decode()
    body: Any = {}
    status = 200
    if line.startswith("POST /v1/predictions HTTP"):
        status, body = 201, {"id": "p" * 26, "status": "starting"}
    elif line.startswith("GET /output.png"):
        body = PNG
    connection.sendall(http(status, body, {"connection": "close"}))


@dataclass
class Stack:
    """A deployed stack: its functions by name, and what AWS would pass between them."""

    aws: Aws
    outside: Server
    queues: dict[str, str]

    def call(self, function: str, event: dict[str, Any]) -> Any:
        return importlib.import_module(f"darkroom.handlers.{function}").handler(
            event, events.Context()
        )

    def request(self, function: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        text = None if body is None else json.dumps(body)
        now = time.time_ns() // 1_000_000
        answer = self.call(function, events.http(method, path, text, headers, time=now))
        return answer["statusCode"], json.loads(answer["body"] or "null")

    def hook(self, url: str, news: dict[str, Any]) -> dict[str, Any]:
        """Call the provider's signed webhook at the given URL, about prediction `ppp…`."""
        to = urlsplit(url)
        body, at = json.dumps({"id": "p" * 26, **news}), int(time.time())
        signed = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(at),
            "webhook-signature": signature.sign("msg_1", at, body.encode(), key=WEBHOOK_KEY),
        }
        return events.http("POST", to.path, body, signed, {"t": to.query.removeprefix("t=")})

    def item(self, id_: str) -> dict[str, Any]:
        key = {"id": {"S": id_}}
        return dict(self.aws.dynamodb.get_item(TableName="predictions", Key=key)["Item"])

    def messages(self, queue: str) -> list[dict[str, Any]]:
        found = self.aws.sqs.receive_message(QueueUrl=self.queues[queue], MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in found.get("Messages", [])]

    def sent(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        """Return headers and bodies of the requests to a path of the server."""
        found = []
        for request in self.outside.requests:
            head, _, body = request.partition(b"\r\n\r\n")
            line, *lines = head.decode().split("\r\n")
            if line.split(" ")[1].partition("?")[0] == path:
                pairs = (each.split(": ", 1) for each in lines)
                found.append(({name.lower(): value for name, value in pairs}, body))
        return found


@pytest.fixture
def stack(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    enable_socket()
    socket_allow_hosts(["127.0.0.1"])
    queues = {
        name: aws.sqs.create_queue(QueueName=name)["QueueUrl"]
        for name in ("dispatch", "persist", "deliver", "tasks", "intake", "rejected")
    }
    aws.events.create_event_bus(Name="bus")
    whsec = "whsec_" + base64.b64encode(WEBHOOK_KEY).decode()
    for name, value in {
        "token": "r8_test",
        "webhook": json.dumps({"current": whsec}),
        "link": json.dumps({"current": "l" * 64}),
        "callback": "c" * 64,
    }.items():
        aws.secretsmanager.create_secret(Name=name, SecretString=value)
    put_key(aws.dynamodb, "controls", TOKEN, tenant="acme")
    with ExitStack() as running:
        server = running.enter_context(serving(outside))
        environment = {
            "predictions_table": "predictions",
            "controls_table": "controls",
            "deliveries_table": "deliveries",
            "outputs_bucket": "outputs",
            "uploads_bucket": "uploads",
            "public_url": "https://darkroom.test",
            "replicate_url": server.url,
            "replicate_token_secret": "token",
            "replicate_webhook_secret": "webhook",
            "link_key_secret": "link",
            "callback_key_secret": "callback",
            "event_bus": "bus",
            "output_hosts": server.url,
            "local_callbacks": "true",
            "dedicated_account": "true",
            **{f"{name}_queue": url for name, url in queues.items()},
            "intake_dlq": queues["rejected"],
            "tasks": "true",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name.upper(), value)
        _forget()
        yield Stack(aws, server, queues)
        _forget()


def _forget() -> None:
    """Forget what a new process would not know."""
    aws_.client.cache_clear()
    for function in declared().values():
        function.forget()


def test_a_prediction_from_submit_to_callback(stack: Stack) -> None:
    callback = f"{stack.outside.url}/callback"
    status, made = stack.request(
        "submit",
        "POST",
        "/v1/predictions",
        {"version": SCHNELL, "input": {"prompt": "a corgi"}, "webhook": callback},
    )
    assert (status, made["status"]) == (201, "starting")
    id_ = made["id"]
    ((headers, body),) = stack.sent("/v1/predictions")
    assert headers["authorization"] == "Bearer r8_test"
    hook = urlsplit(json.loads(body)["webhook"])
    assert (hook.netloc, hook.path) == ("darkroom.test", f"/hooks/replicate/{id_}")

    output = [f"{stack.outside.url}/output.png"]
    news = {"status": "succeeded", "output": output, "logs": "done"}
    event = stack.hook(json.loads(body)["webhook"], news)
    assert stack.call("webhook", event)["statusCode"] == 200

    assert stack.call("relay", events.stream((None, stack.item(id_)))) == {"batchItemFailures": []}
    (message,) = stack.messages("persist")
    before = stack.item(id_)
    assert stack.call("persist", events.sqs(message)) == {"batchItemFailures": []}
    stack.call("relay", events.stream((before, stack.item(id_))))

    status, read = stack.request("read", "GET", f"/v1/predictions/{id_}")
    assert (status, read["status"], read["logs"]) == (200, "succeeded", "done")
    (file,) = read["darkroom"]["files"]
    stored = stack.aws.s3.get_object(Bucket="outputs", Key=file["key"])
    assert (stored["Body"].read(), stored["ContentType"]) == (PNG, "image/png")
    assert file["key"] in read["output"][0]
    _, listed = stack.request("read", "GET", "/v1/predictions")
    assert [each["id"] for each in listed["results"]] == [id_]

    messages = stack.messages("deliver")
    assert stack.call("deliver", events.sqs(*messages)) == {"batchItemFailures": []}
    (body,) = [
        body
        for headers, body in stack.sent("/callback")
        if headers["webhook-id"] == f"{id_}_completed"
    ]
    assert json.loads(body)["status"] == "succeeded"
    assert stack.call("sweep", events.schedule()) == {"done": {}, "left": 0}
    assert "due_at" not in stack.item(id_)


def test_the_webhook_of_an_id_that_has_an_owner_goes_to_the_owner(stack: Stack) -> None:
    """The transaction that gives a provider id one owner, with the real wiring."""
    _, made = stack.request(
        "submit", "POST", "/v1/predictions", {"version": SCHNELL, "input": {"prompt": "x"}}
    )
    rows = stack.aws.dynamodb.scan(TableName="controls")["Items"]
    assert {"S": "PID#" + "p" * 26} in [row["pk"] for row in rows]
    status, canceled = stack.request("cancel", "POST", f"/v1/predictions/{made['id']}/cancel")
    assert status == 200
    assert canceled["id"] == made["id"]


def test_a_file_is_uploaded_and_named_in_an_input(stack: Stack) -> None:
    form = b'--b\r\ncontent-disposition: form-data; name="content"; filename="a.png"\r\n\r\n'
    headers = {
        "authorization": f"Bearer {TOKEN}",
        "content-type": "multipart/form-data; boundary=b",
    }
    event = events.http("POST", "/v1/files", form + PNG + b"\r\n--b--\r\n", headers)
    file = json.loads(stack.call("files", event)["body"])
    image = {"prompt": "x", "image": file["urls"]["get"]}
    body = {"version": "stability-ai/sdxl", "input": image}
    status, made = stack.request("submit", "POST", "/v1/predictions", body)
    assert status == 201
    ((_, sent),) = stack.sent("/v1/predictions")
    assert f"/acme/inputs/{made['id']}/0.png?" in json.loads(sent)["input"]["image"]


@pytest.mark.parametrize("ours", [True, False])
def test_f18_an_output_is_named_in_an_input_by_its_url(stack: Stack, ours: bool) -> None:
    key = f"{'acme' if ours else 'other'}/2027/01/{'a' * 26}/0.png"
    stack.aws.s3.put_object(Bucket="outputs", Key=key, Body=PNG)
    url = f"https://outputs.s3.eu-west-1.amazonaws.com/{key}?X-Amz-Signature=expired"
    body = {"version": "stability-ai/sdxl", "input": {"prompt": "x", "image": url}}
    status, _ = stack.request("submit", "POST", "/v1/predictions", body)
    assert status == 201
    ((_, sent),) = stack.sent("/v1/predictions")
    image = json.loads(sent)["input"]["image"]
    assert (image == url) is not ours
    assert image.partition("?")[0] == url.partition("?")[0]


def test_requests_by_event_are_taken_and_refused(stack: Stack) -> None:
    detail = {"model": SCHNELL, "input": {"prompt": "x"}, "taskToken": "t" * 700}
    good, bad = ({"tenant": "acme", "id": "1", "detail": each} for each in (detail, {}))
    answer = stack.call("intake", events.sqs(good, good, bad))
    assert answer == {"batchItemFailures": []}
    assert len(stack.sent("/v1/predictions")) == 1
    assert stack.messages("rejected") == [bad]
    _, listed = stack.request("read", "GET", "/v1/predictions")
    (made,) = listed["results"]
    assert stack.item(made["id"])["task_token"] == {"S": "t" * 700}
    # No task waits; a rejected heartbeat blocks nothing.
    message = {"prediction": made["id"], "event": "task"}
    assert stack.call("deliver", events.sqs(message)) == {"batchItemFailures": []}


def test_deliveries_are_wired(stack: Stack) -> None:
    callback = f"{stack.outside.url}/callback"
    body = {"version": SCHNELL, "input": {"prompt": "x"}, "webhook": callback}
    _, made = stack.request("submit", "POST", "/v1/predictions", body)
    path = f"/v1/predictions/{made['id']}/deliveries"
    assert stack.request("deliveries", "GET", path)[0] == 200
    # No callback is pending yet.
    assert stack.request("deliveries", "POST", f"{path}/start/redeliver")[0] == 404


def test_dispatch_is_wired(stack: Stack) -> None:
    message = {"action": "create", "id": "0" * 26}
    assert stack.call("dispatch", events.sqs(message)) == {"batchItemFailures": []}


@pytest.mark.parametrize("function", declared())
def test_a_function_without_its_environment_says_what_is_missing(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_ = declared()[function].settings
    for name in class_.names():
        monkeypatch.delenv(name, raising=False)
    _forget()
    with pytest.raises(SettingsError, match=class_.__name__):
        declared()[function].made()


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """Return everything logged while a stage's `log_level` is DEBUG or TRACE, as Lambda configures
    it: the root logger has the level, and a handler."""
    logged = io.StringIO()
    handler, root, level = logging.StreamHandler(logged), logging.getLogger(), logger.log_level
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logger.setLevel(logging.DEBUG)
    yield logged
    root.removeHandler(handler)
    root.setLevel(before)
    logger.setLevel(level)


def test_no_log_level_puts_a_secret_or_a_prompt_into_a_log(
    stack: Stack, everything_logged: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt, url = "canary-prompt", f"{stack.outside.url}/callback?canary-url"
    body = {"version": SCHNELL, "input": {"prompt": prompt}, "webhook": url}
    status, made = stack.request("submit", "POST", "/v1/predictions", body)
    assert status == 201
    stack.call("relay", events.stream((None, stack.item(made["id"]))))
    stack.request("read", "GET", f"/v1/predictions/{made['id']}")
    stack.request("read", "GET", "/v1/webhooks/default/secret")
    stack.request("cancel", "POST", f"/v1/predictions/{made['id']}/cancel")
    before = stack.item(made["id"])
    ((_, created),) = stack.sent("/v1/predictions")
    news = {"status": "failed", "error": "canary-error"}
    hook = stack.hook(json.loads(created)["webhook"], news)
    assert stack.call("webhook", hook)["statusCode"] == 200
    stack.call("relay", events.stream((before, stack.item(made["id"]))))
    stack.call("deliver", events.sqs(*stack.messages("deliver")))
    stack.call("sweep", events.schedule())
    assert stack.sent("/callback")
    logged = everything_logged.getvalue() + capsys.readouterr().out
    assert "answered" in logged
    secrets = (TOKEN, "r8_test", "whsec_", "l" * 64, "c" * 64)
    assert not [canary for canary in (prompt, "canary-", *secrets) if canary in logged]


@pytest.mark.parametrize("level", ["INFO", "DEBUG", "TRACE"])
def test_a_stage_of_any_level_writes_our_own_lines(level: str) -> None:
    """TRACE is a level of Lambda's that Python's logging lacks."""
    script = (
        "from darkroom.runtime.observability import invocation, logger\n"
        "from tests.support.events import Context\n"
        "invocation(lambda event, context: logger.info('our own line'))({}, Context)\n"
    )
    environment = {**os.environ, "PYTHONPATH": ".:functions", "AWS_LAMBDA_LOG_LEVEL": level}
    command = [sys.executable, "-W", "error", "-c", script]
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert json.loads(ran.stdout)["message"] == "our own line"
