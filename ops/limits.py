"""`ops limits`: a tenant's caps, request rates and limits of predictions in flight."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import attribute, from_item, to_item
from darkroom.domain import row_keys
from darkroom.domain.money import MICRO, Limits

from ops import tenants
from ops.keys import check_tenant

if TYPE_CHECKING:
    import argparse

    from ops.deployment import Deployment

NAMES = tuple(limit.name for limit in fields(Limits))
"""Attributes of the tenant's row. An absent attribute means no limit."""
LARGEST = Decimal(1_000_000_000)


class LimitRefusedError(Exception):
    """A limit cannot be set as requested. The text is for the operator."""


def read(dynamodb: Any, table: str, tenant: str) -> dict[str, int]:
    """Return the limits that are set."""
    found = dynamodb.get_item(TableName=table, Key=_key(tenant), ConsistentRead=True)
    row = from_item(found.get("Item", {}))
    return {name: row[name] for name in NAMES if name in row}


def write(dynamodb: Any, table: str, tenant: str, changes: dict[str, int | None]) -> None:
    """Set these limits, remove those that are None, and keep the row's other attributes."""
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
    return to_item({"pk": row_keys.tenant(tenant)})


# The command


def add_parsers(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the commands `limits show|set`."""
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
    users = set_.add_argument_group("of each end user that a create names by end_user")
    users.add_argument("--end-user-monthly-cap-usd", metavar="USD|none", help="as the tenant's")
    users.add_argument("--end-user-creates-per-minute", metavar="R|none", help="on average")
    users.add_argument(
        "--end-user-burst", metavar="B", help="creates at once (default: R, rounded up)"
    )
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
    """Return the attributes that the command line changes. Raises LimitRefusedError."""
    changes: dict[str, int | None] = {}
    for option, name in _CAPS.items():
        text = _given(given, option)
        if text is not None:
            cap = _number(option, text)
            changes[name] = None if cap is None else _micro(option, cap)
    if given.in_flight is not None:
        number = _number("--in-flight", given.in_flight)
        changes["in_flight"] = None if number is None else _whole("--in-flight", number)
    for rate in _RATES:
        changes |= rate.asked(given, held)
    return changes


@dataclass(frozen=True)
class _Rate:
    """A rate limit: its command-line option and its attributes."""

    option: str
    burst_option: str
    prefix: str
    """Prefix of the attributes `rate_interval_us` and `rate_burst`."""
    seconds: int
    """Period in which the number given by the option is allowed."""

    def asked(self, given: argparse.Namespace, held: dict[str, int]) -> dict[str, int | None]:
        """Return the changes that the command line makes to this rate."""
        changes: dict[str, int | None] = {}
        interval_us, most = f"{self.prefix}rate_interval_us", f"{self.prefix}rate_burst"
        text, burst_text = _given(given, self.option), _given(given, self.burst_option)
        if text is not None:
            rate = _number(self.option, text)
            if rate is None:
                changes |= {interval_us: None, most: None}
            else:
                if not Decimal("0.001") <= rate <= 10_000:
                    raise LimitRefusedError(f"{self.option} is 0.001 to 10000, or none.")
                changes[interval_us] = max(1, round(self.seconds * MICRO / rate))
                if most not in held:
                    changes[most] = math.ceil(rate)
        if burst_text is not None:
            burst = _number(self.burst_option, burst_text)
            limited = changes.get(interval_us, held.get(interval_us))
            if burst is None or burst < 1 or limited is None:
                raise LimitRefusedError(f"{self.burst_option} is 1 or more, beside {self.option}.")
            changes[most] = _whole(self.burst_option, burst)
        return changes

    def line(self, held: dict[str, int]) -> str:
        """Return the line that `limits show` prints."""
        interval_us = held.get(f"{self.prefix}rate_interval_us")
        if not interval_us:
            return "no limit"
        burst = held.get(f"{self.prefix}rate_burst", 1)
        return f"{self.seconds * MICRO / interval_us:g}, at most {burst} at once"


_CAPS = {
    "--monthly-cap-usd": "monthly_cap",
    "--end-user-monthly-cap-usd": "end_user_monthly_cap",
}
_RATES = (
    _Rate("--requests-per-second", "--burst", "", 1),
    _Rate("--end-user-creates-per-minute", "--end-user-burst", "end_user_", 60),
)


def _given(given: argparse.Namespace, option: str) -> str | None:
    text: str | None = getattr(given, option.removeprefix("--").replace("-", "_"))
    return text


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
    cap, users_cap = (_cap(held.get(name)) for name in _CAPS.values())
    rate, users_rate = (rate.line(held) for rate in _RATES)
    return [
        f"USD a month          {cap}",
        f"requests a second    {rate}",
        f"in flight            {held.get('in_flight', 'no limit')}",
        "each end user",
        f"  USD a month        {users_cap}",
        f"  creates a minute   {users_rate}",
    ]


def _cap(micro: int | None) -> str:
    return "no limit" if micro is None else f"{micro / MICRO:.6f}"


def _table(deployment: Deployment) -> tuple[Any, str]:
    return deployment.client("dynamodb"), deployment.outputs["ControlsTable"]
