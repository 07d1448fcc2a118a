"""Reading of a function's environment, and settings that several functions share.

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
"""The secret that is created before the stacks, and is therefore found by name (docs/adr/0010)."""


class SettingsError(Exception):
    """A required variable is missing from the environment, or one does not parse."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Settings:
    """Fields map to upper-case variables; a field with a default may be absent.

    `str` fields are taken unchanged, `bool` as `true`/`false`, `int` in decimal, tuples as
    comma-separated lists, `Timings` as a JSON object of overrides. To the type checker these are
    frozen dataclasses. Real ones would compile their methods at every cold start, which takes half
    a millisecond for each class in a function's hierarchy.
    """

    powertools_service_name: str = "darkroom"
    """Name of the stage in logs and metrics; `runtime/observability.py` reads it."""

    def __init__(self, **values: Any) -> None:
        missing = [name for name in self.required() if name not in values]
        unknown = values.keys() - self.kinds().keys()
        if missing or unknown:
            raise TypeError(f"missing {missing}, unknown {sorted(unknown)}")
        vars(self).update(values)

    @classmethod
    def kinds(cls) -> dict[str, str]:
        """Return the type of each field, as written."""
        classes = reversed(cls.__mro__)
        return {name: kind for c in classes for name, kind in get_annotations(c).items()}

    @classmethod
    def required(cls) -> list[str]:
        """Return the fields without a default."""
        return [name for name in cls.kinds() if not hasattr(cls, name)]

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return all variables that the function reads, including optional ones."""
        return frozenset(name.upper() for name in cls.kinds())

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment once, at init. Raises SettingsError that names missing variables."""
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
    """For functions that read or write records."""

    predictions_table: str
    timings: Timings = Timings()


class Controlled(Settings):
    """For functions that read or write rows besides the records."""

    controls_table: str


class Http(Controlled, Common):
    """For functions behind the API: they authenticate, and write absolute URLs on our own host."""

    public_url: str


class Signing(Settings):
    """For functions that presign URLs of files in S3."""

    outputs_bucket: str
    uploads_bucket: str
    s3_endpoint: str = ""


class Showing(Signing):
    """For functions that show a prediction with its files, whose URLs are signed at that moment."""

    cdn_domain: str = ""
    """Domain that serves outputs; empty for presigned URLs of S3."""
    cdn_key_secret: str = ""


class ShowingHttp(Showing, Http):
    """For functions behind the API that show predictions."""


class Thumbnailed(ShowingHttp):
    """For functions that show predictions with their thumbnails."""

    thumbnails: bool = False
    """Whether the stage has the door `thumbnails`."""


class Waiting(ShowingHttp):
    """Functions that wait for a prediction, for a client."""

    dispatch_queue: str


class Providing(Settings):
    """For functions that call the provider."""

    replicate_url: str
    replicate_token_secret: str
    dedicated_account: bool = False


class Creating(Providing, Signing, Http):
    """For functions that create predictions at the provider."""

    link_key_secret: str


class Submitting(Creating, ShowingHttp):
    """For functions that accept predictions."""

    open_models: bool = False
    strict_inputs: bool = False
    retention_days: int = 90
    local_callbacks: bool | None = None
    """Whether callbacks may go to this machine; None without such a switch, as in every deployed
    stage."""
    result_cache: bool = False


class Effects(Controlled, Common):
    """For functions that carry out the effects of committed changes."""

    deliveries_table: str
    event_bus: str
    dispatch_queue: str
    persist_queue: str
    deliver_queue: str
    tasks_queue: str
