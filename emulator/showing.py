"""Renders predictions for the API, the list and the webhooks, truthfully or as a fault demands.

The emulator itself uses the true state, which `/_emulator/predictions` shows.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from emulator.models import HIDDEN
from emulator.wire import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.faults import Faults
    from emulator.models import Model
    from emulator.predictions import Prediction

FILES_HOST = "https://replicate.delivery/pbxt"
MASK = "***"
LARGE = 10**400 - 1
"""400 digits, more than a float can hold."""
_EXACT = 2**53
_EXPONENT = 1e21
"""From this value on, JavaScript writes integers with an exponent."""


class Showing:
    """Builds the bodies that describe predictions, subject to the present faults."""

    def __init__(self, base_url: str, faults: Faults) -> None:
        self._base_url = base_url
        self._faults = faults

    def view(self, prediction: Prediction) -> dict[str, Any]:
        """Return the body of GET, of a list item and of a webhook."""
        removed = prediction.data_removed
        completed = prediction.completed and timestamp(prediction.completed, 6)
        body: dict[str, Any] = {
            "id": prediction.id,
            **self._run_by(prediction),
            "input": {} if removed else self._input(prediction),
            "logs": None if removed else prediction.logs,
            "output": None if removed else prediction.output,
            "data_removed": removed,
            "error": prediction.error,
            "status": self._status(prediction.status),
            "source": "api",
            "created_at": timestamp(prediction.created),
            "started_at": prediction.started and timestamp(prediction.started, 6),
            "completed_at": completed and (self._faults["completed_at"] or completed),
            "urls": self._urls(prediction),
        }
        if self._faults["metrics"] != "none":
            body["metrics"] = self._metrics(prediction)
        if prediction.cancel_after is not None:
            body["deadline"] = timestamp(prediction.created + prediction.cancel_after)
        if prediction.webhook is not None and self._faults["echo_webhook"]:
            body["webhook"] = prediction.webhook
        return body

    def created(self, prediction: Prediction) -> dict[str, Any]:
        """Return the answer to a create: the same body without the keys that have no value yet."""
        body = self.view(prediction)
        unset = {key for key in ("started_at", "completed_at", "metrics") if not body.get(key)}
        return {key: value for key, value in body.items() if key not in unset}

    def _urls(self, prediction: Prediction) -> dict[str, str]:
        own = f"{self._base_url}/v1/predictions/{prediction.id}"
        urls = {"get": own, "cancel": f"{own}/cancel", "web": f"{self._base_url}/p/{prediction.id}"}
        if prediction.stream:
            urls["stream"] = f"{self._base_url}/v1/streams/{prediction.stream.token}"
        return urls

    def _run_by(self, prediction: Prediction) -> dict[str, str]:
        """Return model and version."""
        model = prediction.model
        if self._faults["show_version"] == "internal":
            # Like the API once did, show the internal name and version behind an official model.
            digest = hashlib.sha256(prediction.version.encode()).hexdigest()
            return {
                "model": f"replicate-internal/{model.owner}-{model.name}",
                "version": f"dp-{digest[:32]}",
            }
        hidden = self._faults["show_version"] == "hidden"
        shown = HIDDEN if hidden else model.shown_version or prediction.version
        return {"model": model.full_name, "version": shown}

    def _status(self, status: str) -> str:
        word: str = self._faults["status_word"]
        return word if word and status == "processing" else status

    def _input(self, prediction: Prediction) -> dict[str, Any]:
        show = _INPUTS[self._faults["show_input"]]
        try:
            return show(prediction.input, prediction.model)
        except RecursionError:
            # Nested too deeply for this recursion, although the parser could read it.
            return prediction.input

    def _metrics(self, prediction: Prediction) -> dict[str, object]:
        if prediction.completed is None:
            return {}
        metrics: dict[str, object] = {
            "total_time": round(prediction.completed - prediction.created, 6)
        }
        if prediction.started is not None:
            run_for = round(prediction.completed - prediction.started, 6)
            shown = {"text": str(run_for), "large": LARGE}
            metrics["predict_time"] = shown.get(self._faults["metrics"], run_for)
        return metrics


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return the value with every string and number replaced by `change`, at any depth."""
    if isinstance(value, dict):
        return {name: _changed(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_changed(inner, change) for inner in value]
    return change(value)


def _url(value: Any) -> Any:
    """Replace a data URI by the URL that the file was uploaded to."""
    if not isinstance(value, str) or value[:5].lower() != "data:":
        return value
    media_type, _, _ = value[5:].replace(",", ";", 1).partition(";")
    kind = media_type.rpartition("/")[2]
    digest = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
    return f"{FILES_HOST}/{digest[:40]}/file.{kind if kind.isalnum() else 'bin'}"


def _rounded(value: Any) -> Any:
    """Return an integer after conversion to a float; null if it exceeds a float."""
    if type(value) is not int or abs(value) <= _EXACT:
        return value
    try:
        nearest = float(value)
    except OverflowError:
        return None
    return int(nearest) if abs(nearest) < _EXPONENT else nearest


def _trimmed(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _masked(value: Any) -> Any:
    return MASK if isinstance(value, str) else value


def _known(given: dict[str, Any], model: Model) -> dict[str, Any]:
    names = model.input_schema.get("properties", {})
    return {name: value for name, value in given.items() if name in names}


_INPUTS: dict[str, Callable[[dict[str, Any], Model], dict[str, Any]]] = {
    "exact": lambda given, _: given,
    "urls": lambda given, _: dict(_changed(given, _url)),
    "known": _known,
    "rounded": lambda given, _: dict(_changed(given, _rounded)),
    "trimmed": lambda given, _: dict(_changed(given, _trimmed)),
    "masked": lambda given, _: dict(_changed(given, _masked)),
    "empty": lambda _, __: {},
}
"""Renderings of an input, by the modes of `show_input`."""
