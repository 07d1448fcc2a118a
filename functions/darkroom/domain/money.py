"""Money: what a prediction may cost, what it did cost, and what that does to a tenant's month.

All amounts are whole millionths of a US dollar. Months and days are those of `created_at`, in UTC.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.domain import price, row_keys, strict_json
from darkroom.domain.outputs import file_texts, places_in
from darkroom.domain.prediction import Code, CreateState, Price, State
from darkroom.domain.times import milliseconds, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.domain.model import Model
    from darkroom.domain.prediction import Prediction

MICRO = price.MICRO
MOST_PIXELS = 1_000_000_000
"""A picture that says that it is larger is not believed: its size is a number in its head."""
CLOCKS_APART_S = 60
"""A run that is longer than its record is old, by more than this, was not measured."""
OPEN_MODELS_A_DAY = 50
"""Models without a price that a tenant's day of usage names; what comes after them is `OTHER`."""
OTHER = "other"

_UNTOLD = frozenset({Code.OUTCOME_UNKNOWN, Code.PROVIDER_LOST})
_MADE = frozenset(
    {Code.OUTPUT_MISSING, Code.OUTPUT_EXPIRED, Code.OUTPUT_REFUSED, Code.OUTPUT_TOO_LARGE}
)
"""It failed with us, not with the provider."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a tenant may do; None: without limit."""

    monthly_cap: int | None = None
    in_flight: int | None = None
    """Predictions that are not over, at most."""
    rate_interval_us: int | None = None
    """Between two requests, on average."""
    rate_burst: int = 1
    """Requests at once, at most."""
    end_user_monthly_cap: int | None = None
    """Of each end user that a create names, whoever it is."""
    end_user_rate_interval_us: int | None = None
    """Between two creates for one of them, on average."""
    end_user_rate_burst: int = 1

    @property
    def ledger(self) -> bool:
        """True where a prediction must be entered in the tenant's month before it is created."""
        return self.monthly_cap is not None or self.in_flight is not None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A change of a month, the tenant's or an end user's. It is written in one transaction with the
    record's own."""

    row: str
    committed: int
    """Spent and reserved together."""
    spent: int
    in_flight: int
    cap: int | None = None
    """`committed` must not pass it."""
    most_in_flight: int | None = None
    of_end_user: bool = False

    @property
    def below(self) -> int | None:
        """`committed` before the change, at most."""
        return None if self.cap is None else self.cap - self.committed


def terms_of(
    model: Model,
    given: dict[str, Any],
    limit_s: float,
    pixels: Mapping[str, int] | None = None,
) -> tuple[Price | None, int, tuple[int, ...]]:
    """What a record of this input keeps of its price: `price`, `price_base` and `price_tiers`.

    `pixels` are those of the given pictures whose size is known, by JSON pointer.
    """
    if model.price is None:
        return None, 0, ()
    unit, micro, most, base, tiers = price.terms(model, given, limit_s, pixels or {})
    return Price(unit, micro, most), base, tiers


