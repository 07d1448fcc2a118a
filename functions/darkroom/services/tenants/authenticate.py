"""Authentication: the tenant and the scopes of an API key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain import keys
from darkroom.domain.errors import NotAuthenticatedError, OutOfScopeError
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.ports import ApiKey, ApiKeys

LONGEST_TOKEN = 200


@immutable
class Authenticate:
    """Reads the key's own item without a cache, so the next request notices a revocation."""

    controls: ApiKeys

    def __call__(self, authorization: str | None, scope: str) -> str:
        """Return the tenant of `Bearer …` or `Token …`. Raises NotAuthenticatedError or
        OutOfScopeError."""
        return self.key(authorization, scope).tenant

    def key(self, authorization: str | None, scope: str) -> ApiKey:
        """Return the whole key."""
        if not authorization:
            raise NotAuthenticatedError("You did not pass an authentication token")
        scheme, _, token = authorization.partition(" ")
        plain = token.isascii() and token.isprintable() and 0 < len(token) <= LONGEST_TOKEN
        key = None
        if plain and scheme.lower() in {"bearer", "token"}:
            key = self.controls.api_key(keys.key_id(token))
        if key is None:
            raise NotAuthenticatedError("You did not pass a valid authentication token")
        if not keys.allows(key.scopes, scope):
            raise OutOfScopeError(f"This API key does not have the scope {scope!r}.")
        return key
