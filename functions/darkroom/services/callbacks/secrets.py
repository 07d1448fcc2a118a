"""A tenant's secrets for signing callbacks. They are derived, so none is stored or can be lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.ports import Clock, Secrets, SecretVersions


@immutable
class CallbackSecrets:
    """Costs one read of the tenant's secret version, so that a rotation takes effect at once."""

    secrets: Secrets
    controls: SecretVersions
    clock: Clock

    def current(self, tenant: str) -> str:
        """Return the secret with which the tenant verifies, as `whsec_…`. Raises
        UnavailableError."""
        version = self.controls.secret_version(tenant).current
        key = callback_secret(self.secrets.callback_keys()[0], tenant, version)
        return f"whsec_{base64.b64encode(key).decode()}"

    def keys(self, tenant: str) -> tuple[bytes, ...]:
        """Return the signing keys, current first; more than one during the overlap of a rotation of
        the tenant's version or of the master key."""
        held = self.controls.secret_version(tenant)
        versions = [held.current]
        if self.clock() < held.previous_until:
            versions.append(held.current - 1)
        masters = self.secrets.callback_keys()
        return tuple(
            callback_secret(master, tenant, version) for master in masters for version in versions
        )


def callback_secret(master: bytes, tenant: str, version: int = 1) -> bytes:
    """Return the tenant's signing key of this version: 32 bytes."""
    return hmac.digest(master, f"callback:{version}:{tenant}".encode(), hashlib.sha256)
