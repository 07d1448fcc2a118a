"""The known tenants: those with a key, a limit, or a charged prediction."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import from_item
from darkroom.domain import row_keys

from ops.keys import check_tenant

if TYPE_CHECKING:
    import argparse

PREFIXES = (row_keys.TENANT, row_keys.MONTH, row_keys.USAGE)
"""Prefixes of rows in the Controls table whose key contains the tenant. A key's row has it as an
attribute."""


class UnknownTenantError(Exception):
    """No tenant has this name. The text is for the operator."""


def add_new(parser: argparse.ArgumentParser) -> None:
    """Add the option of commands that accept a tenant without any rows."""
    parser.add_argument("--new", action="store_true", help="the tenant is not known yet")


def known(dynamodb: Any, table: str) -> set[str]:
    """Return all tenants. Reads the whole table, so it is for operators only."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="begins_with(pk, :key) OR "
        + " OR ".join(f"begins_with(pk, :p{number})" for number in range(len(PREFIXES))),
        ExpressionAttributeValues={
            ":key": {"S": row_keys.API_KEY},
            **{f":p{number}": {"S": prefix} for number, prefix in enumerate(PREFIXES)},
        },
        ProjectionExpression="pk, tenant",
        ConsistentRead=True,
    )
    rows = (from_item(item) for page in pages for item in page["Items"])
    return {row.get("tenant") or row["pk"].split("#")[1] for row in rows}


def check_known(dynamodb: Any, table: str, tenant: str, *, new: bool) -> None:
    """Raise UnknownTenantError for an unknown name, unless `new` is set."""
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
