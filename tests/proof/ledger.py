"""I14: the required content of a tenant's month and usage, at every write and at quiescence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from darkroom.domain.money import Limits, day_rows, month_row
from darkroom.domain.prediction import Code, State
from darkroom.ports import Month

from tests.proof.bill import billed
from tests.proof.config import TENANT
from tests.proof.gate import check

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction, Price

    from tests.proof.cloud import Cloud
    from tests.proof.config import Config
    from tests.proof.upstream import Up


def balanced(cloud: Cloud) -> None:
    """Check that each row agrees with the records, and that no reservation exceeded the cap."""
    months: dict[str, Month] = {}
    days: dict[str, dict[str, tuple[int, int]]] = {}
    for record in cloud.records():
        for row in _rows(record):
            months[row] = _with(months.get(row, Month()), record)
        if record.counted:
            check(record.state.terminal, "I14 counted before its end")
            for row in day_rows(record):
                day = days.setdefault(row, {})
                number, cost = day.get(record.model, (0, 0))
                day[record.model] = number + 1, cost + (record.cost or 0)
    stored = cloud.store.months
    limits = cloud.config.limits
    for row in months.keys() | stored.keys():
        is_, ought = stored.get(row, Month()), months.get(row, Month())
        check(is_ == ought, f"I14 the month says {is_}, its records {ought}")
        cap = limits.end_user_monthly_cap if row.count("#") > 2 else limits.monthly_cap
        held = cap is None or is_.committed <= cap or cloud.config.surplus
        check(held, "I14 more is reserved than the cap allows")
    check(cloud.store.days == days, f"I14 usage says {cloud.store.days}, the records {days}")


def _rows(record: Prediction) -> list[str]:
    """Return the months that must include the record."""
    of_user = month_row(record.tenant, record.created_at, record.end_user)
    held = (record.ledger, of_user if record.end_user_ledger else None)
    return [row for row in held if row]


def _with(month: Month, record: Prediction) -> Month:
    cost = record.cost or 0
    most = record.price.most if record.price else 0
    over = record.state.terminal
    return Month(
        month.committed + (cost if over else most),
        month.spent + (cost if over else 0),
        month.in_flight + (not over),
    )


def entered(cloud: Cloud, record: Prediction) -> None:
    """Check that a new record is entered in its tenant's month and its end user's, if those are
    limited."""
    limits = cloud.config.limits if record.tenant == TENANT else Limits()
    made = record.cached_from is None
    held = (record.ledger is not None) == (limits.ledger and made)
    check(held, "I14 a record without its reservation")
    users = record.end_user is not None and limits.end_user_monthly_cap is not None
    held = record.end_user_ledger == (users and made)
    check(held, "I14 a record without its reservation in its end user's month")
    capped = limits.monthly_cap is not None
    priced = record.price is not None or record.cached_from is not None
    check(priced or not capped, "I14 a model without a price runs under a cap")


def settled(
    record: Prediction, price: Price | None, own: Up | None, made: list[Up], *, surplus: bool
) -> None:
    """Check a record that just ended, and its price until then.

    `own` is its upstream prediction, `made` the others of its creates; with `surplus` the provider
    bills more than was requested.
    """
    cost = record.cost
    if record.cached_from is not None:
        check(cost == 0, "I14 a copy costs something")
        return
    check((cost is None) == (price is None), "I14 a cost without a price, or the reverse")
    if cost is None or price is None:
        return
    check(cost >= 0, "I14 less than nothing is charged")
    check(cost <= price.most or surplus, "I14 more is charged than was reserved")
    if record.code in {Code.OUTCOME_UNKNOWN, Code.PROVIDER_LOST}:
        check(cost == price.most, "I14 released, though nobody knows what ran")
    if cost == 0:
        check(not made, "I14 released, though something was created")
        check(own is None or own.status != "succeeded", "I14 released, though it ran")
    if record.state is State.SUCCEEDED:
        check(cost > 0, "I14 a success for nothing")


def closed(cloud: Cloud) -> None:
    """Check that nothing is reserved any more, and that the usage includes everything that
    ended."""
    for month in cloud.store.months.values():
        check(month.committed == month.spent, "I14 money is reserved for what is over")
        check(month.in_flight == 0, "I14 something is in flight for ever")
    for record in cloud.records():
        check(record.counted, f"I14 {record.id} is in no usage")
        up = cloud.upstream.ups.get(record.provider_id or "")
        if up is not None and record.cost is not None:
            _as_billed(cloud, record, up)


def _as_billed(cloud: Cloud, record: Prediction, up: Up) -> None:
    """Check the cost against the provider's bill of the record's own prediction, or at least as
    much if the provider shows too little.

    The bill shares no code with the product's calculation.
    """
    bill = billed(up)
    check(bill is not None, "I14 a cost where nobody knows the price")
    is_, ought = record.cost or 0, math.ceil(bill or 0)
    if _told_of_all(cloud.config, record, up):
        check(abs(is_ - ought) <= 1, f"I14 billed are {ought}, charged {is_}")
    else:
        check(is_ >= ought or cloud.config.surplus, f"I14 billed are {ought}, charged only {is_}")


def _told_of_all(config: Config, record: Prediction, up: Up) -> bool:
    """Whether everything that the bill counts was ever shown to us."""
    if record.code in {Code.OUTCOME_UNKNOWN, Code.PROVIDER_LOST}:
        return False
    unit = config.price
    if unit == "second":
        timed = config.completed_at == "true" or config.metrics == "full"
        return config.metrics != "bare" and timed
    if up.status != "succeeded":
        return unit != "megapixel" or not up.grown
    kept = record.state is State.SUCCEEDED
    return kept if unit == "megapixel" else kept or record.output is not None
