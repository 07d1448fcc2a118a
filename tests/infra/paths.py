"""All calls of AWS by the functions on the bench's paths, and on rare ones.

Each path runs on the bench's account; the clients' calls, including signed URLs and forms, become
the requests that IAM decides on.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from darkroom.aws import clients as aws_
from darkroom.domain import keys
from PIL import Image

from bench.account import TENANT, Account, account
from bench.io import INPUT, MODEL, PATHS, PICTURE, finish, said, show
from bench.io import LIMITS as BENCH_LIMITS
from bench.io import submit as submit_one
from ops.cdn_key import new_private_key
from tests.support import events

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

IMAGE_MODEL = "black-forest-labs/flux-dev"
OPEN_MODEL = "someone/their-model:" + "a" * 64
BOUND = (
    b"--b\r\nContent-Disposition: form-data; name=content; filename=a.png\r\n\r\n%b\r\n--b--\r\n"
)
RESOURCES = ("_TABLE", "_BUCKET", "_SECRET", "_QUEUE", "_DLQ", "EVENT_BUS")
"""Suffixes of the variables that name a resource."""
LARGE_FILE = "data:image/png;base64," + base64.b64encode(PICTURE + bytes(300_000)).decode()
TOKEN = "AQCEAAAAKgAAAAMAAAAAAAAAAQ" * 4
NEXT_DAY_S = 86_400
WATCH_KEY = "WATCH_KEY_SECRET"
DOOR_OPENAI = "WAIT_S"


@dataclass(frozen=True)
class Asked:
    """One action that a function needs, on the resource that a variable of its environment
    names."""

    function: str
    action: str
    variable: str
    below: str = ""
    """Appended to the resource's ARN: an index, or an object's key."""
    context: tuple[tuple[str, tuple[str, ...] | str], ...] = ()


@dataclass
class Recorder:
    """Records the calls of every client that a function creates."""

    account: Account | None = None
    asked: set[Asked] = field(default_factory=set)

    def note(self, service: str, operation: str, params: dict[str, Any]) -> None:
        """Record one call of the function that runs."""
        if self.account is None:
            return
        function = self.account.meter.source.title()
        for action, name, below, context in _actions(service, operation, params):
            prefix = {"stepfunctions": "states"}.get(service, service)
            held = tuple(sorted((k, tuple(v) if isinstance(v, list) else v) for k, v in context))
            variable = _variable(name) if name else ""
            self.asked.add(Asked(function, f"{prefix}:{action}", variable, below, held))

    def on_call(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """Also a signed URL, because S3 grants it its signer's rights."""
        if model.name != "CreateBucket":  # Which creates a form's address.
            self.note(model.service_model.service_name, model.name, params)

    def on_signing(self, request: Any, **_: Any) -> None:
        """Record a form, for which there is no call."""
        form = request.context.get("s3-presign-post-fields")
        if form:
            conditions = request.context["s3-presign-post-policy"]["conditions"]
            bucket = next(c["bucket"] for c in conditions if isinstance(c, dict) and "bucket" in c)
            self.note("s3", "PutObject", {"Bucket": bucket, "Key": form["key"]})


def _variable(name: str) -> str:
    (variable,) = (
        variable
        for variable, value in os.environ.items()
        if value == name and variable.endswith(RESOURCES)
    )
    return variable


Action = tuple[str, str, str, "list[tuple[str, str | list[str]]]"]


def _actions(service: str, operation: str, params: dict[str, Any]) -> Iterator[Action]:
    """Yield IAM's actions of a call, each with its resource; AWS lists them by service."""
    match service:
        case "dynamodb":
            yield from _of_dynamodb(operation, params)
        case "s3":
            yield from _of_s3(operation, params)
        case "events":
            for entry in params["Entries"]:
                told = [("events:source", [entry["Source"]])]
                yield operation, entry["EventBusName"], "", list(told)
        case "sqs":
            yield operation, params["QueueUrl"], "", []
        case "secretsmanager":
            yield operation, params["SecretId"], "", []
        case "stepfunctions":
            yield operation, "", "", []
        case _:
            raise ValueError(f"no rule for {service}")


