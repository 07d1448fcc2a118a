"""How a function reads its environment, and what several have in common there.

The class of one function is in its own module of `darkroom.handlers`. The CDK construct takes the
same class, so a variable that one side forgets fails at synth.
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
    frozen dataclasses; real ones would compile their methods at every cold start, which takes half
    a millisecond for each class that a function's own is made of.
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
    """Functions that read or write records."""

    predictions_table: str
    timings: Timings = Timings()


class Controlled(Settings):
    """Functions that read or write what is kept beside the records."""

    controls_table: str


class Http(Controlled, Common):
    """Functions behind the API: they authenticate, and write absolute URLs on our own host."""

    public_url: str


class Signing(Settings):
    """Functions that sign URLs of files at S3."""

    outputs_bucket: str
    uploads_bucket: str
    s3_endpoint: str = ""


class Showing(Signing):
    """Functions that show a prediction with its files: they sign at the moment of showing."""

    cdn_domain: str = ""
    """Where outputs are read; empty: at S3, presigned."""
    cdn_key_secret: str = ""


class ShowingHttp(Showing, Http):
    """Functions behind the API that show predictions."""


class Providing(Settings):
    """Functions that call Replicate."""

    replicate_url: str
    replicate_token_secret: str
    dedicated_account: bool = False


class Creating(Providing, Signing, Http):
    """Functions that create predictions there."""

    link_key_secret: str


class Submitting(Creating, ShowingHttp):
    """Functions that accept predictions."""

    open_models: bool = False
    strict_inputs: bool = False
    retention_days: int = 90
    local_callbacks: bool | None = None
    """Callbacks to this machine; None where there is no such switch, as in every deployed stage."""
    result_cache: bool = False


class Effects(Controlled, Common):
    """Functions that carry out what a committed change causes."""

    deliveries_table: str
    event_bus: str
    dispatch_queue: str
    persist_queue: str
    deliver_queue: str
    tasks_queue: str
