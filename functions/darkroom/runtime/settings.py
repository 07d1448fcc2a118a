"""What each function reads from its environment: one class per function.

The CDK construct takes the same class, so a variable that one side forgets fails at synth.
"""

from __future__ import annotations

import json
import os
from inspect import get_annotations
from typing import TYPE_CHECKING, Any, Self, dataclass_transform

from darkroom.domain.timings import Timings

if TYPE_CHECKING:
    from collections.abc import Mapping


CDN_KEY_SECRET = "darkroom/{stage}/cdn-key"  # noqa: S105 - a name
"""The secret that is made before the stacks, and so is found by its name (docs/adr/0010)."""


class SettingsError(Exception):
    """The environment lacks a variable that the function needs, or one does not parse."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Settings:
    """Fields map to upper-case variables; a field with a default may be absent.

    `str` fields are taken as they are, `bool` as `true`/`false`, `int` in decimal, tuples as
    comma-separated lists, `Timings` as a JSON object of overrides. To the type checker these are
    frozen dataclasses; real ones would compile their methods at every cold start, for all
    functions' classes: 12 ms.
    """

    powertools_service_name: str = "darkroom"
    """What logs and metrics are of; `runtime/observability.py` reads it."""

    def __init__(self, **values: Any) -> None:
        missing = [name for name in self.required() if name not in values]
        unknown = values.keys() - self.kinds().keys()
        if missing or unknown:
            raise TypeError(f"missing {missing}, unknown {sorted(unknown)}")
        vars(self).update(values)

    @classmethod
    def kinds(cls) -> dict[str, str]:
        """The type of each field, as it is written."""
        classes = reversed(cls.__mro__)
        return {name: kind for c in classes for name, kind in get_annotations(c).items()}

    @classmethod
    def required(cls) -> list[str]:
        """The fields without a default."""
        return [name for name in cls.kinds() if not hasattr(cls, name)]

    @classmethod
    def names(cls) -> frozenset[str]:
        """All variables that the function reads, optional ones included."""
        return frozenset(name.upper() for name in cls.kinds())

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment once, at init. Raises SettingsError naming what is missing."""
        env = os.environ if environ is None else environ
        kinds = cls.kinds()
        given = {name: env[name.upper()] for name in kinds if name.upper() in env}
        try:
            return cls(**{name: _parse(kinds[name], text) for name, text in given.items()})
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{cls.__name__}: {error}") from None


def _parse(kind: str, text: str) -> Any:
    if kind.startswith("bool"):
        if text not in {"true", "false"}:
            raise ValueError(f"expected true or false, not {text!r}")
        return text == "true"
    if kind == "int":
        return int(text)
    if kind.startswith("tuple"):
        return tuple(part for part in text.split(",") if part)
    if kind == "Timings":
        return Timings(**json.loads(text))
    return text


class Common(Settings):
    """What every function has."""

    predictions_table: str
    timings: Timings = Timings()


class _Http(Common):
    """Functions behind the API: they authenticate, and write absolute URLs on our own host."""

    controls_table: str
    public_url: str


class Showing(Settings):
    """Functions that show a prediction with its files: they sign at the moment of showing."""

    outputs_bucket: str
    uploads_bucket: str
    s3_endpoint: str = ""
    cdn_domain: str = ""
    """Where outputs are read; empty: at S3, presigned."""
    cdn_key_secret: str = ""


class _Provider(Settings):
    """Functions that call Replicate."""

    replicate_url: str
    replicate_token_secret: str
    dedicated_account: bool = False


class SubmitSettings(_Provider, Showing, _Http):
    link_key_secret: str
    open_models: bool = False
    strict_inputs: bool = False
    retention_days: int = 90
    local_callbacks: bool | None = None
    """Callbacks to this machine; None where there is no such switch, as in every deployed stage."""
    result_cache: bool = False


class IntakeSettings(SubmitSettings):
    event_bus: str
    intake_queue: str
    intake_dlq: str
    tasks: bool = False
    """Some state machine's tasks may be answered."""


class ReadSettings(Showing, _Http):
    callback_key_secret: str
    dispatch_queue: str
    open_models: bool = False


class CancelSettings(_Provider, Showing, _Http):
    pass


class FilesSettings(Settings):
    controls_table: str
    public_url: str
    uploads_bucket: str
    s3_endpoint: str = ""


class WebhookSettings(Common):
    controls_table: str
    replicate_webhook_secret: str
    link_key_secret: str
    dedicated_account: bool = False


class DispatchSettings(_Provider, Common):
    controls_table: str
    outputs_bucket: str
    uploads_bucket: str
    public_url: str
    link_key_secret: str
    s3_endpoint: str = ""


class _Effects(Common):
    """Functions that carry out what a committed change causes."""

    deliveries_table: str
    event_bus: str
    dispatch_queue: str
    persist_queue: str
    deliver_queue: str
    tasks_queue: str


class RelaySettings(_Effects):
    controls_table: str


class PersistSettings(Common):
    controls_table: str
    outputs_bucket: str
    output_hosts: tuple[str, ...] = ("replicate.delivery", "*.replicate.delivery")
    max_output_bytes: int = 250_000_000
    """Fits the catalogue's largest: a photograph of 13 megapixels, enlarged four times each way."""


class DeliverSettings(Showing, _Http):
    deliveries_table: str
    deliver_queue: str
    event_bus: str
    callback_key_secret: str
    slow_callbacks: int = 1
    """Attempts at once at a tenant's endpoints that are slow or failing."""
    local_callbacks: bool = False


class DeliveriesSettings(Common):
    controls_table: str
    deliveries_table: str
    deliver_queue: str


class SweepSettings(_Provider, _Effects):
    controls_table: str
    public_url: str