_IN_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_PARTITION_KEYS = {"predictions": "id", "controls": "pk", "deliveries": "prediction"}


def _of_dynamodb(operation: str, params: dict[str, Any]) -> Iterator[Action]:
    match operation:
        case "TransactWriteItems":
            for action in params["TransactItems"]:
                for kind, write in action.items():
                    yield from _of_dynamodb(_IN_TRANSACTION[kind], write)
        case "BatchGetItem":
            for table, wanted in params["RequestItems"].items():
                yield _on_items(operation, table, wanted["Keys"])
        case "Query":
            name, index = params["TableName"], params.get("IndexName")
            values = params["ExpressionAttributeValues"]
            # The partition is first in each of our conditions.
            first = params["KeyConditionExpression"].split()[2]
            (leading,) = values[first].values()
            below = f"/index/{index}" if index else ""
            yield operation, name, below, [("dynamodb:LeadingKeys", [str(leading)])]
        case "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" | "ConditionCheckItem":
            item = params.get("Key") or params["Item"]
            action, table, below, context = _on_items(operation, params["TableName"], [item])
            yield action, table, below, [*context, ("dynamodb:Attributes", _named(params))]
        case _:
            raise ValueError(f"no rule for {operation}")


_WORDS = re.compile(
    r"(?:SET|REMOVE|ADD|DELETE|AND|OR|NOT|IN|BETWEEN|size|contains|begins_with|if_not_exists|"
    r"list_append|attribute_(?:not_)?exists|attribute_type)\b"
)
"""Names in an expression that are not attributes."""


def _named(params: dict[str, Any]) -> list[str]:
    """Return the attributes that a call on one item names: all that it writes, reads or
    compares."""
    found = set(params.get("Key") or params["Item"])
    names = params.get("ExpressionAttributeNames", {})
    for part in ("UpdateExpression", "ConditionExpression", "ProjectionExpression"):
        for word in re.findall(r"(?<![:\w.])[A-Za-z_#]\w*", params.get(part, "")):
            if not _WORDS.fullmatch(word):
                found.add(names.get(word, word))
    return sorted(found)


def _on_items(operation: str, table: str, items: list[dict[str, Any]]) -> Action:
    leading = sorted(item[_PARTITION_KEYS[table]]["S"] for item in items)
    return operation, table, "", [("dynamodb:LeadingKeys", leading)]


_OF_OBJECTS = {
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "PutObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "DeleteObject": "DeleteObject",
    "CopyObject": "PutObject",
}


def _of_s3(operation: str, params: dict[str, Any]) -> Iterator[Action]:
    bucket = params["Bucket"]
    if operation == "ListObjectsV2":
        keys = {"s3:prefix": params["Prefix"], "s3:max-keys": str(params.get("MaxKeys", 1000))}
        yield "ListBucket", bucket, "", list(keys.items())
        return
    if operation not in _OF_OBJECTS:
        raise ValueError(f"no rule for {operation}")
    yield _OF_OBJECTS[operation], bucket, f"/{params['Key']}", []
    if operation == "CopyObject":
        # The source has no tags, which would need another right.
        source = params["CopySource"]
        yield "GetObject", source["Bucket"], f"/{source['Key']}", []


# Rare paths, each with the functions that it covers


SAID = {"tags": ["spring"], "end_user": "user 7"}
"""A client's own fields, which are counted in separate rows."""
LIMITS = {
    **BENCH_LIMITS,
    "end_user_monthly_cap": 10**12,
    "end_user_rate_interval_us": 1000,
    "end_user_rate_burst": 100_000,
}


