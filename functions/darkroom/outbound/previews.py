"""Reading a thumbnail by its URL, as a page does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from darkroom.domain.thumbnails import TYPE
from darkroom.domain.values import immutable
from darkroom.outbound.http import NETWORK_ERRORS, read_whole

if TYPE_CHECKING:
    from darkroom.outbound.http import Client

BUDGET_S = 6.0
"""For the whole of it. The first look at a picture makes the thumbnail, after a cold start."""
MOST_BYTES = 100_000


@immutable
class UrlPreviews:
    """Previews from our own URLs: of the CDN, or of the API, which redirects once."""

    client: Client

    def __call__(self, url: str) -> bytes | None:
        try:
            found = self._read(url, BUDGET_S / 2)
            if isinstance(found, str):
                found = self._read(found, BUDGET_S / 2)
        except NETWORK_ERRORS:
            return None
        return found if isinstance(found, bytes) else None

    def _read(self, url: str, budget_s: float) -> bytes | str | None:
        """Return the bytes, or where they are; None if it is anything else."""
        with self.client.exchange("GET", url, budget_s=budget_s) as response:
            if response.status_code == httpx.codes.FOUND:
                return str(response.headers.get("location", ""))
            if response.status_code != httpx.codes.OK or response.headers.get("content-type") != (
                TYPE.type
            ):
                return None
            return read_whole(response, MOST_BYTES)
