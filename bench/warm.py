"""Warm invocations: a handler's time relative to that of the same calls alone."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.report import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 30
CALLS = 300
METHOD = (
    f"Median wall time of {CALLS} calls of the handler, over that of the same requests to the same "
    "stub endpoints by the same clients and nothing else, the two alternating; the stub answers "
    "at once, so that real endpoints make the ratio smaller."
)
TOKEN = "dk_" + "a" * 43
WEBHOOK_SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="  # noqa: S105 - of the bench
LINK_KEY = "l" * 40
SECRETS = {
    "token": "r8_bench",
    "webhook": json.dumps({"current": WEBHOOK_SECRET}),
    "link": json.dumps({"current": LINK_KEY}),
}
MODEL = "black-forest-labs/flux-schnell"


def run(progress: Callable[[str], None]) -> list[Result]:
    """Measure `warm.submit`, `warm.webhook` and `warm.read`."""
    with stub_endpoints() as environment, tempfile.TemporaryDirectory() as folder:
        progress(f"stub endpoints at {environment['AWS_ENDPOINT_URL']}")
        found = Path(folder) / "times.json"
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", "bench.warm", str(found)],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        times = json.loads(found.read_text())
    return [
        Result(f"warm.{name}", round(ours, 3), "ms", round(ours / bare, 3), METHOD)
        for name, (ours, bare) in times.items()
    ]


@contextlib.contextmanager
def stub_endpoints() -> Iterator[dict[str, str]]:
    """Run the stub in a separate process. Yields the environment of a function that uses it."""
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "functions")])}
    base = {"PATH": os.defpath, **paths}
    command = [sys.executable, "-m", "bench.stub"]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, env=base | SECRETS, stdout=subprocess.PIPE, text=True
    ) as stub:
        try:
            assert stub.stdout is not None  # noqa: S101 - a pipe was asked for
            yield base | _environment(f"http://127.0.0.1:{stub.stdout.readline().strip()}")
        finally:
            stub.terminate()


def _environment(url: str) -> dict[str, str]:
    return {
        "PREDICTIONS_TABLE": "predictions",
        "CONTROLS_TABLE": "controls",
        "DISPATCH_QUEUE": f"{url}/1/dispatch",
        "OUTPUTS_BUCKET": "outputs",
        "UPLOADS_BUCKET": "uploads",
        "PUBLIC_URL": "https://api.test",
        "REPLICATE_URL": url,
        "REPLICATE_TOKEN_SECRET": "token",
        "REPLICATE_WEBHOOK_SECRET": "webhook",
        "LINK_KEY_SECRET": "link",
        "CALLBACK_KEY_SECRET": "link",
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
    }


class _Recorder:
    """Records the calls of one invocation, to repeat them."""

    def __init__(self) -> None:
        from botocore import xform_name
        from darkroom.aws.clients import client
        from darkroom.outbound.http import Client

        self.calls: list[Callable[[], Any]] = []
        self.on = False
        dynamodb = client("dynamodb")
        exchange = Client.exchange

        def aws(params: dict[str, Any], model: Any, **_: Any) -> None:
            if self.on:
                call = getattr(dynamodb, xform_name(model.name))
                self.calls.append(lambda: call(**params))

        def http(ours: Client, *given: Any, **more: Any) -> Any:
            if self.on:

                def again() -> None:
                    with exchange(ours, *given, **more) as response:
                        response.read()

                self.calls.append(again)
            return exchange(ours, *given, **more)

        dynamodb.meta.events.register("provide-client-params.dynamodb", aws)
        Client.exchange = http  # type: ignore[assignment, method-assign]

    def record(self, invoke: Callable[[], Any]) -> Callable[[], None]:
        """Invoke once and return a function that makes the same calls."""
        self.calls, self.on = [], True
        invoke()
        self.on, made = False, self.calls
        if not made:
            raise RuntimeError("the invocation made no call")

        def bare() -> None:
            for call in made:
                call()

        return bare


EVENTS = ("submit", "webhook", "read")
"""The measured functions, by their handlers' names."""


def _prepared() -> dict[str, dict[str, Any]]:
    """Return an event of each function, about one prediction that is in the stub."""
    from darkroom.aws.clients import client
    from darkroom.handlers import submit

    from ops.keys import put_key
    from tests.support import events

    put_key(client("dynamodb"), "controls", TOKEN, tenant="bench")
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    body = json.dumps({"input": {"prompt": "a lighthouse in the fog", "seed": 7}})
    create = events.http("POST", f"/v1/models/{MODEL}/predictions", body, headers)
    # A create's budget counts from here.
    create["requestContext"]["timeEpoch"] = time.time_ns() // 1_000_000
    accepted = submit.handler(create, events.Context())
    if accepted["statusCode"] != 201:
        raise RuntimeError(accepted["body"])
    id_ = json.loads(accepted["body"])["id"]
    show = events.http("GET", f"/v1/predictions/{id_}", None, headers)
    return {"submit": create, "webhook": _webhook(id_), "read": show}


def _measure(found: Path) -> None:
    from tests.support import events

    prepared = _prepared()
    recorder = _Recorder()
    times = {}
    for name in EVENTS:
        invoke = _invocation(name, prepared[name], events.Context())
        answer = invoke()
        if answer["statusCode"] >= 300:
            raise RuntimeError(f"{name}: {answer['body']}")
        for _ in range(WARM_UP):
            invoke()
        bare = recorder.record(invoke)
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(CALLS):
            for which, call in enumerate((invoke, bare)):
                began = time.perf_counter()
                call()
                taken[which].append(time.perf_counter() - began)
        times[name] = [statistics.median(each) * 1000 for each in taken]
    found.write_text(json.dumps(times))


def _invocation(name: str, event: dict[str, Any], context: Any) -> Callable[[], Any]:
    handler = importlib.import_module(f"darkroom.handlers.{name}").handler

    def invoke() -> Any:
        event["requestContext"]["timeEpoch"] = time.time_ns() // 1_000_000
        return handler(event, context)

    return invoke


def _webhook(id_: str) -> dict[str, Any]:
    """Return Replicate's `start` webhook of the prediction, signed once, which is valid for five
    minutes."""
    from darkroom.aws.clients import client
    from darkroom.domain import link, signature
    from darkroom.replicate.hooks import HOOK_PATH

    from tests.support import events

    item = client("dynamodb").get_item(TableName="predictions", Key={"id": {"S": id_}})["Item"]
    created_at = int(item["created_at"]["N"])
    token = link.token(id_, created_at, key=LINK_KEY.encode())
    (key,) = signature.load_keys([WEBHOOK_SECRET])
    body = json.dumps(
        {
            "id": "p" * 26,
            "status": "processing",
            "input": {},
            "output": None,
            "logs": "step 1 of 4",
            "created_at": "2027-01-15T08:00:00.000Z",
            "started_at": "2027-01-15T08:00:01.000Z",
        }
    )
    at = int(time.time())
    headers = {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": signature.sign("msg_1", at, body.encode(), key=key),
    }
    return events.http("POST", f"{HOOK_PATH}{id_}", body, headers, {"t": token})


if __name__ == "__main__":
    if sys.argv[1] == "--events":
        Path(sys.argv[2]).write_text(json.dumps(_prepared()))
    else:
        _measure(Path(sys.argv[1]))