def submit(aws: Account, **extra: Any) -> str:
    """Submit a prediction that Replicate will know by a separate id."""
    aws.outside.provider_id = uuid4().hex[:26]
    return submit_one(aws, **SAID, **extra)


def _ask(aws: Account, function: str, route: str, body: Any = None) -> Any:
    """Do one successful request."""
    method, path = route.split(" ")
    status, answer = aws.request(function, method, path, body)
    if status >= 300:
        raise RuntimeError(f"{route} was answered {status}: {answer}")
    return answer


def _upload(aws: Account) -> str:
    """Upload a small file of the tenant; return its URL, as an input names it."""
    headers = {
        "authorization": f"Bearer {aws.token}",
        "content-type": "multipart/form-data; boundary=b",
    }
    made = aws.call("files", events.http("POST", "/v1/files", BOUND % PICTURE, headers))
    return str(json.loads(made["body"])["urls"]["get"])


def _from_file(aws: Account, **extra: Any) -> str:
    """Submit a prediction whose input is a file of the tenant's."""
    aws.outside.provider_id = uuid4().hex[:26]
    body = {"version": IMAGE_MODEL, "input": {"prompt": "x", "image": _upload(aws)}, **extra}
    return str(_ask(aws, "submit", "POST /v1/predictions", body)["id"])


def _callback(aws: Account) -> dict[str, Any]:
    return {"webhook": f"{aws.outside.url}/callback", "webhook_events_filter": ["completed"]}


def files(aws: Account) -> None:
    """All routes of files."""
    aws.put_limits(**LIMITS)
    id_ = _upload(aws).rpartition("/")[2]
    _ask(aws, "files", "GET /v1/files")
    _ask(aws, "files", f"GET /v1/files/{id_}")
    form = {"filename": "a.png", "content_type": "image/png"}
    _ask(aws, "files", "POST /v1/uploads", form)
    aws.call(
        "files",
        events.http("DELETE", f"/v1/files/{id_}", None, {"authorization": f"Bearer {aws.token}"}),
    )


def inputs(aws: Account) -> None:
    """A file of the tenant, and one too large for the record; shown, and passed to Replicate."""
    aws.outside.create_statuses = [429]
    id_ = _from_file(aws, **_callback(aws))
    aws.later(3)
    finish(aws, id_)
    show(aws, id_)
    body = {"version": IMAGE_MODEL, "input": {"prompt": "x", "image": LARGE_FILE}}
    _ask(aws, "submit", "POST /v1/predictions", body)
    _intake(aws, body["input"], model=IMAGE_MODEL)
    _intake(aws, {"prompt": "x", "image": _upload(aws)}, model=IMAGE_MODEL)


def outputs_as_inputs(aws: Account) -> None:
    """A picture made here is the input of the next prediction, by any way of requesting it."""
    first = submit(aws)
    finish(aws, first)
    url = _ask(aws, "read", f"GET /v1/predictions/{first}")["output"][0]
    given = {"prompt": "x", "image": url}
    for statuses in ([], [429]):
        aws.outside.create_statuses = list(statuses)
        aws.outside.provider_id = uuid4().hex[:26]
        _ask(aws, "submit", "POST /v1/predictions", {"version": IMAGE_MODEL, "input": given})
        aws.later(3)
        aws.settle()
    _intake(aws, given, model=IMAGE_MODEL)


def open_model(aws: Account) -> None:
    """A pinned version that no catalogue has, on a stage that allows it."""
    schema = {"components": {"schemas": {"Input": {"type": "object"}, "Output": {}}}}
    aws.outside.said = {"id": "a" * 64, "openapi_schema": schema}
    body = {"version": OPEN_MODEL, "input": {"prompt": "x"}}
    aws.request("submit", "POST", "/v1/predictions", body)
    aws.later(1)
    _intake(aws, {"prompt": "x"}, version=OPEN_MODEL)


