"""The one who tells a story here: a client of the embedded cloud, who also runs it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx

from ops.deployment import embedded
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from local.cloud import EmbeddedCloud
    from ops.deployment import Deployment

SCHNELL = "black-forest-labs/flux-schnell"
DEV = "black-forest-labs/flux-dev"
SDXL = "stability-ai/sdxl"
UNFINISHED = {"starting", "processing"}
WEBHOOK_ID = "msg_e2e"


def sign(key: bytes, at: int, body: bytes) -> str:
    """The signature of a webhook with the id that the driver sends."""
    mac = hmac.digest(key, f"{WEBHOOK_ID}.{at}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(mac).decode()}"


def without_thumbnails(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the files as events and callbacks have them."""
    shown_only = {"thumbnail", "thumbnails"}
    return [{name: v for name, v in each.items() if name not in shown_only} for each in files]


class Driver:
    """Asks for predictions, looks at what became of them, and makes things fail.

    What it changes about the provider and the functions is as it was when it is left.
    """

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        self._changed = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._changed.close()

    @cached_property
    def api(self) -> httpx.Client:
        """A client with the local key."""
        return self.client(self.cloud.token)

    @cached_property
    def anyone(self) -> httpx.Client:
        """A client without a key."""
        return self.client(None)

    @cached_property
    def emulator(self) -> httpx.Client:
        """A client of the emulated provider."""
        return self._http(self.cloud.replicate_url)

    def client(self, token: str | None) -> httpx.Client:
        """A client of the front port with this key."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self._http(self.cloud.base_url, headers)

    def _http(self, url: str, headers: dict[str, str] | None = None) -> httpx.Client:
        client = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60)
        return self._changed.enter_context(client)

    # -- as a client ---------------------------------------------------------------------------

    def create(
        self,
        version: str = SCHNELL,
        *,
        headers: dict[str, str] | None = None,
        api: httpx.Client | None = None,
        **body: Any,
    ) -> dict[str, Any]:
        """POST a prediction that is to be accepted; the prediction."""
        sent = {"version": version, **body}
        answer = (api or self.api).post("/v1/predictions", json=sent, headers=headers)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def submit(self, prompt: str, *, model: str = SCHNELL, **input_: Any) -> dict[str, Any]:
        """The same of a prompt, which is to be run though its result may be known."""
        given = {"prompt": prompt, **input_}
        return self.create(model, input=given, headers={"Darkroom-Cache": "bypass"})

    def run(self, prompt: str, *, model: str = SCHNELL, **input_: Any) -> dict[str, Any]:
        """Submit, and wait for the end."""
        return self.finished(self.submit(prompt, model=model, **input_)["id"])

    def shown(self, id_: str) -> dict[str, Any]:
        """The prediction as its client sees it."""
        answer = self.api.get(f"/v1/predictions/{id_}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def finished(self, id_: str) -> dict[str, Any]:
        """The same, polled until it has ended."""

        def ended() -> dict[str, Any] | None:
            shown = self.shown(id_)
            return None if shown["status"] in UNFINISHED else shown

        return dict(until(ended))

    def cancel(self, id_: str) -> dict[str, Any]:
        """The canceled prediction."""
        answer = self.api.post(f"/v1/predictions/{id_}/cancel")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def called_back(self, url: str, *events: str, prompt: str = "callback") -> str:
        """Ask for a prediction whose events are sent there; its id."""
        given = {"prompt": prompt}
        return str(self.create(input=given, webhook=url, webhook_events_filter=events)["id"])

    def deliveries(self, id_: str) -> dict[str, dict[str, Any]]:
        """The callbacks of a prediction, by event."""
        answer = self.api.get(f"/v1/predictions/{id_}/deliveries")
        assert answer.status_code == 200, answer.text
        return {row["event"]: row for row in answer.json()["results"]}

    def callback_state(self, id_: str) -> str | None:
        """Of the callback of the end; None as long as there is none."""
        row = self.deliveries(id_).get("completed")
        return row["state"] if row else None

    def callback_secret(self) -> str:
        """With which this client's callbacks are verified."""
        return str(self.api.get("/v1/webhooks/default/secret").json()["key"])

    # -- the provider --------------------------------------------------------------------------

    def faults(self, **faults: Any) -> None:
        """Set the provider's faults, whole."""
        self._put_faults(faults)
        self._changed.callback(self._no_faults)

    def _put_faults(self, faults: dict[str, Any]) -> None:
        answer = self.emulator.put("/_emulator/faults", json={"time_scale": 0, **faults})
        assert answer.status_code == 200, answer.text

    def _no_faults(self) -> None:
        self.emulator.delete("/_emulator/faults")
        self._put_faults({})

    def upstream(self) -> list[dict[str, Any]]:
        """Every prediction that the provider ever made."""
        return list(self.emulator.get("/_emulator/predictions").json())

    def made_of(self, prompt: str) -> list[dict[str, Any]]:
        """Those of a prompt."""
        return [made for made in self.upstream() if made["input"].get("prompt") == prompt]

    def make_upstream(self, prompt: str, **body: Any) -> str:
        """The provider's id of a prediction that Darkroom did not ask for."""
        answer = self.emulator.post(
            f"/v1/models/{SCHNELL}/predictions",
            headers={"Authorization": f"Bearer {self.cloud.replicate_token}"},
            json={"input": {"prompt": prompt}, **body},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def hook_path(self, prompt: str) -> str:
        """Where the provider sends the webhooks of the one prediction of that prompt."""
        (made,) = self.made_of(prompt)
        url = urlsplit(made["webhook"])
        return f"{url.path}?{url.query}"

    def webhook_key(self) -> bytes:
        """With which the provider signs."""
        token = self.cloud.replicate_token
        answer = self.emulator.get(
            "/v1/webhooks/default/secret", headers={"Authorization": f"Bearer {token}"}
        )
        return base64.b64decode(answer.json()["key"].removeprefix("whsec_"))

    def hook(
        self,
        path: str,
        body: bytes,
        *,
        key: bytes | None = None,
        signature: str | None = None,
        at: int | None = None,
    ) -> httpx.Response:
        """Send a webhook as the provider does: by its own key, and of now, if nothing is said."""
        at = int(time.time()) if at is None else at
        if signature is None:
            signature = sign(self.webhook_key() if key is None else key, at, body)
        headers = {
            "content-type": "application/json",
            "webhook-id": WEBHOOK_ID,
            "webhook-timestamp": str(at),
            "webhook-signature": signature,
        }
        return self.anyone.post(path, content=body, headers=headers)

    # -- as the operator -----------------------------------------------------------------------

    @cached_property
    def deployment(self) -> Deployment:
        """As the commands of ops find it."""
        return embedded(self.cloud.aws_endpoint, self.cloud.replicate_url)

    def announce(self, folder: Path) -> None:
        """Write what `make run` does, for `--local` to find."""
        names = ("aws_endpoint", "replicate_url", "replicate_token")
        found = {name: getattr(self.cloud, name) for name in names}
        (folder / "local.json").write_text(json.dumps(found))

    def record(self, id_: str) -> dict[str, Any]:
        """The item in the table."""
        table, key = self.cloud.outputs["PredictionsTable"], {"id": {"S": id_}}
        dynamodb = self.cloud.client("dynamodb")
        return dict(dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"])

    def recorded(self, id_: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The same, once this holds of it."""

        def held() -> dict[str, Any] | None:
            item = self.record(id_)
            return item if holds(item) else None

        return dict(until(held))

    def handed_on(self, id_: str) -> dict[str, Any]:
        """The same, once all that follows from the end is done."""
        return self.recorded(id_, lambda item: "due_at" not in item)

    def change(self, id_: str, name: str, value: dict[str, str]) -> None:
        """Write one attribute of the item, past all rules."""
        self.cloud.client("dynamodb").update_item(
            TableName=self.cloud.outputs["PredictionsTable"],
            Key={"id": {"S": id_}},
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": value},
        )

    @contextlib.contextmanager
    def configured(self, function: str, **changes: Any) -> Iterator[None]:
        """The function is configured so, for as long as this lasts; then as it was."""
        functions, name = self.cloud.client("lambda"), self.cloud.outputs[f"Function{function}"]
        before = functions.get_function_configuration(FunctionName=name)
        functions.update_function_configuration(FunctionName=name, **changes)
        try:
            yield
        finally:
            kept = {name: before[name] for name in changes}
            functions.update_function_configuration(FunctionName=name, **kept)

    def told(self, function: str, **variables: str) -> contextlib.AbstractContextManager[None]:
        """The function's environment has these variables meanwhile."""
        told = self.deployment.environment(function) | variables
        return self.configured(function, Environment={"Variables": told})

    @contextlib.contextmanager
    def without(self, function: str) -> Iterator[None]:
        """The function takes nothing off its queue or stream, for as long as this lasts."""
        functions, name = self.cloud.client("lambda"), self.cloud.outputs[f"Function{function}"]
        (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
