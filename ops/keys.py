"""API keys in the Controls table: one row each, found by the hash of its token."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from darkroom.aws.items import attribute, from_item, to_item
from darkroom.domain import row_keys
from darkroom.domain.events import TENANT
from darkroom.domain.keys import SCOPES, key_id, looks_real, new_token

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from ops.deployment import Deployment

SHOWN_ID = 12
"""Number of digits of a key's id that are shown, and that suffice to revoke it."""
LONGEST_DEDUPE_S = 3600
LONGEST_OVERLAP_H = 24 * 90


class KeyRefusedError(Exception):
    """The key cannot be created or found as requested. The text is for the operator."""


def put_key(
    dynamodb: Any,
    table: str,
    token: str,
    *,
    tenant: str,
    name: str = "",
    scopes: Iterable[str] = SCOPES,
    dedupe_window_s: int = 0,
) -> dict[str, Any]:
    """Store the row of `token`, without the token itself. Raises KeyRefusedError."""
    wanted = list(dict.fromkeys(scopes))
    check_tenant(tenant)
    if not wanted or not set(wanted) <= set(SCOPES):
        raise KeyRefusedError(f"Scopes are {', '.join(SCOPES)}.")
    if not 0 <= dedupe_window_s <= LONGEST_DEDUPE_S:
        raise KeyRefusedError(f"The dedupe window is 0 to {LONGEST_DEDUPE_S} seconds.")
    row = {
        "pk": key_id(token),
        "tenant": tenant,
        "name": name,
        "scopes": wanted,
        "created_at": _now_ms(),
        "dedupe_window_s": dedupe_window_s,
    }
    dynamodb.put_item(TableName=table, Item=to_item(row))
    return _shown(row)


def check_tenant(tenant: str) -> None:
    """Raise KeyRefusedError if `tenant` is not a valid name."""
    if not TENANT.fullmatch(tenant):
        raise KeyRefusedError("A tenant's name has 1 to 63 of A-Z a-z 0-9 . _ -")


