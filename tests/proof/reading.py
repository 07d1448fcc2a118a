"""The product's own readers of what the provider says, each text read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from darkroom.adapters import replicate
from darkroom.domain.errors import ProviderUnavailable
from darkroom.domain.snapshot import BadSnapshot, read_snapshot

if TYPE_CHECKING:
    from darkroom.domain.snapshot import Snapshot

KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of the account's list."""

    snapshots: list[Snapshot]
    complete: bool
    next: str | None


@lru_cache(KEPT)
def answer_of(raw: bytes) -> Any:
    """An answer's JSON, None where it cannot be read."""
    return replicate._json(raw)


def snapshot_of(raw: bytes) -> Snapshot:
    """One prediction. Raises ProviderUnavailable."""
    body = answer_of(raw)
    if body is None:
        raise ProviderUnavailable("status 200")
    try:
        return read_snapshot(body)
    except BadSnapshot as error:
        raise ProviderUnavailable(f"not a prediction: {error}") from None


def page_of(items: list[bytes], more: str | None) -> Listed:
    """One page. Raises ProviderUnavailable where none of it can be read."""
    body = answer_of(b'{"results": [' + b", ".join(items) + b"]}")
    if body is None:
        raise ProviderUnavailable("status 200")
    found = replicate._readable(body["results"])
    return Listed(found, len(found) == len(items), more)
