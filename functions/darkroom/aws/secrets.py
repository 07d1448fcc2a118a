"""Secrets from Secrets Manager, with a cache."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from darkroom.domain import signature
from darkroom.domain.errors import UnavailableError

CACHED_S = 300
REFRESH_S = 30.0
"""Minimum interval between forced reads, so that forged webhooks do not become calls to AWS."""
SHORTEST_KEY = 32


@dataclass(slots=True)
class SecretsManagerStore:
    """Secrets. Only those with a configured name can be read; fails closed if one is unset."""

    client: Any
    token_name: str = ""
    webhook_name: str = ""
    link_name: str = ""
    callback_name: str = ""
    cdn_name: str = ""
    _refreshed_at: float = field(default=-REFRESH_S, init=False)
    _cached: dict[str, tuple[float, str]] = field(default_factory=dict, init=False)
    """Time of reading and value, by name."""

    def read_ahead(self) -> None:
        """Read all configured secrets. One that cannot be read is tried again when it is needed."""
        names = (self.token_name, self.webhook_name, self.link_name, self.callback_name)
        for name in filter(None, (*names, self.cdn_name)):
            with contextlib.suppress(UnavailableError):
                self._read(name)

    def replicate_token(self) -> str:
        token = self._read(self.token_name).strip()
        if not token or not token.isascii() or not token.isprintable():
            raise UnavailableError("Replicate's token is not set.")
        return token

    def webhook_keys(self, *, refresh: bool = False) -> tuple[bytes, ...]:
        """Return the keys of the secret `{"current": "whsec_…", "previous": "whsec_…"}`, the latter
        optional.

        With `previous_until`, in milliseconds since the epoch, the previous key is valid until
        then. The other pairs work in the same way.
        """
        now = time.monotonic()
        force = refresh and now - self._refreshed_at >= REFRESH_S
        if force:
            self._refreshed_at = now
        try:
            return signature.load_keys(_pair(self._read(self.webhook_name, force=force)))
        except ValueError:
            raise UnavailableError("Replicate's webhook secret is not set.") from None

    def link_keys(self) -> tuple[bytes, ...]:
        """Return the keys of `{"current": "…", "previous": "…"}`: any text of 32 characters or
        more."""
        keys = tuple(text.encode() for text in _pair(self._read(self.link_name)))
        if not keys or min(map(len, keys)) < SHORTEST_KEY:
            raise UnavailableError("The link key is not set.")
        return keys

    def callback_keys(self) -> tuple[bytes, ...]:
        """Return the keys of one text of 32 characters or more or, after a rotation, of a pair of
        those."""
        text = self._read(self.callback_name)
        pair = _pair(text) if text.startswith("{") else [text]
        keys = tuple(text.encode() for text in pair)
        if not keys or min(map(len, keys)) < SHORTEST_KEY:
            raise UnavailableError("The callback key is not set.")
        return keys

    def cdn_key(self) -> tuple[str, str]:
        """Return CloudFront's id of the signing key, and its private half in PEM. Raises
        UnavailableError.

        The secret is `{"key_id": "K…", "private_key": "-----BEGIN …"}`; `ops setup` writes it.
        """
        try:
            key = json.loads(self._read(self.cdn_name))
            found = key["key_id"], key["private_key"]
        except (ValueError, TypeError, KeyError):
            found = "", ""
        if not all(isinstance(part, str) and part for part in found):
            raise UnavailableError("The CDN's key is not set.")
        return found

    def _read(self, name: str, *, force: bool = False) -> str:
        now = time.monotonic()
        if name in self._cached and not force:
            read_at, value = self._cached[name]
            if now - read_at < CACHED_S:
                return value
        try:
            found = self.client.get_secret_value(SecretId=name).get("SecretString")
        except (ClientError, BotoCoreError):
            raise UnavailableError("A secret cannot be read.") from None
        if not isinstance(found, str):
            raise UnavailableError("A secret is not text.")
        self._cached[name] = now, found
        return found


def _pair(text: str) -> list[str]:
    try:
        values = json.loads(text)
    except ValueError:
        return []
    if not isinstance(values, dict):
        return []
    current, previous = values.get("current"), values.get("previous")
    until = values.get("previous_until")
    if isinstance(until, int) and time.time() * 1000 >= until:
        previous = None
    return [value for value in (current, previous) if isinstance(value, str) and value]