def _intake(aws: Account, given: dict[str, Any], token: str | None = None, **model: str) -> None:
    detail = {"input": given, **SAID, **(model or {"model": MODEL})}
    detail |= {"taskToken": token} if token else {}
    _requested(aws, detail)


def _requested(aws: Account, detail: dict[str, Any]) -> None:
    aws.outside.provider_id = uuid4().hex[:26]
    body = {"tenant": TENANT, "id": uuid4().hex, "detail": detail}
    aws.call("intake", events.sqs(body))


def requests_by_event(aws: Account) -> None:
    """Accepted, with limits and without; answered from the cache; deferred; rejected."""
    seeded = {**INPUT, "seed": 7}
    finish(aws, submit(aws, input=seeded))
    _intake(aws, seeded)
    aws.settle()
    _intake(aws, INPUT)
    aws.later(300)
    aws.put_limits(**LIMITS)
    _intake(aws, INPUT)
    aws.later(300)
    aws.put_limits(**{**LIMITS, "in_flight": 0})
    _intake(aws, INPUT)
    _requested(aws, {"no": "input"})
    # The requester with a task is answered by the task, if this deployment answers any.
    _requested(aws, {"no": "input", "taskToken": TOKEN})


def tasks(aws: Account) -> None:
    """A task gets heartbeats and its end; one whose effects were lost gets it from the sweep."""
    for last in ("succeeded", "failed"):
        _intake(aws, INPUT, TOKEN + last)
        finish(aws, _newest(aws), last)
    _intake(aws, INPUT, TOKEN + "lost")
    aws.settle()
    aws.webhook(_newest(aws), said(aws, "failed"))
    _lose(aws)
    aws.later(300)
    aws.call("sweep", {})


def _newest(aws: Account) -> str:
    created = [body for _, path, body in aws.outside.requests if path == "/v1/predictions"]
    return str(json.loads(created[-1])["webhook"]).partition("?")[0].rpartition("/")[2]


def _lose(aws: Account) -> None:
    """Drop the contents of the stream and the queues."""
    aws.meter.stream.clear()
    aws.meter.messages.clear()


def reads(aws: Account) -> None:
    """The list, the usage, and the secret of callbacks."""
    finish(aws, submit(aws))
    for path in ("predictions", "usage", "webhooks/default/secret", "models", "account"):
        _ask(aws, "read", f"GET /v1/{path}")
    aws.request("read", "GET", "/v1/usage", query={"tag": "spring"})


def cancels(aws: Account) -> None:
    """One that runs, one that was never sent, one that has ended; with limits."""
    aws.put_limits(**LIMITS)
    running = _from_file(aws)
    aws.settle()
    said(aws, "canceled")
    _cancel(aws, running)
    aws.settle()
    aws.outside.create_statuses = [429]
    _cancel(aws, submit(aws))
    over = submit(aws)
    finish(aws, over)
    _cancel(aws, over)
    # Replicate was not called, so the relay requests it, through dispatch.
    unanswered = submit(aws)
    aws.outside.said = {}
    _cancel(aws, unanswered)
    said(aws, "canceled")
    aws.settle()


def _cancel(aws: Account, id_: str) -> None:
    _ask(aws, "cancel", f"POST /v1/predictions/{id_}/cancel")


def ends_under_a_limit(aws: Account) -> None:
    """Each function that may write a prediction's end settles it in the tenant's month."""
    aws.put_limits(**LIMITS)
    finish(aws, submit(aws), "failed")
    # By dispatch: Replicate rejects permanently what it deferred before.
    aws.outside.create_statuses = [429, 422]
    submit(aws)
    aws.later(3)
    aws.settle()
    # By submit itself, and by intake.
    aws.outside.create_statuses = [422]
    submit(aws)
    aws.outside.create_statuses = [422]
    _intake(aws, INPUT)
    # By the sweep: there was no report until the final deadline.
    submit(aws)
    aws.settle()
    aws.outside.said = {}
    aws.later(2 * NEXT_DAY_S)
    aws.call("sweep", {})


