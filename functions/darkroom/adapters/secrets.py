"""Secrets Manager behind the Secrets port, read through Powertools' cache."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from darkroom.domain import signature
from darkroom.domain.errors import Unavailable

CACHED_S = 300
REFRESH_S = 30.0
"""At most one forced reading in so long: forged webhooks must not become calls to AWS."""
SHORTEST_KEY = 32


@dataclass(slots=True)
class ManagedSecrets:
    """Secrets. Only those whose names were given can be read; fails closed where one is unset."""

    provider: Any
    """A Powertools SecretsProvider."""
    token_name: str = ""
    webhook_name: str = ""
    link_name: str = ""
    callback_name: str = ""
    cdn_name: str = ""
    _refreshed_at: float = field(default=-REFRESH_S, init=False)

    def replicate_token(self) -> str:
        token = self._read(self.token_name).strip()
        if not token or not token.isascii() or not token.isprintable():
            raise Unavailable("Replicate's token is not set.")
        return token

    def webhook_keys(self, *, refresh: bool = False) -> tuple[bytes, ...]:
        """The secret is `{"current": "whsec_…", "previous": "whsec_…"}`, the latter optional."""
        now = time.monotonic()
        force = refresh and now - self._refreshed_at >= REFRESH_S
        if force:
            self._refreshed_at = now
        try:
            return signature.load_keys(_pair(self._read(self.webhook_name, force=force)))
        except ValueError:
            raise Unavailable("Replicate's webhook secret is not set.") from None

    def link_keys(self) -> tuple[bytes, ...]:
        """`{"current": "…", "previous": "…"}`: any text of 32 characters or more."""
        keys = tuple(text.encode() for text in _pair(self._read(self.link_name)))
        if not keys or min(map(len, keys)) < SHORTEST_KEY:
            raise Unavailable("The link key is not set.")
        return keys

    def callback_key(self) -> bytes:
        key = self._read(self.callback_name).encode()
        if len(key) < SHORTEST_KEY:
            raise Unavailable("The callback key is not set.")
        return key

    def cdn_key(self) -> tuple[str, str]:
        """CloudFront's id of the signing key, and its private half in PEM. Raises Unavailable.

        The secret is `{"key_id": "K…", "private_key": "-----BEGIN …"}`: `ops setup` writes it.
        """
        try:
            key = json.loads(self._read(self.cdn_name))
            found = key["key_id"], key["private_key"]
        except (ValueError, TypeError, KeyError):
            found = "", ""
        if not all(isinstance(part, str) and part for part in found):
            raise Unavailable("The CDN's key is not set.")
        return found

    def _read(self, name: str, *, force: bool = False) -> str:
        try:
            value = self.provider.get(name, max_age=CACHED_S, force_fetch=force)
        except GetParameterError:
            raise Unavailable("A secret cannot be read.") from None
        if not isinstance(value, str):
            raise Unavailable("A secret is not text.")
        return value


def _pair(text: str) -> list[str]:
    try:
        values = json.loads(text)
    except ValueError:
        return []
    if not isinstance(values, dict):
        return []
    pair = (values.get("current"), values.get("previous"))
    return [value for value in pair if isinstance(value, str) and value]
