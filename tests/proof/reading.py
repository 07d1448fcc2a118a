"""The product's own parsers of the provider's answers, each text parsed once."""

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
    """Return the JSON of an answer, or None if it cannot be read."""
    try:
        return lenient_json.loads(raw)
    except lenient_json.LenientJSONError:
        return None


@lru_cache(KEPT)
def snapshot_of(raw: bytes) -> Snapshot:
    """Parse one prediction. Raises ProviderUnavailableError."""
    return replicate.snapshot_of(raw)


@lru_cache(KEPT)
def page_of(raw: bytes) -> ProviderPage:
    """Parse one page. Raises ProviderUnavailableError if none of it can be read."""
    return replicate.page_of(raw)
