"""What each function reads from its environment: one frozen class per function.

The CDK construct takes the same class, so a variable that one side forgets fails at synth.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from darkroom.domain.timings import Timings

if TYPE_CHECKING:
    from collections.abc import Mapping


CDN_KEY_SECRET = "darkroom/{stage}/cdn-key"  # noqa: S105 - a name
"""The secret that is made before the stacks, and so is found by its name (docs/adr/0010)."""


class SettingsError(Exception):
    """The environment lacks a variable that the function needs, or one does not parse."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Fields map to upper-case variables; a field with a default may be absent.

    `str` fields are taken as they are, `bool` as `true`/`false`, `int` in decimal, tuples as
    comma-separated lists, `Timings` as a JSON object of overrides.
    """

    @classmethod
    def names(cls) -> frozenset[str]:
        """All variables that the function reads, optional ones included."""
        return frozenset(f.name.upper() for f in fields(cls))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment once, at init. Raises SettingsError naming what is missing."""
        env = os.environ if environ is None else environ
        given = {f.name: env[f.name.upper()] for f in fields(cls) if f.name.upper() in env}
        kinds = {f.name: f.type for f in fields(cls)}
        try:
            return cls(**{name: _parse(str(kinds[name]), text) for name, text in given.items()})
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{cls.__name__}: {error}") from None


def _parse(kind: str, text: str) -> Any:
    if kind == "bool":
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


@dataclass(frozen=True, kw_only=True)
class Common(Settings):
    """What every function has."""

    predictions_table: str
    timings: Timings = field(default_factory=Timings)


@dataclass(frozen=True, kw_only=True)
class _Http(Common):
    """Functions behind the API: they authenticate, and write absolute URLs on our own host."""

    controls_table: str
    public_url: str


@dataclass(frozen=True, kw_only=True)
class Showing(Settings):
    """Functions that show a prediction with its files: they sign at the moment of showing."""

    outputs_bucket: str
    uploads_bucket: str
    s3_endpoint: str = ""
    cdn_domain: str = ""
    """Where outputs are read; empty: at S3, presigned."""
    cdn_key_secret: str = ""


@dataclass(frozen=True, kw_only=True)
class _Provider(Settings):
    """Functions that call Replicate."""

    replicate_url: str
    replicate_token_secret: str
    dedicated_account: bool = False


@dataclass(frozen=True, kw_only=True)
class SubmitSettings(_Provider, Showing, _Http):
    link_key_secret: str
    open_models: bool = False
    retention_days: int = 90
    local_callbacks: bool = False


@dataclass(frozen=True, kw_only=True)
class ReadSettings(Showing, _Http):
    callback_key_secret: str
    open_models: bool = False


@dataclass(frozen=True, kw_only=True)
class CancelSettings(_Provider, Showing, _Http):
    pass


@dataclass(frozen=True, kw_only=True)
class FilesSettings(Settings):
    controls_table: str
    public_url: str
    uploads_bucket: str
    s3_endpoint: str = ""


@dataclass(frozen=True, kw_only=True)
class WebhookSettings(Common):
    controls_table: str
    replicate_webhook_secret: str
    link_key_secret: str
    dedicated_account: bool = False


@dataclass(frozen=True, kw_only=True)
class DispatchSettings(_Provider, Common):
    controls_table: str
    uploads_bucket: str
    public_url: str
    link_key_secret: str
    s3_endpoint: str = ""


@dataclass(frozen=True, kw_only=True)
class _Effects(Common):
    """Functions that carry out what a committed change causes."""

    deliveries_table: str
    event_bus: str
    dispatch_queue: str
    persist_queue: str
    deliver_queue: str


@dataclass(frozen=True, kw_only=True)
class RelaySettings(_Effects):
    pass


@dataclass(frozen=True, kw_only=True)
class PersistSettings(Common):
    controls_table: str
    outputs_bucket: str
    output_hosts: tuple[str, ...] = ("replicate.delivery", "*.replicate.delivery")
    max_output_bytes: int = 50_000_000


@dataclass(frozen=True, kw_only=True)
class DeliverSettings(Showing, _Http):
    deliveries_table: str
    deliver_queue: str
    callback_key_secret: str
    local_callbacks: bool = False


@dataclass(frozen=True, kw_only=True)
class DeliveriesSettings(Common):
    controls_table: str
    deliveries_table: str
    deliver_queue: str


@dataclass(frozen=True, kw_only=True)
class SweepSettings(_Provider, _Effects):
    controls_table: str
    public_url: str
    link_key_secret: str
