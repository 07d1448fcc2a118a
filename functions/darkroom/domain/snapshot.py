"""The provider's own record of a prediction, cut to the size limits of a record."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.domain.prediction import Json, JsonObject

FINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
"""The provider's final statuses."""


@immutable
class ShownInput:
    """The input that the provider shows for a prediction, reduced to possible evidence."""

    digest: str | None
    """Digest of its canonical JSON; None if it has none."""
    values: dict[str, bool | str] = field(default_factory=dict)
    """Its booleans and short strings."""


@immutable
class Snapshot:
    """The provider's report, reduced to what a record may contain."""

    provider_id: str
    status: str
    output: Json | None = None
    """None if there is none yet."""
    output_refused: bool = False
    """The output exceeds a record's limit, or is not valid JSON."""
    error: str | None = None
    logs: str = ""
    log_size: int = 0
    metrics: JsonObject | None = None
    created_at: int | None = None
    started_at: str | None = None
    completed_at: str | None = None
    data_removed: bool = False
    stream_url: str | None = None
    webhook: str | None = None
    version: str | None = None
    model: str | None = None
    input: ShownInput | None = None

    @property
    def final(self) -> bool:
        """Whether no other status can follow upstream."""
        return self.status in FINAL
