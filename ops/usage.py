"""`ops usage`: predictions and cost of tenants by day and model, from the Controls table."""

from __future__ import annotations

import json
import re
import sys
import time
from calendar import monthrange
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import from_item, to_item
from darkroom.domain import row_keys
from darkroom.domain.money import MICRO

from ops.keys import check_tenant

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from ops.deployment import Deployment

PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


class UsageRefusedError(Exception):
    """Not a valid month, or an unknown tag. The text is for the operator."""


@dataclass(slots=True)
class Usage:
    """One tenant's month. Amounts are in millionths of a dollar."""

    days: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """Number of predictions and cost, by day and model."""
    ledger: dict[str, int] | None = None
    """`committed`, `spent` and `in_flight`, if the tenant has a cap or an in-flight limit."""

    @property
    def total(self) -> tuple[int, int]:
        """Predictions and cost of the month."""
        rows = [row for models in self.days.values() for row in models.values()]
        return sum(number for number, _ in rows), sum(cost for _, cost in rows)


def usage(
    dynamodb: Any,
    table: str,
    month: str,
    tenant: str | None = None,
    tag: str | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Usage]:
    """Return usage by tenant. For all tenants it reads the whole table, so it is for operators
    only."""
    if tenant:
        rows = _of_tenant(dynamodb, table, month, tenant, tag, sleep)
    else:
        rows = _all(dynamodb, table, month)
    found: defaultdict[str, Usage] = defaultdict(Usage)
    for row in rows:
        kind, whose, when, *of = row.pop("pk").split("#")
        if kind == "SPEND" and of:
            # A ledger of an end user; it is also counted in its tenant's ledger, if there is one.
            continue
        if kind == "SPEND":
            names = ("committed", "spent", "in_flight")
            found[whose].ledger = {name: row.get(name, 0) for name in names}
        else:
            found[whose].days[when] = _models(row)
    for one in found.values():
        one.days = dict(sorted(one.days.items()))
    return dict(sorted(found.items()))


def _models(row: dict[str, Any]) -> dict[str, tuple[int, int]]:
    names = sorted({name.partition(":")[2] for name in row if name[:2] in {"n:", "c:"}})
    return {name: (row.get(f"n:{name}", 0), row.get(f"c:{name}", 0)) for name in names}


def _of_tenant(
    dynamodb: Any,
    table: str,
    month: str,
    tenant: str,
    tag: str | None,
    sleep: Callable[[float], None],
) -> Iterator[dict[str, Any]]:
    year, number = map(int, month.split("-"))
    days = range(1, monthrange(year, number)[1] + 1)
    names = [row_keys.usage(tenant, f"{month}-{day:02}", tag) for day in days]
    if tag is None:
        names.append(row_keys.month(tenant, month))
    keys = [to_item({"pk": name}) for name in names]
    pause_s = PAUSE_S
    while keys:
        answer = dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
        yield from map(from_item, answer["Responses"].get(table, []))
        left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        if len(left) == len(keys):
            # Throttled: an immediate retry would be throttled again.
            sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        keys = left


def _all(dynamodb: Any, table: str, month: str) -> Iterator[dict[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="(begins_with(pk, :usage) OR begins_with(pk, :spend)) AND "
        "contains(pk, :month)",
        ExpressionAttributeValues={
            ":usage": {"S": row_keys.USAGE},
            ":spend": {"S": row_keys.MONTH},
            ":month": {"S": f"#{month}"},
        },
    )
    for page in pages:
        yield from map(from_item, page["Items"])


# The command


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the command `usage`."""
    parser = commands.add_parser(
        "usage", parents=parents, help="predictions and cost by day and model"
    )
    parser.add_argument("--tenant", help="default: all")
    parser.add_argument("--tag", help="what has the tag alone; needs --tenant")
    parser.add_argument("--month", metavar="YYYY-MM", help="in UTC (default: this one)")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=command)


def command(deployment: Deployment, given: argparse.Namespace) -> int:
    """Print one month."""
    month = given.month or f"{datetime.now(UTC):%Y-%m}"
    if not MONTH.fullmatch(month):
        raise UsageRefusedError(f"A month is like 2026-11, and not {month!r}.")
    if given.tenant:
        check_tenant(given.tenant)
    elif given.tag:
        raise UsageRefusedError("A tag is one tenant's: name it by --tenant.")
    dynamodb, table = deployment.client("dynamodb"), deployment.outputs["ControlsTable"]
    found = usage(dynamodb, table, month, given.tenant, given.tag)
    if given.json:
        print(json.dumps({"month": month, "tenants": list(_documents(found))}, indent=2))
        return 0
    if not found:
        print(f"Nothing was made in {month}.", file=sys.stderr)
    print("\n".join(_lines(found)))
    return 0


def _documents(found: dict[str, Usage]) -> Iterable[dict[str, Any]]:
    for tenant, one in found.items():
        number, cost = one.total
        days = [
            {"day": day, "model": model, "predictions": count, "micro_usd": micro}
            for day, models in one.days.items()
            for model, (count, micro) in models.items()
        ]
        ledger = {"ledger": one.ledger} if one.ledger else {}
        yield {"tenant": tenant, "predictions": number, "micro_usd": cost, "days": days, **ledger}


def _lines(found: dict[str, Usage]) -> Iterable[str]:
    for tenant, one in found.items():
        yield tenant
        for day, models in one.days.items():
            for model, (count, micro) in models.items():
                yield f"  {day}  {model:<44}{count:>9}{_usd(micro):>16}"
        count, micro = one.total
        yield f"  {'total':<56}{count:>9}{_usd(micro):>16}"
        if one.ledger:
            reserved = one.ledger["committed"] - one.ledger["spent"]
            yield (
                f"  spent {_usd(one.ledger['spent']).strip()}, reserved {_usd(reserved).strip()}, "
                f"{one.ledger['in_flight']} in flight"
            )


def _usd(micro: int) -> str:
    return f"{micro / MICRO:.6f} USD"