def price_of(model: Model, given: dict[str, Any], limit_s: float) -> Price | None:
    """The price that a prediction of this input has, and the most that it can come to."""
    return terms_of(model, given, limit_s)[0]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a prediction that is over has cost."""

    micro: int | None
    """In millionths of a US dollar; None where its price is unknown."""
    assumed: bool = False
    """Nobody knows what ran: it is the most that was reserved."""


def cost_of(record: Prediction, *, ran: bool, now: int) -> Cost:
    """What a prediction that is over has cost. `ran`: the provider had said that it was running.

    Settled from what the provider said of it. Nothing is let go without proof: where nobody knows
    what ran, it has cost the most that it could. Total: no word of the provider's raises.
    """
    terms = record.price
    if terms is None:
        return Cost(None)
    if nothing_ran(record, ran=ran):
        return Cost(0)
    made = record.finished_at is not None or record.code in _MADE
    if record.price_tiers and record.code not in _UNTOLD:
        micro: float | None = _by_tiers(record, made=made)
    else:
        units = _units(record, terms.unit, made=made, ran=ran, now=now)
        micro = None if units is None else units * terms.micro
    if micro is None:
        return Cost(terms.most, assumed=True)
    # What is paid once, whatever is made, is paid where the run succeeded.
    return Cost(math.ceil(micro) + record.price_base * made)


def nothing_ran(record: Prediction, *, ran: bool) -> bool:
    """True on proof: no create can have come to be, or the provider never started it."""
    if record.provider_id is None:
        return record.create.state is CreateState.REFUSED or record.code is Code.REJECTED
    return record.state is State.ABORTED and not ran


def _units(record: Prediction, unit: str, *, made: bool, ran: bool, now: int) -> float | None:
    """How many units the provider bills; None where that is not known. `made`: with the provider,
    it succeeded."""
    if record.code in _UNTOLD:
        return None
    if unit == "second":
        return _seconds(record, ran=ran, now=now)
    if not made:
        # It failed or was stopped: what it had made by then counts, and nobody told its size.
        files = _files(record)
        return None if files and unit in price.OUT else float(files * (unit != "prediction"))
    if unit == "prediction":
        return 1.0
    if unit == "image":
        # A success that shows no picture has made some all the same.
        return float(_files(record)) or None
    sizes = _sizes(record)
    known = sizes and all(sizes)
    return sum(price.megapixels(unit, size) for size in sizes) if known else None


def _by_tiers(record: Prediction, *, made: bool) -> float | None:
    """By the size of each picture, the dearest where that is not known."""
    sizes = _sizes(record)[: _files(record)]
    unknown = [0] * (_files(record) - len(sizes))
    costs = [price.tier(record.price_tiers, size or None) for size in (*sizes, *unknown)]
    return sum(costs) if costs or not made else None


def _files(record: Prediction) -> int:
    """How many files it has made, as far as is known."""
    if record.state is State.SUCCEEDED:
        return places_in(record.output)
    return len(file_texts(record.output, record.places))


def _sizes(record: Prediction) -> list[int]:
    """Of the stored files, in pixels; 0 where a size is unknown, or not to be believed."""
    sizes = [(file.width or 0) * (file.height or 0) for file in record.files]
    return [size if 0 < size <= MOST_PIXELS else 0 for size in sizes]


def _seconds(record: Prediction, *, ran: bool, now: int) -> float | None:
    """What was measured, where that can be; else from start to end, within what is possible."""
    measured = json.loads(record.metrics or "{}").get("predict_time")
    longest = (now - record.created_at) / 1000 + CLOCKS_APART_S
    number = isinstance(measured, int | float) and not isinstance(measured, bool)
    # Compared before it is converted: it may be an integer of any size.
    if number and 0 <= measured <= longest:
        return float(measured)
    started, completed = milliseconds(record.started_at), milliseconds(record.completed_at)
    if started is not None and completed is not None and 0 <= completed - started <= longest * 1000:
        # One clock wrote both: how far it is from ours does not matter.
        return (completed - started) / 1000
    if started is not None:
        begun = within(started, record.created_at, now)
        return (within(completed, begun, now) - begun) / 1000
    return None if ran or record.finished_at or record.code in _MADE else 0.0


def reservation(record: Prediction, limits: Limits) -> tuple[LedgerEntry, ...]:
    """What the new record does to its months."""
    most = committed(record)
    return tuple(
        LedgerEntry(row, most, 0, 1, limits.monthly_cap, limits.in_flight)
        if row == record.ledger
        else LedgerEntry(row, most, 0, 1, limits.end_user_monthly_cap, of_end_user=True)
        for row in months(record)
    )


def settlement(old: Prediction, new: Prediction) -> tuple[LedgerEntry, ...]:
    """What the end of a prediction does to its months: once, with the change itself."""
    if old.state.terminal or not new.state.terminal:
        return ()
    change = committed(new) - committed(old)
    return tuple(LedgerEntry(row, change, new.cost or 0, -1) for row in months(new))


def months(record: Prediction) -> list[str]:
    """The Controls rows that hold a prediction's reservation, and then its cost: its tenant's month
    and its end user's, as far as those are limited."""
    tenants = [record.ledger] if record.ledger else []
    if record.end_user_ledger:
        return [*tenants, month_row(record.tenant, record.created_at, record.end_user)]
    return tenants


def committed(record: Prediction) -> int:
    """What a record stands for in its months: the most that it can come to, and from its end on its
    cost."""
    if record.state.terminal:
        return record.cost or 0
    return record.price.most if record.price else 0


def month_row(tenant: str, at_ms: int, end_user: str | None = None) -> str:
    """The Controls row of a tenant's month, or of one of its end users'."""
    digest = None if end_user is None else strict_json.digest(end_user)
    return row_keys.month(tenant, f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m}", digest)


def bucket(tenant: str, end_user: str) -> str:
    """The name of the bucket that an end user's creates are taken from."""
    return f"{tenant}#{strict_json.digest(end_user)}"


def day_rows(record: Prediction) -> list[str]:
    """The Controls rows in which the end of a prediction is counted: its tenant's day of usage, and
    that day's row of each of its tags."""
    day = f"{datetime.fromtimestamp(record.created_at // 1000, UTC):%Y-%m-%d}"
    return [row_keys.usage(record.tenant, day, tag) for tag in (None, *record.tags)]


def usd(micro: int | None) -> float | None:
    """An amount as it is shown: US dollars, to the millionth."""
    return None if micro is None else micro / MICRO
