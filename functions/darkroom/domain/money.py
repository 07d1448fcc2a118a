"""Money: the maximum and actual cost of a prediction, and its effect on a tenant's month.

All amounts are whole millionths of a US dollar. Months and days are those of `created_at`, in UTC.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.domain import price, row_keys, strict_json
from darkroom.domain.outputs import file_texts, places_in
from darkroom.domain.prediction import Code, CreateState, Price, State
from darkroom.domain.times import milliseconds, within
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.domain.model import Model
    from darkroom.domain.prediction import Prediction

MICRO = price.MICRO
MOST_PIXELS = 1_000_000_000
"""A larger declared picture size is not believed, since it is just a number in the file's
header."""
CLOCKS_APART_S = 60
"""A run that is longer than its record exists, by more than this, is not believed."""
OPEN_MODELS_A_DAY = 50
"""Maximum number of models without a price in a tenant's day of usage; further ones are `OTHER`."""
OTHER = "other"

_UNTOLD = frozenset({Code.OUTCOME_UNKNOWN, Code.PROVIDER_LOST})
_MADE = frozenset(
    {Code.OUTPUT_MISSING, Code.OUTPUT_EXPIRED, Code.OUTPUT_REFUSED, Code.OUTPUT_TOO_LARGE}
)
"""Failed in Darkroom, not at the provider."""


@immutable
class Limits:
    """A tenant's limits; None for unlimited."""

    monthly_cap: int | None = None
    in_flight: int | None = None
    """Maximum of predictions in flight."""
    rate_interval_us: int | None = None
    """Average interval between two requests."""
    rate_burst: int = 1
    """Maximum burst of requests."""
    end_user_monthly_cap: int | None = None
    """Cap for each end user that a create names."""
    end_user_rate_interval_us: int | None = None
    """Average interval between two creates for one end user."""
    end_user_rate_burst: int = 1

    @property
    def ledger(self) -> bool:
        """Whether a prediction must be reserved in the tenant's month before it is created."""
        return self.monthly_cap is not None or self.in_flight is not None


@immutable
class LedgerEntry:
    """A change of a month's ledger row, the tenant's or an end user's. It is written in one
    transaction with the record."""

    row: str
    committed: int
    """Spent and reserved amounts together."""
    spent: int
    in_flight: int
    cap: int | None = None
    """Maximum of `committed`."""
    most_in_flight: int | None = None
    of_end_user: bool = False

    @property
    def below(self) -> int | None:
        """Maximum of `committed` before the change."""
        return None if self.cap is None else self.cap - self.committed


def terms_of(
    model: Model,
    given: dict[str, Any],
    limit_s: float,
    pixels: Mapping[str, int] | None = None,
) -> tuple[Price | None, int, tuple[int, ...]]:
    """Return the price fields of a record with this input: `price`, `price_base` and `price_tiers`.

    `pixels` has the sizes of input pictures, if known, by JSON pointer.
    """
    if model.price is None:
        return None, 0, ()
    unit, micro, most, base, tiers = price.terms(model, given, limit_s, pixels or {})
    return Price(unit, micro, most), base, tiers


def price_of(model: Model, given: dict[str, Any], limit_s: float) -> Price | None:
    """Return the price of a prediction with this input, including its maximum."""
    return terms_of(model, given, limit_s)[0]


@immutable
class Cost:
    """Cost of an ended prediction."""

    micro: int | None
    """In millionths of a US dollar; None if its price is unknown."""
    assumed: bool = False
    """The run is unknown, so the cost is the reserved maximum."""


def cost_of(record: Prediction, *, ran: bool, now: int) -> Cost:
    """Return the cost of an ended prediction. `ran`: the provider had reported it as running.

    The cost follows from the provider's reports. Nothing is released without proof: if the run is
    unknown, the cost is the maximum. Never raises, whatever the provider reported.
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
    # Amounts that are billed once are due if the run succeeded.
    return Cost(math.ceil(micro) + record.price_base * made)


def nothing_ran(record: Prediction, *, ran: bool) -> bool:
    """Whether it is proven that nothing ran: no create can have succeeded, or the run never
    started."""
    if record.provider_id is None:
        return record.create.state is CreateState.REFUSED or record.code is Code.REJECTED
    return record.state is State.ABORTED and not ran


def _units(record: Prediction, unit: str, *, made: bool, ran: bool, now: int) -> float | None:
    """Return the number of billed units; None if unknown. `made`: the run succeeded at the
    provider."""
    if record.code in _UNTOLD:
        return None
    if unit == "second":
        return _seconds(record, ran=ran, now=now)
    if not made:
        # It failed or was stopped: files made until then count, but their sizes are unknown.
        files = _files(record)
        return None if files and unit in price.OUT else float(files * (unit != "prediction"))
    if unit == "prediction":
        return 1.0
    if unit == "image":
        # A success without visible files still made some.
        return float(_files(record)) or None
    sizes = _sizes(record)
    known = sizes and all(sizes)
    return sum(price.megapixels(unit, size) for size in sizes) if known else None


def _by_tiers(record: Prediction, *, made: bool) -> float | None:
    """Return the sum of each picture's tier; the highest tier for unknown sizes."""
    sizes = _sizes(record)[: _files(record)]
    unknown = [0] * (_files(record) - len(sizes))
    costs = [price.tier(record.price_tiers, size or None) for size in (*sizes, *unknown)]
    return sum(costs) if costs or not made else None


