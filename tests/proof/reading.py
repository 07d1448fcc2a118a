"""The product's own readers of what the provider says, each text read once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from darkroom.domain import lenient_json
from darkroom.replicate import client as replicate

if TYPE_CHECKING:
    from darkroom.domain.snapshot import Snapshot
    from darkroom.ports import ProviderPage

KEPT = 20_000


@lru_cache(KEPT)
def answer_of(raw: bytes) -> Any:
    """An answer's JSON, None where it cannot be read."""
    try:
        return lenient_json.loads(raw)
    except lenient_json.LenientJSONError:
        return None


@lru_cache(KEPT)
def snapshot_of(raw: bytes) -> Snapshot:
    """One prediction. Raises ProviderUnavailableError."""
    return replicate.snapshot_of(raw)


@lru_cache(KEPT)
def page_of(raw: bytes) -> ProviderPage:
    """One page. Raises ProviderUnavailableError where none of it can be read."""
    return replicate.page_of(raw)
