"""Limits of a tenant: requests per second, predictions in flight, cost per month."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from darkroom.domain.errors import PaymentRequiredError, TooManyRequestsError
from darkroom.domain.money import Limits, bucket, month_row, reservation, usd

if TYPE_CHECKING:
    from darkroom.domain.errors import LimitReachedError
    from darkroom.domain.money import LedgerEntry
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import Clock, LimitStore, PredictionStore

AGE_MS = 30_000
"""Maximum age of a tenant's cached limits in a process."""
LONGEST_WAIT_S = 60
"""Maximum wait that a client above its limit is told."""
READS_A_SECOND = 20
READS_AT_ONCE = 100
READ_MS = 1000 // READS_A_SECOND
LONGEST_MS = 2 * 86_400_000
"""Maximum time from a prediction's creation to its end: a day until the deadline, plus hours to
find out and store."""
MOST_TENANTS = 1000
"""Maximum number of tenants cached in a process."""
END_USERS = "This end user's"


@dataclass(slots=True)
class TenantLimits:
    """Checks limits. Costs one read of a tenant's row per half minute, and one write for each
    request that itself writes, if the tenant has a rate.

    The limits are exact across all processes, since they are conditions of writes.
    """

    controls: LimitStore
    clock: Clock
    _known: dict[str, tuple[int, Limits]] = field(default_factory=dict)
    _reads: dict[str, int] = field(default_factory=dict)
    """Time in milliseconds up to which a tenant's reads in this process have used their rate."""

    def of(self, tenant: str) -> Limits:
        """Return the tenant's limits, at most half a minute old."""
        now = self.clock()
        known = self._known.get(tenant)
        if known is None or now - known[0] >= AGE_MS:
            if len(self._known) >= MOST_TENANTS:
                self._known.clear()
            known = self._known[tenant] = (now, self.controls.limits(tenant))
        return known[1]

    def admit(self, tenant: str, end_user: str | None = None) -> Limits:
        """Count a request that writes; for a create, also against its end user's rate. Raises
        TooManyRequestsError if a bucket is empty."""
        limits = self.of(tenant)
        if end_user is not None:
            # Before the tenant's, so that a rejected end user takes nothing from the others.
            interval_us, burst = limits.end_user_rate_interval_us, limits.end_user_rate_burst
            self._take(bucket(tenant, end_user), interval_us, burst, END_USERS)
        self._take(tenant, limits.rate_interval_us, limits.rate_burst, "Your")
        return limits

    def _take(self, name: str, interval_us: int | None, burst: int, whose: str) -> None:
        if interval_us is not None:
            wait_us = self.controls.take(name, self.clock() * 1000, interval_us, burst)
            if wait_us:
                raise TooManyRequestsError(-(-wait_us // 1_000_000), whose)

    def admit_read(self, tenant: str) -> None:
        """Count a read of a tenant that has a rate. Raises TooManyRequestsError above the limit.

        Reads have a separate bucket, so that polling does not use up the rate for creates. It
        belongs to this process: a shared bucket would cost a write for each poll, several times the
        poll itself, and the gateway, which could count without one, does not know tenants. An
        environment of the function serves one request at a time, so the limit grows with the
        environments that a tenant keeps busy, and a rejection frees its own at once.
        """
        now = self.clock()
        if len(self._reads) >= MOST_TENANTS:
            self._reads.clear()
        taken = max(self._reads.get(tenant, 0), now)
        full = taken - now > (READS_AT_ONCE - 1) * READ_MS
        if not full:
            self._reads[tenant] = taken + READ_MS
        elif self.of(tenant).rate_interval_us is not None:
            raise TooManyRequestsError(1)


def beside_last_month(limits: Limits, record: Prediction, store: PredictionStore) -> Limits:
    """Return the limits minus predictions still in flight from the month before, which are counted
    in the row of their own month.

    Costs one read in the first days of a month. No prediction is added to a past month, so the
    number may be too large for a moment, but never too small.
    """
    before = month_row(record.tenant, record.created_at - LONGEST_MS)
    if not limits.in_flight or before == month_row(record.tenant, record.created_at):
        return limits
    return replace(limits, in_flight=max(0, limits.in_flight - store.month(before).in_flight))


def check(record: Prediction, limits: Limits) -> None:
    """Reject a prediction for which no month has room. Raises PaymentRequiredError or
    TooManyRequestsError."""
    if limits.in_flight == 0:
        # A month without a row would allow its first prediction.
        raise TooManyRequestsError(LONGEST_WAIT_S)
    for entry in reservation(record, limits):
        if entry.cap is not None and record.price is None:
            raise PaymentRequiredError(
                f"This model has no known price: with {_whose(entry)} monthly cap it cannot run."
            )
        if entry.cap is not None and entry.committed > entry.cap:
            raise _too_dear(entry, spent=0)


def refused(reached: LimitReachedError, typical_ms: int) -> Exception:
    """Return the error for a month without room.

    Only the amount spent is final. Reservations are the maximum of running predictions and are
    released at their ends, so the client may wait for those.
    """
    entry = reached.entry
    if entry.below is not None and reached.spent > entry.below:
        return _too_dear(entry, reached.spent)
    # About when one of the running predictions will end.
    wait_s = max(1, min(LONGEST_WAIT_S, typical_ms // 1000))
    return TooManyRequestsError(wait_s, END_USERS if entry.of_end_user else "Your")


def _whose(entry: LedgerEntry) -> str:
    return "this end user's" if entry.of_end_user else "your account's"


def _too_dear(entry: LedgerEntry, spent: int) -> PaymentRequiredError:
    return PaymentRequiredError(
        f"This prediction may cost up to ${usd(entry.committed):.6f}, and {_whose(entry)} monthly "
        f"cap is ${usd(entry.cap):.6f}, of which ${usd(spent):.6f} is spent."
    )