def _files(record: Prediction) -> int:
    """Return the number of files it has made, as far as known."""
    if record.state is State.SUCCEEDED:
        return places_in(record.output)
    return len(file_texts(record.output, record.places))


def _sizes(record: Prediction) -> list[int]:
    """Return the sizes of the stored files in pixels; 0 if unknown or implausible."""
    sizes = [(file.width or 0) * (file.height or 0) for file in record.files]
    return [size if 0 < size <= MOST_PIXELS else 0 for size in sizes]


def _seconds(record: Prediction, *, ran: bool, now: int) -> float | None:
    """Return the measured time if plausible, or else the time from start to end, limited to what is
    possible."""
    measured: Any = (record.metrics or {}).get("predict_time")
    longest = (now - record.created_at) / 1000 + CLOCKS_APART_S
    number = isinstance(measured, int | float) and not isinstance(measured, bool)
    # Compared before it is converted, since it may be an integer of any size.
    if number and 0 <= measured <= longest:
        return float(measured)
    started, completed = milliseconds(record.started_at), milliseconds(record.completed_at)
    if started is not None and completed is not None and 0 <= completed - started <= longest * 1000:
        # Both come from one clock, so its offset from ours does not matter.
        return (completed - started) / 1000
    if started is not None:
        begun = within(started, record.created_at, now)
        return (within(completed, begun, now) - begun) / 1000
    return None if ran or record.finished_at or record.code in _MADE else 0.0


def reservation(record: Prediction, limits: Limits) -> tuple[LedgerEntry, ...]:
    """Return the new record's entries in its months."""
    most = committed(record)
    return tuple(
        LedgerEntry(row, most, 0, 1, limits.monthly_cap, limits.in_flight)
        if row == record.ledger
        else LedgerEntry(row, most, 0, 1, limits.end_user_monthly_cap, of_end_user=True)
        for row in months(record)
    )


def settlement(old: Prediction, new: Prediction) -> tuple[LedgerEntry, ...]:
    """Return the entries of a prediction's end in its months. It is written once, with the change
    itself."""
    if old.state.terminal or not new.state.terminal:
        return ()
    change = committed(new) - committed(old)
    return tuple(LedgerEntry(row, change, new.cost or 0, -1) for row in months(new))


def months(record: Prediction) -> list[str]:
    """Return the Controls rows with a prediction's reservation, and later its cost: its tenant's
    month and its end user's, as far as those are limited."""
    tenants = [record.ledger] if record.ledger else []
    if record.end_user_ledger:
        return [*tenants, month_row(record.tenant, record.created_at, record.end_user)]
    return tenants


def committed(record: Prediction) -> int:
    """Return the amount that counts against the month: the reserved maximum while the prediction
    runs, its actual cost afterwards."""
    if record.state.terminal:
        return record.cost or 0
    return record.price.most if record.price else 0


def month_row(tenant: str, at_ms: int, end_user: str | None = None) -> str:
    """Return the Controls row of a tenant's month, or of one of its end users'."""
    digest = None if end_user is None else strict_json.digest(end_user)
    return row_keys.month(tenant, f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m}", digest)


def bucket(tenant: str, end_user: str) -> str:
    """Return the name of the token bucket for an end user's creates."""
    return f"{tenant}#{strict_json.digest(end_user)}"


def day_rows(record: Prediction) -> list[str]:
    """Return the Controls rows that count the end of a prediction: its tenant's day of usage, and
    that day's row of each of its tags."""
    day = f"{datetime.fromtimestamp(record.created_at // 1000, UTC):%Y-%m-%d}"
    return [row_keys.usage(record.tenant, day, tag) for tag in (None, *record.tags)]


def usd(micro: int | None) -> float | None:
    """Format an amount as US dollars, to the millionth."""
    return None if micro is None else micro / MICRO
