"""URLs for waiting for one prediction without an API key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain import link
from darkroom.domain.errors import UnavailableError
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import Clock, Secrets


@immutable
class Watch:
    """Creates and verifies watch URLs."""

    secrets: Secrets
    clock: Clock
    public_url: str

    def url(self, record: Prediction) -> str | None:
        """Return a URL valid for a day; None if the key cannot be read at the moment, since the
        answer that would contain it must be shown anyway."""
        try:
            key = self.secrets.link_keys()[0]
        except UnavailableError:
            return None
        expires_at = self.clock() // 1000 + link.WATCHED_S
        token = link.watch_token(record.id, expires_at, key=key)
        return link.watch_url(self.public_url, record.id, token)

    def opens(self, id_: str, token: str) -> bool:
        """Whether the token belongs to this prediction and has not expired. Raises
        UnavailableError."""
        if not link.is_id(id_):
            return False
        return link.check_watch(token, id_, self.clock(), keys=self.secrets.link_keys())
