"""`ops doctor` and `ops setup`: the parts that exist on AWS only; the rest is in tests/e2e."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from botocore.exceptions import ClientError

from local.certificates import issue
from ops.capacity import Capacity, look
from ops.cdn_key import new_private_key
from ops.deployment import Deployment, embedded, find
from ops.doctor import FAIL, OK, WARN, Check, examine
from ops.replicate import http
from ops.setup import Setup
from tests.support.servers import Server, read_request, serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tests.ops.stacks import Stacks

TOPIC = "arn:aws:sns:eu-west-1:123456789012:Alarms"
CONFIRMED = {"SubscriptionArn": f"{TOPIC}:1", "Endpoint": "night@example.com"}
PENDING = {"SubscriptionArn": "PendingConfirmation", "Endpoint": "day@example.com"}


@dataclass
class Account:
    """Lambda's and SNS's data on the account and the stage."""

    limit: int = 1000
    each_queue: int | None = 50
    subscriptions: list[dict[str, str]] = field(default_factory=list)
    denied: bool = False
    told: dict[str, str] = field(
        default_factory=lambda: {
            "REPLICATE_URL": "https://upstream",
            "PUBLIC_URL": "https://api",
        }
    )
    """The functions' environment."""

    def get_account_settings(self) -> dict[str, Any]:
        if self.denied:
            error = {"Error": {"Code": "AccessDeniedException", "Message": ""}}
            raise ClientError(cast("Any", error), "GetAccountSettings")
        return {"AccountLimit": {"ConcurrentExecutions": self.limit}}

    def list_event_source_mappings(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "dispatch"
        scaling = {"ScalingConfig": {"MaximumConcurrency": self.each_queue}}
        return {"EventSourceMappings": [scaling if self.each_queue else {}]}

    def get_function_configuration(self, **_: Any) -> dict[str, Any]:
        return {"Environment": {"Variables": self.told}}

    def get_paginator(self, name: str) -> Account:
        assert name == "list_subscriptions_by_topic"
        return self

    def paginate(self, **given: str) -> list[dict[str, Any]]:
        assert given == {"TopicArn": TOPIC}
        return [{"Subscriptions": [one]} for one in self.subscriptions] or [{"Subscriptions": []}]


@dataclass
class Session:
    """A boto3 session; Lambda and SNS are doubles, everything else is moto's."""

    session: Any
    account: Account

    def client(self, service: str, **options: Any) -> Any:
        ours = service in {"lambda", "sns"}
        return self.account if ours else self.session.client(service, **options)


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def stage(deployment: Deployment, stacks: Stacks, account: Account) -> Deployment:
    names = ("FunctionSubmit", "FunctionDispatch")
    outputs = {name: name.removeprefix("Function").lower() for name in names}
    stacks.outputs = {"Darkroom-prod-Service": outputs}
    session = cast("Any", Session(deployment.session, account))
    return replace(deployment, session=session, outputs=deployment.outputs | outputs)


def refused(_: httpx.Request) -> httpx.Response:
    return httpx.Response(401)


def upstream(request: httpx.Request) -> httpx.Response:
    """Answer as Replicate for its host, otherwise as our own API."""
    if request.url.host != "upstream":
        return refused(request)
    return httpx.Response(200, json={"username": "us", "key": "whsec_b2xk"})


def checks(stage: Deployment, name: str) -> list[Check]:
    with httpx.Client(transport=httpx.MockTransport(refused)) as client:
        return [check for check in examine(stage, "prod", client) if check.name == name]


# The door `wait`


def waiting(stage: Deployment, answer: Callable[[httpx.Request], httpx.Response]) -> list[Check]:
    opened = replace(stage, outputs=stage.outputs | {"FunctionWait": "wait"})
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        return [check for check in examine(opened, "prod", client) if check.name == "wait"]


def served(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/watch"):
        return httpx.Response(404, headers={"access-control-allow-origin": "*"})
    return httpx.Response(401)


def unserved(_: httpx.Request) -> httpx.Response:
    return httpx.Response(404)


def shut(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/watch"):
        return httpx.Response(404)
    return httpx.Response(401)


def gone(request: httpx.Request) -> httpx.Response:
    if "/predictions/" in request.url.path:
        raise httpx.ConnectError("down")
    return httpx.Response(401)


@pytest.mark.parametrize(
    ("answer", "state", "text"),
    [
        (served, OK, "serves"),
        (unserved, FAIL, "…/wait answered 404 and not 401"),
        (shut, FAIL, "not served by the function wait"),
        (gone, FAIL, "cannot be reached: ConnectError"),
    ],
)
def test_doctor_tells_whether_the_door_wait_is_served(
    stage: Deployment,
    answer: Callable[[httpx.Request], httpx.Response],
    state: str,
    text: str,
) -> None:
    (check,) = waiting(stage, answer)
    assert check.state == state
    assert text in check.text
    assert checks(stage, "wait") == [], "without the door there is nothing to look at"


# The door `mcp`


def with_mcp(stage: Deployment, answer: Callable[[httpx.Request], httpx.Response]) -> list[Check]:
    opened = replace(stage, outputs=stage.outputs | {"FunctionMcp": "mcp"})
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        return [check for check in examine(opened, "prod", client) if check.name == "mcp"]


def challenged(_: httpx.Request) -> httpx.Response:
    return httpx.Response(401, headers={"www-authenticate": "Bearer"})


def unreachable(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/mcp":
        raise httpx.ConnectError("down")
    return httpx.Response(401)


@pytest.mark.parametrize(
    ("answer", "state", "text"),
    [
        (challenged, OK, "serves"),
        (unserved, FAIL, "/mcp answered 404 and not 401"),
        (refused, FAIL, "not served by the function mcp"),
        (unreachable, FAIL, "cannot be reached: ConnectError"),
    ],
)
def test_doctor_tells_whether_the_door_mcp_is_served(
    stage: Deployment,
    answer: Callable[[httpx.Request], httpx.Response],
    state: str,
    text: str,
) -> None:
    (check,) = with_mcp(stage, answer)
    assert check.state == state
    assert text in check.text
    assert checks(stage, "mcp") == [], "without the door there is nothing to look at"


# The door `console`


def with_console(
    stage: Deployment, answer: Callable[[httpx.Request], httpx.Response]
) -> list[Check]:
    opened = replace(stage, outputs=stage.outputs | {"FunctionConsole": "console"})
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        return [check for check in examine(opened, "prod", client) if check.name == "console"]


def paged(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, headers={"content-security-policy": "default-src 'none'"})


def pathless(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200)


def down(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/console":
        raise httpx.ConnectError("down")
    return httpx.Response(401)


@pytest.mark.parametrize(
    ("answer", "state", "text"),
    [
        (paged, OK, "serves /console"),
        (unserved, FAIL, "/console answered 404 and not 200"),
        (pathless, FAIL, "not served by the function console"),
        (down, FAIL, "cannot be reached: ConnectError"),
    ],
)
def test_doctor_tells_whether_the_console_is_served(
    stage: Deployment,
    answer: Callable[[httpx.Request], httpx.Response],
    state: str,
    text: str,
) -> None:
    (check,) = with_console(stage, answer)
    assert check.state == state
    assert text in check.text
    assert checks(stage, "console") == [], "without the door there is nothing to look at"


# The door `openai`


@pytest.mark.parametrize(
    ("status", "headers", "state", "text"),
    [
        (401, {"x-should-retry": "false"}, OK, "serves"),
        (404, {}, FAIL, "models answered 404 and not 401"),
        (401, {}, FAIL, "in another form"),
        (None, {}, FAIL, "cannot be reached: ConnectError"),
    ],
)
def test_doctor_tells_whether_the_door_openai_is_served(
    stage: Deployment, status: int | None, headers: dict[str, str], state: str, text: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if status is None and "/openai/" in request.url.path:
            raise httpx.ConnectError("down")
        return httpx.Response(status or 401, headers=headers)

    opened = replace(stage, outputs=stage.outputs | {"FunctionImages": "images"})
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        (check,) = [one for one in examine(opened, "prod", client) if one.name == "openai"]
    assert check.state == state
    assert text in check.text
    assert checks(stage, "openai") == [], "without the door there is nothing to look at"


# The door `thumbnails`

PROBLEM = {"content-type": "application/problem+json"}


@pytest.mark.parametrize(
    ("cdn", "answer", "state", "text"),
    [
        (False, httpx.Response(400, headers=PROBLEM), OK, "served behind the API"),
        (False, httpx.Response(404, headers=PROBLEM), FAIL, "answered 404 and not 400"),
        (True, httpx.Response(404, headers=PROBLEM), OK, "served behind the CDN"),
        (True, httpx.Response(403), FAIL, "answered 403 and not 404"),
        (True, httpx.Response(404), FAIL, "answered 404 and not 404 behind the CDN"),
        (False, None, FAIL, "cannot be reached: ConnectError"),
    ],
)
def test_doctor_tells_whether_the_door_thumbnails_is_served(
    stage: Deployment,
    account: Account,
    cdn: bool,
    answer: httpx.Response | None,
    state: str,
    text: str,
) -> None:
    asked: list[httpx.URL] = []

    def answered(request: httpx.Request) -> httpx.Response:
        if ".t512.webp" not in request.url.path and "/thumbnail/" not in request.url.path:
            return httpx.Response(401)
        asked.append(request.url)
        if answer is None:
            raise httpx.ConnectError("down")
        return answer

    if cdn:
        key = {"key_id": "K1", "private_key": new_private_key()}
        stage.client("secretsmanager").create_secret(Name="cdn", SecretString=json.dumps(key))
        account.told |= {"CDN_DOMAIN": "cdn.test", "CDN_KEY_SECRET": "cdn"}
    opened = replace(stage, outputs=stage.outputs | {"FunctionThumbnail": "thumbnail"})
    with httpx.Client(transport=httpx.MockTransport(answered)) as client:
        (check,) = [one for one in examine(opened, "prod", client) if one.name == "thumbnails"]
    assert check.state == state
    assert text in check.text
    assert [url.host for url in asked] == ["cdn.test" if cdn else "api"]
    assert ("Key-Pair-Id" in asked[0].params) is cdn
    assert checks(stage, "thumbnails") == [], "without the door there is nothing to look at"


# The account's concurrency


@pytest.mark.parametrize(
    ("limit", "each_queue", "state", "remedy"),
    [
        (1000, 50, OK, ""),
        (1000, None, OK, ""),
        (999, 50, WARN, "ask for 1000"),
        (100, 50, WARN, "ask for 1000"),
        (10, 2, WARN, "ask for 1000"),
        (99, 50, FAIL, "small_account"),
        (10, None, FAIL, "small_account"),
    ],
)
def test_aws_m5_doctor_tells_of_an_account_that_is_too_small(
    stage: Deployment,
    account: Account,
    limit: int,
    each_queue: int | None,
    state: str,
    remedy: str,
) -> None:
    account.limit, account.each_queue = limit, each_queue
    (check,) = checks(stage, "concurrency")
    assert check.state == state
    assert str(limit) in check.text
    assert remedy in check.remedy
    assert bool(check.remedy) == (state != OK)


@pytest.mark.parametrize(
    ("limit", "state"), [(1000, "ok"), (500, "warning"), (10, "failed"), (None, "warning")]
)
def test_aws_m5_setup_tells_of_it_before_anybody_meets_it(
    stage: Deployment, account: Account, limit: int | None, state: str
) -> None:
    account.limit, account.denied = limit or 0, limit is None
    with httpx.Client(transport=httpx.MockTransport(upstream)) as client:
        setup = Setup(stage, client, "prod")
        setup.run(None, "acme")
    (step,) = (step for step in setup.steps if step.name == "concurrency")
    assert step.state == state
    assert ("AccessDenied" in step.text) == (limit is None)


def test_the_embedded_cloud_has_no_such_limit(stage: Deployment) -> None:
    assert look(replace(stage, endpoint="http://127.0.0.1:1")) is None
    assert look(stage) == Capacity(1000, careful=False)


# Receivers of alarms


@pytest.mark.parametrize(
    ("subscriptions", "state", "text"),
    [
        ([], WARN, "no receiver"),
        ([PENDING], WARN, "day@example.com"),
        ([CONFIRMED, PENDING], WARN, "day@example.com"),
        ([CONFIRMED], OK, "told to 1"),
    ],
)
def test_alarms_without_a_subscriber_are_a_warning(
    stage: Deployment,
    account: Account,
    subscriptions: list[dict[str, str]],
    state: str,
    text: str,
) -> None:
    account.subscriptions = subscriptions
    found = replace(stage, outputs=stage.outputs | {"AlarmTopic": TOPIC})
    (check,) = checks(found, "alarms")
    assert check.state == state
    assert text in check.text
    assert bool(check.remedy) == (state == WARN)


def test_a_stage_without_alarms_needs_nobody(stage: Deployment) -> None:
    assert checks(stage, "alarms") == []


def test_the_stack_of_the_alarms_may_be_missing_and_is_read_where_it_is(
    stage: Deployment, stacks: Stacks
) -> None:
    missing = checks(stage, "stacks")[-1].text
    assert "Darkroom-prod-Stateful" in missing
    assert "Observability" not in missing
    stacks.outputs["Darkroom-prod-Observability"] = {"AlarmTopic": TOPIC}
    assert find(local=False, stage="prod").outputs["AlarmTopic"] == TOPIC


# Failure queues


def test_newcomer_bug_6_no_failure_is_overlooked(stage: Deployment) -> None:
    sqs = stage.client("sqs")
    kinds = ("IntakeQueue", "IntakeDlq", "TasksQueue", "TasksDlq", "SweepFailures")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in kinds}
    found = replace(stage, outputs=stage.outputs | urls)
    assert [check.state for check in checks(found, "dead letters")] == [OK]
    for name in ("IntakeDlq", "TasksDlq", "SweepFailures"):
        sqs.send_message(QueueUrl=urls[name], MessageBody="{}")
    told = {check.text: check for check in checks(found, "dead letters")}
    assert set(told) == {f"1 messages in {n}" for n in ("IntakeDlq", "TasksDlq", "SweepFailures")}
    assert {check.state for check in told.values()} == {FAIL}
    assert "reason" in told["1 messages in IntakeDlq"].remedy


# The embedded cloud over TLS


def unauthorized(connection: socket.socket, server: Server) -> None:
    read_request(connection, server)
    connection.sendall(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("tls", [True, False])
def test_newcomer_bug_7_ops_trusts_the_embedded_clouds_own_authority(
    stacks: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    stacks.outputs = {"Darkroom-local-Service": {"ApiUrl": "x"}}
    context = issue(tmp_path / "ca.pem") if tls else None
    monkeypatch.setenv("DARKROOM_STATE_DIR", str(tmp_path))
    with serving(unauthorized, tls=context) as server:
        url = server.url.replace("http:", "https:") if tls else server.url
        announced = {"base_url": url, "aws_endpoint": stacks.url, "replicate_url": url}
        announced["ca_file"] = str(tmp_path / "ca.pem") if tls else ""
        (tmp_path / "local.json").write_text(json.dumps(announced))
        with http(find(local=True, stage="prod")) as client:
            assert client.get(url).status_code == 401
    assert embedded(stacks.url, None).authority is None