def list_keys(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    """Yield all keys' rows, with the shown `id`. Reads the whole table, so it is for operators
    only."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="begins_with(pk, :key)",
        ExpressionAttributeValues={":key": {"S": row_keys.API_KEY}},
        ConsistentRead=True,
    )
    for page in pages:
        yield from map(_shown, map(from_item, page["Items"]))


def rotate_key(
    dynamodb: Any, table: str, id_: str, overlap_hours: float
) -> tuple[str, dict[str, Any]]:
    """Create a token with the rights of the key `id_`, which stays valid for the overlap.

    Returns the token and the new row. Both writes are one transaction. Raises KeyRefusedError.
    """
    if not 0 <= overlap_hours <= LONGEST_OVERLAP_H:
        raise KeyRefusedError(f"The overlap is 0 to {LONGEST_OVERLAP_H} hours.")
    old = _find(dynamodb, table, id_)
    if "expires_at" in old:
        raise KeyRefusedError(f"The key {id_} was rotated before, and {_end(old)}.")
    token = new_token()
    new = {name: value for name, value in old.items() if name not in {"id", "pk", "expires_at"}}
    new |= {"pk": key_id(token), "created_at": _now_ms()}
    # A row past its expires_at counts as absent at once; DynamoDB deletes it some time later.
    ending = {
        "TableName": table,
        "Key": to_item({"pk": old["pk"]}),
        "UpdateExpression": "SET expires_at = :until",
        "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(expires_at)",
        "ExpressionAttributeValues": {":until": attribute(int(time.time() + overlap_hours * 3600))},
    }
    try:
        dynamodb.transact_write_items(
            TransactItems=[{"Put": {"TableName": table, "Item": to_item(new)}}, {"Update": ending}]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "TransactionCanceledException":
            raise
        raise KeyRefusedError("Somebody else has just rotated or revoked it.") from None
    return token, _shown(new)


def revoke_key(dynamodb: Any, table: str, id_: str) -> dict[str, Any]:
    """Delete the row, so that the next request with the token is rejected. Returns the row."""
    row = _find(dynamodb, table, id_)
    dynamodb.delete_item(TableName=table, Key=to_item({"pk": row["pk"]}))
    return row


def _find(dynamodb: Any, table: str, id_: str) -> dict[str, Any]:
    found = [row for row in list_keys(dynamodb, table) if row["id"] == id_]
    if len(found) != 1:
        raise KeyRefusedError(f"No key has the id {id_!r}: see `keys list`.")
    return found[0]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "id": row["pk"].removeprefix(row_keys.API_KEY)[:SHOWN_ID]}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


# The command


def add_parsers(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the commands `keys create|list|rotate|revoke`."""
    keys = commands.add_parser("keys", help="API keys").add_subparsers(dest="action", required=True)
    create = keys.add_parser("create", parents=parents, help="prints the token, once")
    create.add_argument("--tenant", required=True)
    create.add_argument("--name", default="", help="what the key is for")
    create.add_argument(
        "--scopes",
        default=",".join(SCOPES),
        help="submit: create, cancel, upload, callback secret. read: get, list, usage. admin: all, "
        "later additions included (default: %(default)s)",
    )
    create.add_argument(
        "--dedupe-window",
        type=int,
        default=0,
        metavar="SECONDS",
        help="an equal request within so long gets the same prediction (default: each is new)",
    )
    create.set_defaults(run=_create)
    list_ = keys.add_parser("list", parents=parents, help="all keys; tokens are never shown")
    list_.set_defaults(run=_list)
    rotate = keys.add_parser("rotate", parents=parents, help="a new token in a key's place")
    rotate.add_argument("id", help="as `keys list` shows it")
    rotate.add_argument(
        "--overlap-hours", type=float, default=24, help="the old token's rest (default: 24)"
    )
    rotate.set_defaults(run=_rotate)
    revoke = keys.add_parser("revoke", parents=parents, help="holds within about a second")
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", help="as `keys list` shows it")
    which.add_argument(
        "--token-stdin", action="store_true", help="the key of a leaked token, read from stdin"
    )
    revoke.set_defaults(run=_revoke)
    for parser in (create, list_, rotate, revoke):
        parser.add_argument("--json", action="store_true")


def _create(deployment: Deployment, given: argparse.Namespace) -> int:
    token = new_token()
    row = put_key(
        *_table(deployment),
        token,
        tenant=given.tenant,
        name=given.name,
        scopes=given.scopes.split(","),
        dedupe_window_s=given.dedupe_window,
    )
    return _print_token(row, token, f"A key of tenant {given.tenant} for {given.scopes}.", given)


def _list(deployment: Deployment, given: argparse.Namespace) -> int:
    found = list_keys(*_table(deployment))
    rows = sorted(found, key=lambda row: (row["tenant"], row["created_at"]))
    if given.json:
        print(json.dumps([_public(row) for row in rows], indent=2))
        return 0
    for row in rows:
        made = datetime.fromtimestamp(row["created_at"] / 1000, UTC)
        text = f"{row['id']}  {row['tenant']:<20}  {made:%Y-%m-%d %H:%M}Z  "
        text += f"{','.join(row['scopes'])}  {row['name']}"
        print(f"{text}  ({_end(row)})" if "expires_at" in row else text.rstrip())
    return 0


def _rotate(deployment: Deployment, given: argparse.Namespace) -> int:
    token, row = rotate_key(*_table(deployment), given.id, given.overlap_hours)
    text = f"A key of tenant {row['tenant']}. The old one lives for {given.overlap_hours:g} hours."
    return _print_token(row, token, text, given)


def _revoke(deployment: Deployment, given: argparse.Namespace) -> int:
    id_ = given.id
    if given.token_stdin:
        token = sys.stdin.readline().strip()
        if not looks_real(token):
            raise KeyRefusedError("This is no token of Darkroom: a character may be missing.")
        id_ = key_id(token).removeprefix(row_keys.API_KEY)[:SHOWN_ID]
    row = revoke_key(*_table(deployment), id_)
    if given.json:
        print(json.dumps(_public(row)))
    else:
        print(f"Revoked {row['id']} of tenant {row['tenant']}.")
    return 0


def _print_token(row: dict[str, Any], token: str, text: str, given: argparse.Namespace) -> int:
    if given.json:
        print(json.dumps({**_public(row), "token": token}))
    else:
        print(f"{text} The token is not shown again:")
        print(token)
    return 0


def _public(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "pk"}


def _end(row: dict[str, Any]) -> str:
    until = datetime.fromtimestamp(row["expires_at"], UTC)
    ends = "ended" if row["expires_at"] <= time.time() else "ends"
    return f"{ends} {until:%Y-%m-%d %H:%M}Z"


def _table(deployment: Deployment) -> tuple[Any, str]:
    return deployment.client("dynamodb"), deployment.outputs["ControlsTable"]
