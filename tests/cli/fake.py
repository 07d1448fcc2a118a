"""A deployment in memory, as strict as the real one where the command relies on it."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
from darkroom_cli.configuration import Account
from darkroom_cli.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://images.example.com"
TOKEN = "dk_" + "k" * 40
FILES = "https://files.example.net"
NAME = "acme/painter"
INPUT = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string", "x-order": 0},
        "steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 20, "x-order": 1},
        "strength": {"type": "number", "minimum": 0, "maximum": 1, "x-order": 2},
        "size": {"allOf": [{"$ref": "#/components/schemas/size"}], "default": "s", "x-order": 3},
        "fast": {"type": "boolean", "x-order": 4},
        "image": {"type": "string", "format": "uri", "nullable": True, "x-order": 5},
        "mask": {"type": "string", "format": "uri", "x-order": 6},
        "references": {"type": "array", "items": {"type": "string", "format": "uri"}},
        "extra": {"type": "object"},
    },
}
SIZES = {"enum": ["s", "m", "l"], "type": "string"}
KEY_LIFE_S = 24 * 3600


def model(name: str = NAME, tasks: tuple[str, ...] = ("text-to-image",)) -> dict[str, Any]:
    owner, _, short = name.partition("/")
    return {
        "owner": owner,
        "name": short,
        "description": "Paints",
        "latest_version": {
            "openapi_schema": {"components": {"schemas": {"Input": INPUT, "size": SIZES}}}
        },
        "darkroom": {
            "tasks": list(tasks),
            "status": None,
            "price": {"unit": "image", "usd": 0.04},
            "expected_seconds": 2.5,
        },
    }


def problem(status: int, detail: str, **headers: str) -> httpx.Response:
    body = {"title": "No", "detail": detail, "status": status}
    kind = {"content-type": "application/problem+json"}
    return httpx.Response(status, content=json.dumps(body), headers={**kind, **headers})


class Deployment:
    """Answers requests. `step` is called before and after each takes effect, with its name, so that
    a test may lose it on its way there, or its answer on the way back."""

    def __init__(self) -> None:
        self.models = [model()]
        self.created: list[dict[str, Any]] = []
        """Every prediction that was ever made, with the body that made it."""
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response | Exception] = []
        """What the next requests get in place of their own answers."""
        self.step: Callable[[str], None] = lambda _: None
        self.clock: Callable[[], float] = lambda: 0.0
        self.polls_until_end = 1
        self.pictures = 1
        self.door = False
        self._keys: dict[str, tuple[str, str, float]] = {}
        self._files = itertools.count(1)
        self._lock = threading.Lock()

    def service(self, **given: Any) -> Service:
        """A client of it, which waits by no clock."""
        given = {"pause": lambda _: None, "random": lambda: 0.5, **given}
        return Service(Account(URL, TOKEN), transport=httpx.MockTransport(self.answer), **given)

    def answer(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path}"
        self.step(name)
        with self._lock:
            self.requests.append(request)
            if self.answers:
                scripted = self.answers.pop(0)
                if isinstance(scripted, Exception):
                    raise scripted
                return scripted
            made = self._route(request)
        self.step(f"{name} answered")
        return made

    def _route(self, request: httpx.Request) -> httpx.Response:
        path, method = request.url.path, request.method
        if request.url.host != "images.example.com":
            assert "authorization" not in request.headers, "the key went to another host"
            return self._elsewhere(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "No valid API key was given.")
        if (method, path) == ("POST", "/v1/predictions"):
            return self._create(request)
        if (method, path) == ("POST", "/v1/files"):
            number = next(self._files)
            return httpx.Response(201, json={"urls": {"get": f"{URL}/v1/files/{number}"}})
        if (method, path) == ("POST", "/v1/uploads"):
            number = next(self._files)
            form = {"url": f"{FILES}/post", "fields": {"key": str(number)}}
            return httpx.Response(201, json={**form, "urls": {"get": f"{URL}/v1/files/{number}"}})
        if path == "/v1/account":
            return httpx.Response(200, json={"username": "acme"})
        if path == "/v1/models":
            return httpx.Response(200, json={"next": None, "results": self.models})
        for one in self.models:
            if path == f"/v1/models/{one['owner']}/{one['name']}":
                return httpx.Response(200, json=one)
        for one in self.created:
            if path.startswith(f"/v1/predictions/{one['id']}"):
                one["polls"] += 1
                return httpx.Response(200, json=self._shown(one))
        return problem(404, "Not found")

    def _elsewhere(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(204)
        content = picture(request.url.path.strip("/"))
        return httpx.Response(200, content=content)

    def _create(self, request: httpx.Request) -> httpx.Response:
        body, key = json.loads(request.content), request.headers.get("idempotency-key", "")
        if body["input"].get("prompt") == "refuse me":
            return problem(422, "- input: refused")
        if "dry_run" in request.url.params:
            return httpx.Response(200, json={"darkroom": {"most": 0.04}})
        text = json.dumps(body, sort_keys=True)
        id_, same, until = self._keys.get(key, ("", text, 0.0))
        if key and id_ and self.clock() < until:
            if same != text:
                return problem(422, "This Idempotency-Key was used with another request body.")
        else:
            number = len(self.created)
            id_ = hashlib.sha256(f"{number}".encode()).hexdigest()[:26]
            self.created.append({"id": id_, "body": body, "polls": 0, "key": key})
            self._keys[key] = (id_, text, self.clock() + KEY_LIFE_S)
        found = next(one for one in self.created if one["id"] == id_)
        return httpx.Response(201, json=self._shown(found))

    def _shown(self, made: dict[str, Any]) -> dict[str, Any]:
        ended = made["polls"] >= self.polls_until_end
        fails = made["body"]["input"].get("prompt") == "fail"
        status = ("failed" if fails else "succeeded") if ended else "starting"
        names = [f"acme/{made['id']}/{n}.png" for n in range(self.pictures)]
        succeeded = status == "succeeded"
        watch = {"watch": f"{URL}/v1/predictions/{made['id']}/watch?t=x"} if self.door else {}
        return {
            "id": made["id"],
            "model": NAME,
            "status": status,
            "input": made["body"]["input"],
            "output": [f"{FILES}/{name}?Signature=x" for name in names] if succeeded else None,
            "error": "it broke" if status == "failed" else None,
            "urls": {"get": "", **watch},
            "darkroom": {
                "revision": made["polls"],
                "cost": 0.04 if ended else None,
                "files": [
                    {
                        "key": name,
                        "sha256": hashlib.sha256(picture(name)).hexdigest(),
                        "bytes": len(picture(name)),
                        "content_type": "image/png",
                    }
                    for name in names
                ]
                if succeeded
                else [],
            },
        }


def picture(name: str) -> bytes:
    """The bytes of a stored file."""
    return f"picture {name}".encode() * 100
