"""Which tenants there are: whoever has a key, a limit, or was ever charged for a prediction."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from darkroom.adapters.items import from_item

from ops.keys import check_tenant

if TYPE_CHECKING:
    import argparse

PREFIXES = ("TENANT#", "SPEND#", "USAGE#")
"""Rows of the Controls table whose keys name their tenant next; a key's row says it inside."""


class UnknownTenantError(Exception):
    """Nobody is called so. The text is for the operator."""


def add_new(parser: argparse.ArgumentParser) -> None:
    """The option of commands that may be about a tenant that has nothing yet."""
    parser.add_argument("--new", action="store_true", help="the tenant is not known yet")


def known(dynamodb: Any, table: str) -> set[str]:
    """All of them. Reads the whole table: fit for an operator's visit."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="begins_with(pk, :key) OR "
        + " OR ".join(f"begins_with(pk, :p{number})" for number in range(len(PREFIXES))),
        ExpressionAttributeValues={
            ":key": {"S": "KEY#"},
            **{f":p{number}": {"S": prefix} for number, prefix in enumerate(PREFIXES)},
        },
        ProjectionExpression="pk, tenant",
        ConsistentRead=True,
    )
    rows = (from_item(item) for page in pages for item in page["Items"])
    return {row.get("tenant") or row["pk"].split("#")[1] for row in rows}


def check_known(dynamodb: Any, table: str, tenant: str, *, new: bool) -> None:
    """Raises UnknownTenantError for a name that nobody has, unless it is meant to be new."""
    check_tenant(tenant)
    if new:
        return
    there = known(dynamodb, table)
    if tenant in there:
        return
    close = get_close_matches(tenant, sorted(there), n=1)
    guess = f" Do you mean {close[0]}?" if close else ""
    raise UnknownTenantError(
        f"No tenant is called {tenant!r}: it has no key, no limit and no predictions.{guess} "
        "For a new one, add --new."
    )