def swept(aws: Account) -> None:
    """The recovery from each lost message and lost change."""
    # The stream's own change of a deferred create.
    aws.outside.create_statuses = [429]
    submit(aws, **_callback(aws))
    _lose(aws)
    aws.later(300)
    aws.call("sweep", {})
    aws.settle()
    # A copy, and then the effects of the end.
    aws.outside.requests.clear()
    id_ = submit(aws, **_callback(aws))
    aws.settle()
    aws.webhook(id_, said(aws, "succeeded"))
    _lose(aws)
    aws.later(300)
    aws.call("sweep", {})
    _only(aws, "persist")
    _lose(aws)
    aws.later(300)
    aws.call("sweep", {})
    # The callback's message.
    _lose(aws)
    aws.later(300)
    aws.call("sweep", {})


def _only(aws: Account, queue: str) -> None:
    """Pass on the messages of one queue."""
    while aws.meter.messages[queue]:
        aws.call(queue, events.sqs(aws.meter.messages[queue].pop(0)))


def unknown_creates(aws: Account) -> None:
    """Replicate did not answer, so the sweep searches the list and finds the prediction."""
    aws.outside.create_statuses = [500]
    id_ = submit(aws)
    created = json.loads(aws.outside.requests[-1][2])
    _lose(aws)
    aws.later(120)
    said(aws, "processing", webhook=created["webhook"], input=created["input"])
    aws.call("sweep", {})
    aws.settle()
    # And by dispatch, whose create is the second attempt.
    finish(aws, id_)
    aws.outside.create_statuses = [500]
    submit(aws)
    aws.later(120)
    aws.outside.said = {}
    aws.call("sweep", {})
    # A webhook of a prediction without an owner.
    aws.outside.create_statuses = [500]
    unbound = submit(aws)
    _forget_rows(aws, "PID#")
    aws.webhook(unbound, said(aws, "processing"))
    _lose(aws)


def contended(aws: Account) -> None:
    """Another transaction has locked the record during the sweep's write, so it is read again."""
    submit(aws)
    aws.settle()
    said(aws, "failed")
    aws.later(300)
    heard = aws_.client("dynamodb").meta.events

    def busy(**_: Any) -> tuple[Any, dict[str, Any]]:
        heard.unregister("before-call.dynamodb.PutItem", busy)
        error = {"Code": "TransactionConflictException", "Message": ""}
        answer = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
        return SimpleNamespace(status_code=400), answer

    heard.register("before-call.dynamodb.PutItem", busy)
    aws.call("sweep", {})


def looked_alike(aws: Account) -> None:
    """In a dedicated account, a prediction that equals an unknown create may be another's."""
    finish(aws, submit(aws))
    aws.outside.create_statuses = [500]
    submit(aws)
    created = json.loads(aws.outside.requests[-1][2])
    aws.later(120)
    said(aws, "processing", input=created["input"])
    aws.call("sweep", {})


def large_outputs(aws: Account) -> None:
    """Several parts; a file that is stored already; an earlier run's, found in the bucket."""
    small, aws.outside.picture = (
        aws.outside.picture,
        PICTURE[:-12] + bytes(9_000_000) + PICTURE[-12:],
    )
    try:
        id_ = submit(aws)
        aws.settle()
        aws.webhook(id_, said(aws, "succeeded"))
        aws.settle()
        # The same again, after a process that died before it wrote the record.
        other = submit(aws)
        aws.settle()
        aws.webhook(other, said(aws, "succeeded"))
        taken = aws.clients["s3"].list_objects_v2(Bucket="outputs")["Contents"]
        (key,) = (each["Key"] for each in taken if id_ in each["Key"])
        aws.clients["s3"].copy_object(
            Bucket="outputs",
            Key=key.replace(id_, other),
            CopySource={"Bucket": "outputs", "Key": key},
        )
        _only_relay(aws)
        _only(aws, "persist")
    finally:
        aws.outside.picture = small
    # A later run first searches for the files that an earlier one stored.
    late = submit(aws)
    aws.settle()
    aws.webhook(late, said(aws, "succeeded"))
    aws.later(60)
    aws.settle()


