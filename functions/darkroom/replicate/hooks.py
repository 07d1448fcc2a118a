"""The URL at which Replicate calls Darkroom."""

from __future__ import annotations

HOOK_PATH = "/hooks/replicate/"


def webhook_url(public_url: str, record_id: str, link_token: str) -> str:
    """Return the webhook URL for the provider, which keeps the query but does not sign it."""
    return f"{public_url.rstrip('/')}{HOOK_PATH}{record_id}?t={link_token}"
