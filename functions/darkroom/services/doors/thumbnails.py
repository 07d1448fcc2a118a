"""URLs of thumbnails of stored pictures. Making them needs no I/O but reading a secret, at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain import link, thumbnails
from darkroom.domain.errors import NotFoundError, UnavailableError
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import Clock, Secrets, Signer


@immutable
class SignedThumbnails:
    """URLs of thumbnails at the CDN, which are signed like those of their originals."""

    signer: Signer

    def urls(self, record: Prediction, number: int) -> dict[str, str]:
        """Return a URL for each width."""
        key = record.files[number].key
        return {
            str(width): self.signer.output_url(thumbnails.key_of(key, width))
            for width in thumbnails.WIDTHS
        }


@immutable
class LinkedThumbnails:
    """URLs of thumbnails at our own API. A token replaces the API key, so a page can show them."""

    secrets: Secrets
    clock: Clock
    public_url: str

    def urls(self, record: Prediction, number: int) -> dict[str, str]:
        """Return a URL for each width; none if the key cannot be read at the moment, since the
        answer that would contain them must be shown anyway."""
        try:
            key = self.secrets.link_keys()[0]
        except UnavailableError:
            return {}
        until = link.rounded_expiry(self.clock(), link.LOOKED_AT_S)
        return {
            str(width): link.thumbnail_url(
                self.public_url, record.id, number, width, until, key=key
            )
            for width in thumbnails.WIDTHS
        }

    def left_s(self, id_: str, number: str, width: str, token: str) -> int:
        """Return the seconds for which the token is still valid. Raises NotFoundError for any text
        that is not this thumbnail's token, and UnavailableError."""
        now = self.clock()
        keys = self.secrets.link_keys()
        until = link.thumbnail_expiry(token, id_, number, width, now, keys=keys)
        if until is None:
            raise NotFoundError("Not found")
        return until - now // 1000
