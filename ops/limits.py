"""`ops limits`: what a tenant may spend, how fast it may ask, how much it may have running."""

from __future__ import annotations

import json
import math
import sys
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from darkroom.adapters.items import attribute, from_item, to_item
from darkroom.domain.money import MICRO

from ops import tenants
from ops.keys import check_tenant

if TYPE_CHECKING:
    import argparse

    from ops.deployment import Deployment

NAMES = ("monthly_cap", "rate_interval_us", "rate_burst", "in_flight")
"""Attributes of the tenant's row; one that is not there does not limit."""
LARGEST = Decimal(1_000_000_000)


class LimitRefusedError(Exception):
    """A limit cannot be set as asked. The text is for the operator."""


def read(dynamodb: Any, table: str, tenant: str) -> dict[str, int]:
    """The limits that are set."""
    found = dynamodb.get_item(TableName=table, Key=_key(tenant), ConsistentRead=True)
    row = from_item(found.get("Item", {}))
    return {name: row[name] for name in NAMES if name in row}


def write(dynamodb: Any, table: str, tenant: str, changes: dict[str, int | None]) -> None:
    """Set these, take away those that are None, and leave the row's other attributes alone."""
    check_tenant(tenant)
    kept = {name: value for name, value in changes.items() if value is not None}
    gone = [name for name, value in changes.items() if value is None]
    parts = []
    if kept:
        parts.append("SET " + ", ".join(f"{name} = :{name}" for name in kept))
    if gone:
        parts.append("REMOVE " + ", ".join(gone))
    values = {f":{name}": attribute(value) for name, value in kept.items()}
    dynamodb.update_item(
        TableName=table,
        Key=_key(tenant),
        UpdateExpression=" ".join(parts),
        **({"ExpressionAttributeValues": values} if values else {}),
    )


def _key(tenant: str) -> dict[str, Any]:
    return to_item({"pk": f"TENANT#{tenant}"})


# The command


def add_parsers(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """`limits show|set`."""
    limits = commands.add_parser("limits", help="what a tenant may do")
    actions = limits.add_subparsers(dest="action", required=True)
    show = actions.add_parser("show", parents=parents)
    set_ = actions.add_parser(
        "set", parents=parents, help="what is not given stays; holds within 30 seconds"
    )
    set_.add_argument("--monthly-cap-usd", metavar="USD|none", help="a calendar month, in UTC")
    set_.add_argument("--requests-per-second", metavar="R|none", help="creates, on average")
    set_.add_argument("--burst", metavar="B", help="requests at once (default: R, rounded up)")
    set_.add_argument("--in-flight", metavar="N|none", help="predictions that are not over")
    tenants.add_new(set_)
    for parser, run in ((show, _show), (set_, _set)):
        parser.add_argument("--tenant", required=True)
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(run=run)


def _show(deployment: Deployment, given: argparse.Namespace) -> int:
    check_tenant(given.tenant)
    held = read(*_table(deployment), given.tenant)
    if not held and given.tenant not in tenants.known(*_table(deployment)):
        print(f"No tenant is called {given.tenant!r} yet.", file=sys.stderr)
    if given.json:
        shown = {name: held.get(name) for name in NAMES}
        print(json.dumps({"tenant": given.tenant, **shown}))
    else:
        print("\n".join(_lines(held)))
    return 0


def _set(deployment: Deployment, given: argparse.Namespace) -> int:
    dynamodb, table = _table(deployment)
    tenants.check_known(dynamodb, table, given.tenant, new=given.new)
    changes = asked(given, read(dynamodb, table, given.tenant))
    if not changes:
        raise LimitRefusedError("Nothing to set: see `limits set --help`.")
    write(dynamodb, table, given.tenant, changes)
    return _show(deployment, given)


def asked(given: argparse.Namespace, held: dict[str, int]) -> dict[str, int | None]:
    """The attributes that the command line wants changed. Raises LimitRefusedError."""
    changes: dict[str, int | None] = {}
    if given.monthly_cap_usd is not None:
        cap = _number("--monthly-cap-usd", given.monthly_cap_usd)
        changes["monthly_cap"] = None if cap is None else _micro("--monthly-cap-usd", cap)
    if given.in_flight is not None:
        number = _number("--in-flight", given.in_flight)
        changes["in_flight"] = None if number is None else _whole("--in-flight", number)
    if given.requests_per_second is not None:
        rate = _number("--requests-per-second", given.requests_per_second)
        if rate is None:
            changes |= {"rate_interval_us": None, "rate_burst": None}
        else:
            if not Decimal("0.001") <= rate <= 10_000:
                raise LimitRefusedError("--requests-per-second is 0.001 to 10000, or none.")
            changes["rate_interval_us"] = max(1, round(MICRO / rate))
            if "rate_burst" not in held:
                changes["rate_burst"] = math.ceil(rate)
    if given.burst is not None:
        burst = _number("--burst", given.burst)
        limited = changes.get("rate_interval_us", held.get("rate_interval_us"))
        if burst is None or burst < 1 or limited is None:
            raise LimitRefusedError("--burst is 1 or more, beside --requests-per-second.")
        changes["rate_burst"] = _whole("--burst", burst)
    return changes


def _number(option: str, text: str) -> Decimal | None:
    if text == "none":
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(-1)
    if not (number.is_finite() and 0 <= number <= LARGEST):
        raise LimitRefusedError(f"{option} is a number from 0, or none: not {text!r}.")
    return number


def _micro(option: str, dollars: Decimal) -> int:
    if dollars * MICRO != int(dollars * MICRO):
        raise LimitRefusedError(f"{option} has six decimals at most.")
    return int(dollars * MICRO)


def _whole(option: str, number: Decimal) -> int:
    if number != int(number):
        raise LimitRefusedError(f"{option} is a whole number.")
    return int(number)


def _lines(held: dict[str, int]) -> list[str]:
    cap, interval = held.get("monthly_cap"), held.get("rate_interval_us")
    rate = "no limit"
    if interval:
        rate = f"{MICRO / interval:g}, at most {held.get('rate_burst', 1)} at once"
    return [
        f"USD a month          {'no limit' if cap is None else f'{cap / MICRO:.6f}'}",
        f"requests a second    {rate}",
        f"in flight            {held.get('in_flight', 'no limit')}",
    ]


def _table(deployment: Deployment) -> tuple[Any, str]:
    return deployment.client("dynamodb"), deployment.outputs["ControlsTable"]
