"""The functions, called through their own handlers, over the world of fakes."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.domain import keys, link, signature
from darkroom.ports import ApiKey
from darkroom.runtime.function import declared
from darkroom.runtime.observability import logger

from tests.support import events, fakes
from tests.support.world import SCHNELL, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

ACME, OTHER, READER = "dk_acme", "dk_other", "dk_acme_reader"
"""Tokens: acme's, another tenant's, and a read-only one of acme."""
GOOD: dict[str, Any] = {"version": SCHNELL, "input": {"prompt": "a corgi"}}
"""A valid body."""
SDXL = "stability-ai/sdxl"
PATIENT = {"prefer": "wait", "user-agent": "ai-sdk/replicate/2.0.57 ai-sdk/provider-utils/4.0"}
"""Headers of a client that waits and follows redirects."""
ASKING = {"darkroom-wait": "redirect"}
LAMBDA_ANSWERS = 6 * 1024 * 1024
"""Maximum bytes of an answer that Lambda passes on, as its own JSON."""
PASSING = {"clock", "reads", "uploads"}
"""Attributes of a fake that are not its contents: values that were only read, and other fakes."""


@dataclass
class Answer:
    """A function's answer, with its headers as a client's HTTP library shows them."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class App:
    """Calls functions as AWS does. `calls` counts the calls of ports."""

    world: World
    logs: io.StringIO
    """Log lines and metrics."""
    calls: Counter[str] = field(default_factory=Counter)
    handlers: dict[str, Any] = field(default_factory=dict)

    def call(self, function: str, event: dict[str, Any]) -> Any:
        if function not in self.handlers:
            made = self.world.functions[function]
            self.handlers[function] = declared()[function].entry(lambda: made)
        with contextlib.redirect_stdout(self.logs):
            return self.handlers[function](event, events.Context())

    def http(self, function: str, event: dict[str, Any]) -> Answer:
        answer = self.call(function, event)
        if len(json.dumps(answer, ensure_ascii=False).encode()) > LAMBDA_ANSWERS:
            # Lambda: ResponseSizeTooLarge, from which the gateway makes this answer.
            return Answer(500, {}, '{"message":"Internal Server Error"}')
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    def submit(
        self,
        body: Any = None,
        *,
        path: str = "/v1/predictions",
        token: str | None = ACME,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        """POST a create; a body other than text is sent as JSON."""
        if body is None:
            body = {"version": SCHNELL, "input": {"prompt": "a corgi"}}
        if not isinstance(body, str | bytes):
            body = json.dumps(body)
        sent = {"content-type": "application/json", **bearer(token), **(headers or {})}
        return self.http("submit", events.http("POST", path, body, sent, **more))

    def get(self, path: str, token: str | None = ACME, **more: Any) -> Answer:
        return self.http("read", events.http("GET", path, None, bearer(token), **more))

    def wait(self, path: str, token: str | None = ACME, **query: Any) -> Answer:
        asked = {name: str(value) for name, value in query.items()}
        return self.http("wait", events.http("GET", path, None, bearer(token), asked))

    def cancel(self, id_: str, token: str | None = ACME) -> Answer:
        path = f"/v1/predictions/{id_}/cancel"
        return self.http("cancel", events.http("POST", path, None, bearer(token)))

    def webhook(self, event: dict[str, Any]) -> Answer:
        return self.http("webhook", event)

    def hook(
        self,
        id_: str,
        body: bytes | str,
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
        key: bytes | None = None,
        timestamp: int | None = None,
        signed: bytes | None = None,
    ) -> dict[str, Any]:
        """Return the event of a signed webhook to the record's URL.

        `signed` is signed in place of the body; `headers` are added to the correct ones.
        """
        raw = body.encode() if isinstance(body, str) else body
        at = self.world.clock() // 1000 if timestamp is None else timestamp
        mac = signature.sign(
            "msg_1",
            at,
            raw if signed is None else signed,
            key=key or self.world.secrets.webhook[0],
        )
        sent = {
            "content-type": "application/json",
            "webhook-id": "msg_1",
            "webhook-timestamp": str(at),
            "webhook-signature": mac,
            **(headers or {}),
        }
        if token is None:
            record = self.world.store.get(id_)
            created = record.created_at if record else 0
            token = link.token(id_, created, key=self.world.secrets.link[0])
        return events.http("POST", f"/hooks/replicate/{id_}", body, sent, {"t": token})

    def kept(self) -> dict[str, Any]:
        """Return everything written, queued, sent or created anywhere, for a comparison."""
        return {
            name: deepcopy({key: value for key, value in vars(part).items() if key not in PASSING})
            for name, part in vars(self.world).items()
            if type(part).__module__ == fakes.__name__ and name not in {"clock", "secrets"}
        }

    @property
    def untouched(self) -> bool:
        """Whether nothing was written, created upstream or sent."""
        world = self.world
        return not (
            world.store.stream
            or world.provider.creates
            or world.provider.cancels
            or world.uploads.objects
            or world.dispatch_queue
            or world.persist_queue
            or world.deliver_queue
            or world.tasks_queue
            or world.bus.events
        )


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"authorization": f"Bearer {token}"}


def wired(monkeypatch: pytest.MonkeyPatch, *, waits: bool = False, thumbnails: bool = False) -> App:
    """Return all functions over one new world, until the patches are undone."""
    world = World(waits=waits, thumbnails=thumbnails)
    for token, tenant, scopes in (
        (ACME, "acme", {"submit", "read"}),
        (OTHER, "other", {"submit", "read"}),
        (READER, "acme", {"read"}),
    ):
        world.controls.keys[keys.key_id(token)] = ApiKey(tenant, frozenset(scopes))
    logs = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", logs)
    found = App(world, logs)
    _count_calls(monkeypatch, found.calls)
    return found


def _count_calls(monkeypatch: pytest.MonkeyPatch, calls: Counter[str]) -> None:
    """Count every call of a port's method; the fakes work as usual."""

    def counted(name: str, method: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return method(self, *args, **kwargs)

        return call

    ports = fakes.FakePredictions, fakes.FakeProvider, fakes.FakeUploads, fakes.FakeControls
    for port in (*ports, fakes.FakeOutputs, fakes.FakeSecrets):
        for name, method in vars(port).items():
            if callable(method) and not name.startswith("_"):
                monkeypatch.setattr(port, name, counted(f"{port.__name__}.{name}", method))


def with_input(**input_: Any) -> dict[str, Any]:
    return {**GOOD, "input": {"prompt": "a corgi", **input_}}


def is_problem(answer: Answer, status: int) -> bool:
    """Whether it is a problem answer in Replicate's form, with that status and without our own
    details."""
    body = answer.json
    return (
        answer.status == body["status"] == status
        and answer.headers["content-type"] == "application/problem+json"
        and isinstance(body["title"], str)
        and isinstance(body["detail"], str)
        and "Traceback" not in answer.text
    )
