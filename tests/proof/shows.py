"""The provider's view of a prediction, as bytes of JSON, with the deviations of `Config`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from darkroom.domain.times import rfc3339

from tests.proof.pictures import output_urls

if TYPE_CHECKING:
    from tests.proof.config import Config
    from tests.proof.upstream import Up

FINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
MENDED_MS = 10_000
"""Time from which a success shows its output, if it shows none at first."""
LEVELS = 70
"""More than we accept from clients, and within the limits of a reader of foreign JSON."""
ABYSS = 100_000
"""More levels than any reader accepts."""
_PRODUCT_NAMES = frozenset({"prompt", "seed", "num_outputs", "disable_safety_checker"})
_TIMES = {"ancient": "0001-01-01T00:00:00Z", "future": "2999-01-01T00:00:00Z", "text": "just now"}
_NOT_FILES: dict[str, Any] = {"null": None, "empty": [], "text": ["https://", "data: as it were"]}
_TOLD_SECONDS: dict[str, Any] = {
    "text": "1.5",
    "large": 10**400,
    "negative": -1.5,
    "endless": 1e9,
}


class UnreadableError(Exception):
    """The text is larger than any reader accepts."""


def text(config: Config, up: Up, status: str, now: int, at: int | None = None) -> bytes:
    """Return a prediction's JSON as it is now, in an answer or a webhook with this `status`.

    `at` is the time at which a webhook was sent. Raises UnreadableError.
    """
    body = prediction(config, up, status, now, now if at is None else at)
    if config.body != "plain" and int(up.record) == 0:
        return _hostile(config, body)
    return json.dumps(body).encode()


def listed(config: Config, up: Up, status: str, now: int, *, echo: bool) -> bytes:
    """Return the same as GET and the list show it. Raises UnreadableError."""
    body = prediction(config, up, status, now, now)
    if body["data_removed"]:
        body["input"] = None
    if not echo:
        del body["webhook"]
    else:
        body["webhook"] = echoed(config, body["webhook"])
    if config.body != "plain" and int(up.record) == 0:
        return _hostile(config, body)
    return json.dumps(body).encode()


def stranger(config: Config) -> bytes:
    """Return an item of the account's list that is not ours, and hard to read."""
    if config.item == "junk":
        return b'{"id": 7, "status": "???"}'
    levels = LEVELS if config.item == "deep" else ABYSS
    nest = b"[" * levels + b"]" * levels
    return b'{"id": "stranger", "status": "succeeded", "input": {"nest": ' + nest + b"}}"


def prediction(config: Config, up: Up, status: str, now: int, at: int) -> dict[str, Any]:
    """Return the prediction's fields."""
    over = status in FINAL
    gone = over and up.removed(now)
    body = {
        "id": up.id,
        "status": config.status_word or status if status == "processing" else status,
        "model": up.request["model"],
        "version": up.request["version"] or "hidden",
        "input": {} if gone else shown_input(config, up.request["input_"]),
        "output": _output(up, status, gone=gone),
        "logs": "" if status == "starting" or gone else _logs(up, over=over),
        "error": "the model failed" if status == "failed" else None,
        "metrics": {"predict_time": up.run_ms / 1000} if over and up.started_at else {},
        "data_removed": gone,
        "created_at": rfc3339(up.created_at + config.provider_ms),
        "started_at": _time(config, up.started_at) if status != "starting" else None,
        "completed_at": _time(config, up.completed_at) if over else None,
        "webhook": up.request["webhook"],
        "source": "api",
    }
    if config.show_version != "true":
        body["version"] = "hidden"
        if config.show_version == "internal":
            name = str(body["model"]).partition("/")[2]
            body["model"] = f"replicate-internal/{name}-prod"
    if status == "succeeded" and config.output != "files":
        early = at < (up.completed_at or 0) + MENDED_MS or not config.mends
        if early and config.output == "absent":
            del body["output"]
        elif early:
            body["output"] = _NOT_FILES[config.output]
    if over and up.started_at:
        _tell_end(config, body)
    return body


def _output(up: Up, status: str, *, gone: bool) -> list[str] | None:
    if gone or status == "starting":
        return None
    number = up.pictures if status == "succeeded" else up.grown
    return output_urls(up.id, number) or None


def _logs(up: Up, *, over: bool) -> str:
    return "50%" + " 75%" * (up.grown > 1) + " 100%" * over


def _tell_end(config: Config, body: dict[str, Any]) -> None:
    """Add run time and end, or the values shown in place of them."""
    if config.metrics in {"none", "bare"}:
        del body["metrics"]
    elif config.metrics != "full":
        body["metrics"]["predict_time"] = _TOLD_SECONDS[config.metrics]
    if config.metrics == "bare":
        body["started_at"] = None
    if config.completed_at != "true":
        body["completed_at"] = _TIMES.get(config.completed_at)


def _time(config: Config, at: int | None) -> str | None:
    return None if at is None else rfc3339(at + config.provider_ms)


def shown_input(config: Config, given: dict[str, Any]) -> dict[str, Any]:
    """Return the input as this provider shows it."""
    match config.show_input:
        case "urls":
            return {name: _as_url(value) for name, value in given.items()}
        case "known":
            return {name: value for name, value in given.items() if name in _PRODUCT_NAMES}
        case "rounded":
            return {name: _rounded(value) for name, value in given.items()}
        case "trimmed":
            return {n: v.strip() if isinstance(v, str) else v for n, v in given.items()}
        case "masked":
            return {n: "***" if isinstance(v, str) else v for n, v in given.items()}
        case "empty":
            return {}
    return given


def _as_url(value: Any) -> Any:
    data = isinstance(value, str) and value.startswith("data:")
    return "https://replicate.delivery/pbxt/input.png" if data else value


def _rounded(value: Any) -> Any:
    return int(float(value)) if isinstance(value, int) and abs(value) > 2**53 else value


def echoed(config: Config, webhook: str) -> str:
    """Return our webhook as this provider shows it."""
    plain, _, token = webhook.partition("?t=")
    match config.echo:
        case "bare":
            return plain
        case "cased":
            scheme, _, rest = webhook.partition("://")
            host, _, path = rest.partition("/")
            return f"{scheme.upper()}://{host.upper()}:443/{path}"
        case "encoded":
            path, _, id_ = plain.rpartition("/")
            return f"{path}/{_percent(id_)}?t={_percent(token)}"
    return webhook


def _percent(text: str) -> str:
    """Return the text with its first character percent-encoded."""
    return f"%{ord(text[0]):02x}{text[1:]}"


def _hostile(config: Config, body: dict[str, Any]) -> bytes:
    match config.body:
        case "deep":
            nest: list[Any] = []
            for _ in range(LEVELS):
                nest = [nest]
            body["input"] = {**(body["input"] or {}), "nest": nest}
        case "surrogate":
            body["logs"] += "\ud83d"
        case "nan":
            body |= {"eta": float("nan"), "metrics": {**body.get("metrics", {}), "r": float("inf")}}
        case "doubled":
            return b'{"source": "web", ' + json.dumps(body).encode()[1:]
        case "digits":
            body["metrics"] = {**body.get("metrics", {}), "tokens": 10**1500}
        case "size":
            raise UnreadableError
    return json.dumps(body).encode()