def _only_relay(aws: Account) -> None:
    while aws.meter.stream:
        aws.call("relay", events.stream(aws.meter.stream.pop(0)))


def callbacks(aws: Account) -> None:
    """An endpoint that fails until it is disabled; and a redelivery, with limits."""
    aws.put_limits(**LIMITS)
    aws.outside.callback_status = 410
    try:
        for _ in range(3):
            id_ = submit(aws, **_callback(aws))
            finish(aws, id_)
        aws.outside.callback_status = 500
        aws.later(600)
        _ask(aws, "deliveries", f"GET /v1/predictions/{id_}/deliveries")
        _ask(aws, "deliveries", f"POST /v1/predictions/{id_}/deliveries/completed/redeliver")
        body = aws.meter.messages["deliver"].pop()
        aws.call("deliver", events.sqs(body))
    finally:
        aws.outside.callback_status = 200


def waits(aws: Account) -> None:
    """By key while it runs, and by key and watch URL after its end."""
    id_ = _from_file(aws)
    aws.settle()
    here = f"/v1/predictions/{id_}"
    url = _ask(aws, "read", f"GET {here}")["urls"]["watch"]
    # Another refresh is requested.
    aws.later(10)
    aws.request("wait", "GET", f"{here}/wait", query={"revision": "0"})
    _lose(aws)
    finish(aws, id_)
    _ask(aws, "wait", f"GET {here}/wait")
    token = dict(parse_qsl(urlsplit(url).query))
    answer = aws.call("wait", events.http("GET", f"{here}/watch", None, {}, token))
    if answer["statusCode"] != 200:
        raise RuntimeError(f"the watch URL was answered {answer['statusCode']}")


