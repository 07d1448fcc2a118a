"""Records of other releases: of the previous one, and of the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.ports import Due

from tests.support.fakes import START

if TYPE_CHECKING:
    from tests.proof.config import Config

Item = dict[str, Any]
WRITERS = frozenset({"submit", "intake"})
"""Functions of another release when records are; the others continue with their records."""

_LAST = frozenset(
    {
        *("id", "tenant", "created_at", "model", "version", "input", "uploads", "webhook"),
        *("webhook_events", "deadline", "typical_ms", "fingerprint", "cache_key", "cached_from"),
        *("expires_at", "price", "ledger", "task_token", "revision", "updated_at", "due_at"),
        *("state", "create", "provider_id", "adopted", "extra_provider_ids", "stream_url"),
        *("output", "logs", "log_size", "error", "code", "metrics", "started_at", "completed_at"),
        *("finished_at", "polls", "next_poll_at", "store_attempts", "next_store_at", "files"),
        *("told_output_at", "told_logs_at", "cancel_requested_at", "cancel_by_deadline"),
        *("next_cancel_at", "effects_done", "cost", "counted", "due_shard", "relay"),
    }
)
"""The attributes of the previous release (0ba142c)."""
_NEXT_STATE: Item = {
    "id": {"S": "n" * 26},
    "tenant": {"S": "acme"},
    "state": {"S": "reviewing"},
    "revision": {"N": "1"},
    "created_at": {"N": str(START)},
    "updated_at": {"N": str(START)},
    "deadline": {"N": str(START + 1_800_000)},
    "due_at": {"N": str(START)},
    "due_shard": {"N": "0"},
    "create": {"M": {"attempt": {"N": "1"}, "state": {"S": "refused"}}},
    "model": {"S": "owner/name"},
    "input": {"S": "{}"},
    "typical_ms": {"N": "1000"},
    "expires_at": {"N": str(START // 1000 + 86_400)},
    "relay": {"BOOL": False},
}
_NEXT_CODE = {
    **_NEXT_STATE,
    "id": {"S": "o" * 26},
    "state": {"S": "failed"},
    "code": {"S": "reviewed_and_refused"},
    "cost": {"N": "1"},
}
NEXT: dict[str, Item] = {item["id"]["S"]: item for item in (_NEXT_STATE, _NEXT_CODE)}
"""Always due, because this release cannot read them."""


def written(config: Config, handler: str, item: Item) -> Item:
    """Return an item as the release of the function that writes it would write it."""
    if handler not in WRITERS or config.among == "ours":
        return item
    if config.among == "last":
        return {name: value for name, value in item.items() if name in _LAST}
    more = {"flavour": {"S": "vanilla"}}
    nested = {
        name: {"M": {**item[name]["M"], **more}} for name in ("create", "price") if name in item
    }
    return {**item, **more, **nested}


def due(config: Config) -> list[Due]:
    """Return the index entries of the next release's records."""
    strangers = NEXT.values() if config.among == "next" else ()
    return [Due(item["id"]["S"], int(item["due_at"]["N"])) for item in strangers]
