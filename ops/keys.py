"""API keys in the Controls table: a row each, found by the hash of its token."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from darkroom.adapters.items import from_item, to_item
from darkroom.domain.keys import SCOPES, key_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""A tenant's name begins the keys of its files."""
SHOWN_ID = 12
"""Digits of a key's id that are shown, and that suffice to revoke it."""


class KeyRefusedError(Exception):
    """The key cannot be made or found as asked. The text is for the operator."""


def put_key(
    dynamodb: Any,
    table: str,
    token: str,
    *,
    tenant: str,
    name: str = "",
    scopes: Iterable[str] = SCOPES,
) -> None:
    """Store the row of `token`, which itself is not stored. Raises KeyRefusedError."""
    wanted = list(scopes)
    if not TENANT.fullmatch(tenant):
        raise KeyRefusedError("A tenant's name has 1 to 63 of A-Z a-z 0-9 . _ -")
    if not wanted or not set(wanted) <= set(SCOPES):
        raise KeyRefusedError(f"Scopes are {', '.join(SCOPES)}.")
    row = {
        "pk": key_id(token),
        "tenant": tenant,
        "name": name,
        "scopes": wanted,
        "created_at": time.time_ns() // 1_000_000,
    }
    dynamodb.put_item(TableName=table, Item=to_item(row))


def list_keys(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    """All keys' rows, with the shown `id`. Reads the whole table: fit for an operator's visit."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="begins_with(pk, :key)",
        ExpressionAttributeValues={":key": {"S": "KEY#"}},
    )
    for page in pages:
        for item in page["Items"]:
            row = from_item(item)
            yield {**row, "id": row["pk"].removeprefix("KEY#")[:SHOWN_ID]}


def revoke_key(dynamodb: Any, table: str, id_: str) -> dict[str, Any]:
    """Delete the row, so that the next request with the token is refused. Returns the row."""
    found = [row for row in list_keys(dynamodb, table) if row["id"] == id_]
    if len(found) != 1:
        raise KeyRefusedError(f"No key has the id {id_!r}: see `keys list`.")
    dynamodb.delete_item(TableName=table, Key=to_item({"pk": found[0]["pk"]}))
    return found[0]
