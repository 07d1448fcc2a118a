"""A provider's own record of a prediction, cut to what a record may hold."""

from __future__ import annotations

from dataclasses import dataclass, field

FINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
"""The statuses that nothing can follow upstream."""


@dataclass(frozen=True, slots=True)
class ShownInput:
    """What the provider shows as a prediction's input, cut to what can be evidence."""

    digest: str | None
    """Of its canonical JSON; None where it has none."""
    values: dict[str, bool | str] = field(default_factory=dict)
    """Its booleans and short texts."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the provider said, cut to what a record may hold."""

    provider_id: str
    status: str
    output: str | None = None
    """Canonical JSON, or None where there is none yet."""
    output_refused: bool = False
    """There is an output, but larger than a record keeps, or no JSON that could be kept."""
    error: str | None = None
    logs: str = ""
    log_size: int = 0
    metrics: str | None = None
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
        """Nothing can follow this status upstream."""
        return self.status in FINAL
