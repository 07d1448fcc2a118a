"""A tenant's spending in the current month, and the rest of its cap."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.domain.money import month_row, usd
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.ports import Clock, PredictionStore
    from darkroom.services.tenants.limits import TenantLimits
    from darkroom.services.tenants.usage import Usage


@immutable
class Spending:
    """Combines the usage of the month's days with the tenant's month row, if it has a cap.

    Both are read with eventual consistency, so they can be of different moments.
    """

    usage: Usage
    limits: TenantLimits
    store: PredictionStore
    clock: Clock

    def __call__(self, tenant: str) -> dict[str, Any]:
        """Return the current UTC month. Reservations are known only for a tenant with a cap."""
        now = self.clock()
        month = f"{datetime.fromtimestamp(now // 1000, UTC):%Y-%m}"
        used = self.usage(tenant, f"{month}-01", None)
        cap = self.limits.of(tenant).monthly_cap
        held = self.store.month(month_row(tenant, now)) if cap is not None else None
        left = None if held is None or cap is None else max(0, cap - held.committed)
        models: dict[str, tuple[int, float]] = {}
        for row in used["results"]:
            number, cost = models.get(row["model"], (0, 0))
            models[row["model"]] = number + row["predictions"], cost + row["cost"]
        return {
            "month": month,
            "predictions": used["predictions"],
            "spent_usd": usd(held.spent) if held else used["cost"],
            "reserved_usd": usd(held.committed - held.spent) if held else None,
            "cap_usd": usd(cap),
            "remaining_usd": usd(left),
            "by_model": [
                {"model": model, "predictions": number, "cost": round(cost, 6)}
                for model, (number, cost) in sorted(models.items())
            ],
        }