def _use(aws: Account, tool: str, **arguments: Any) -> Any:
    """A tool's result, as an agent gets it by the door `mcp`."""
    call = {"name": tool, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    result = _ask(aws, "mcp", "POST /mcp", message)["result"]
    if "structuredContent" not in result:
        raise RuntimeError(f"{tool}: {result['content'][0]['text']}")
    return result["structuredContent"]


def _generate(aws: Account, **arguments: Any) -> str:
    aws.outside.provider_id = uuid4().hex[:26]
    given = {"model": MODEL, "input": INPUT, "tags": ["spring"], **arguments}
    return str(_use(aws, "generate_image", **given)["id"])


def agents(aws: Account) -> None:
    """One function does it all: creates of every kind, with limits and without, and what is shown
    and stopped."""
    seeded = {**INPUT, "seed": 7}
    first = _generate(aws, input=seeded)
    aws.settle()
    aws.later(10)
    _use(aws, "get_image", id=first)
    _lose(aws)
    finish(aws, first)
    (file,) = _use(aws, "get_image", id=first)["files"]
    # From the store, from a file, from one too large for the record, and from a picture made here.
    _generate(aws, input=seeded)
    for image in (_upload(aws), LARGE_FILE, file["url"]):
        _generate(aws, model=IMAGE_MODEL, input={"prompt": "x"}, image=image)
    for tool in ("list_images", "usage", "list_models"):
        _use(aws, tool)
    _generate(aws, idempotency_key=uuid4().hex)
    schema = {"components": {"schemas": {"Input": {"type": "object"}, "Output": {}}}}
    aws.outside.said = {"id": "a" * 64, "openapi_schema": schema}
    if os.environ.get("OPEN_MODELS") == "true":
        _generate(aws, model=OPEN_MODEL, input={"prompt": "x"})
    aws.later(300)
    aws.put_limits(**LIMITS)
    aws.outside.create_statuses = [422]
    _generate(aws)
    running = _generate(aws)
    aws.settle()
    said(aws, "canceled")
    _use(aws, "cancel_image", id=running)
    _deduped(aws)
    _generate(aws)


def _deduped(aws: Account) -> None:
    """From here on equal requests of the key count as one for a minute."""
    aws.clients["dynamodb"].update_item(
        TableName="controls",
        Key={"pk": {"S": keys.key_id(aws.token)}},
        UpdateExpression="SET dedupe_window_s = :window",
        ExpressionAttributeValues={":window": {"N": "60"}},
    )


def small_pictures(aws: Account) -> None:
    """The first look at each width, and one that finds what it made."""
    usual, drawn = aws.outside.picture, io.BytesIO()
    Image.new("RGB", (600, 400)).save(drawn, "PNG")
    aws.outside.picture = drawn.getvalue()
    id_ = submit_one(aws)
    finish(aws, id_)
    aws.outside.picture = usual
    (file,) = _ask(aws, "read", f"GET /v1/predictions/{id_}")["darkroom"]["files"]
    for url in (*file["thumbnails"].values(), file["thumbnail"]):
        parts = urlsplit(url)
        event = events.http("GET", parts.path, None, {}, dict(parse_qsl(parts.query)))
        answer = aws.call("thumbnail", event)
        if answer["statusCode"] != 302:
            raise RuntimeError(f"{parts.path} was answered {answer}")


def pictures(aws: Account) -> None:
    """In OpenAI's words: asked for in each way, waited for, and read in an answer of each size."""
    aws.put_limits(**LIMITS)
    url = _upload(aws)
    first = _pictures(aws, "generations", {"user": "user 7", "tags": ["spring"]})
    aws.settle()
    # A look is asked for anew.
    aws.later(10)
    _waited(aws, "generations", first, seconds="1")
    _lose(aws)
    finish(aws, first)
    _waited(aws, "generations", first)
    made = _ask(aws, "read", f"GET /v1/predictions/{first}")["output"][0]
    for given in (url, made, LARGE_FILE):
        _pictures(aws, "edits", {"images": [{"image_url": given}]})
    for count in ("0", "1"):
        _pictures(aws, "generations", {}, **{"x-stainless-retry-count": count})
    _pictures(aws, "generations", {}, **{"idempotency-key": uuid4().hex})
    # A stored result is copied, not made.
    seeded = {"seed": 7, "output_format": "jpeg"}
    finish(aws, _pictures(aws, "generations", seeded))
    _pictures(aws, "generations", {**seeded, "tags": ["spring"]})
    # Refused for good, which is its end.
    aws.outside.create_statuses = [422]
    _pictures(aws, "generations", {"tags": ["spring"]})
    _large_answer(aws)
    _ask(aws, "images", "GET /openai/v1/models")


def _pictures(aws: Account, kind: str, more: dict[str, Any], **headers: str) -> str:
    aws.outside.provider_id = uuid4().hex[:26]
    model = MODEL if kind == "generations" else IMAGE_MODEL
    body = json.dumps({"model": model, "prompt": "x", **more})
    sent = {
        "authorization": f"Bearer {aws.token}",
        "content-type": "application/json",
        **headers,
    }
    answer = aws.call("images", events.http("POST", f"/openai/v1/images/{kind}", body, sent))
    if answer["statusCode"] != 303:
        raise RuntimeError(f"images/{kind} was answered {answer}")
    return str(json.loads(answer["body"])["id"])


def _waited(aws: Account, kind: str, id_: str, **query: str) -> dict[str, Any]:
    path = f"/openai/v1/images/{kind}/{id_}/wait"
    sent = {"authorization": f"Bearer {aws.token}"}
    answer: dict[str, Any] = aws.call("imagewait", events.http("GET", path, None, sent, query))
    if answer["statusCode"] >= 400:
        raise RuntimeError(f"{path} was answered {answer}")
    return answer


def _large_answer(aws: Account) -> None:
    """Written in parts, once to the end, and once with S3 failing in between."""
    usual = aws.outside.picture
    aws.outside.picture = PICTURE[:-12] + bytes(9_000_000) + PICTURE[-12:]
    s3 = aws_.client("s3").meta.events
    try:
        id_ = _pictures(aws, "generations", {})
        finish(aws, id_)
        _waited(aws, "generations", id_)
        s3.register("before-call.s3.UploadPart", _failing)
        with contextlib.suppress(RuntimeError):
            _waited(aws, "generations", id_)
    finally:
        s3.unregister("before-call.s3.UploadPart", _failing)
        aws.outside.picture = usual


def _failing(**_: Any) -> None:
    raise OSError("S3 is down")


RARE: tuple[Callable[[Account], object], ...] = (
    files,
    inputs,
    outputs_as_inputs,
    open_model,
    requests_by_event,
    reads,
    cancels,
    ends_under_a_limit,
    swept,
    unknown_creates,
    contended,
    looked_alike,
    large_outputs,
    callbacks,
)


def everything_asked(environment: Mapping[str, str], doors: Collection[str] = ()) -> set[Asked]:
    """Return all calls of all paths, on a stage with these settings and doors."""
    recorder = Recorder()
    optional = {
        tasks: environment["TASKS"] == "true",
        waits: WATCH_KEY in environment,
        pictures: DOOR_OPENAI in environment,
        small_pictures: "thumbnails" in doors,
        # The last: it changes the key.
        agents: "mcp" in doors,
    }
    paths = (*PATHS.values(), *RARE, *(path for path, there_is in optional.items() if there_is))
    with _listening(recorder), account(**environment) as aws:
        aws.outside.picture = PICTURE
        if "CDN_KEY_SECRET" in environment:
            key = {"key_id": "K1", "private_key": new_private_key()}
            aws.clients["secretsmanager"].create_secret(
                Name=environment["CDN_KEY_SECRET"], SecretString=json.dumps(key)
            )
        if WATCH_KEY in environment:
            # The link key, with a separate name, so that each call is of one variable.
            aws.clients["secretsmanager"].create_secret(
                Name=environment[WATCH_KEY], SecretString=json.dumps({"current": "l" * 64})
            )
        recorder.account = aws
        for path in paths:
            path(aws)
            _lose(aws)
            _forget_rows(aws, "")
            aws.outside.requests.clear()
            aws.outside.create_statuses.clear()
            aws.later(300)
    return recorder.asked


@contextlib.contextmanager
def _listening(recorder: Recorder) -> Iterator[None]:
    aws_._session.cache_clear()
    session: Any = aws_._session()
    session.register("provide-client-params", recorder.on_call)
    session.register("before-sign.s3", recorder.on_signing)
    session.register("before-call.stepfunctions", _taken)
    yield
    aws_._session.cache_clear()


def _taken(**_: Any) -> tuple[Any, dict[str, Any]]:
    """Step Functions' answer to all calls about tasks, which the emulation lacks."""
    return SimpleNamespace(status_code=200), {}


def _forget_rows(aws: Account, prefix: str) -> None:
    """Delete the rows of Controls with the prefix, except API keys; without one, predictions and
    callbacks."""
    dynamodb = aws.clients["dynamodb"]
    tables = (
        {"controls": ("pk",)}
        if prefix
        else {
            "controls": ("pk",),
            "predictions": ("id",),
            "deliveries": ("prediction", "event"),
        }
    )
    for table, key in tables.items():
        for item in dynamodb.scan(TableName=table)["Items"]:
            first = item[key[0]]["S"]
            if first.startswith(prefix) and not first.startswith("KEY#"):
                dynamodb.delete_item(TableName=table, Key={name: item[name] for name in key})
