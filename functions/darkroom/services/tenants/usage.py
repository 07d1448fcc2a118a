"""A tenant's predictions and cost by day and model: all of them, or those with a tag."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from darkroom.domain.errors import BadRequestError
from darkroom.domain.money import usd
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.ports import Clock, UsageStore

DAYS = 30
"""Number of days returned if the request names none."""
MOST_DAYS = 100
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@immutable
class Usage:
    """Makes one batch read of the days' rows, eventually consistent.

    A prediction is counted once, soon after its end, on the UTC day of its creation.
    """

    controls: UsageStore
    clock: Clock

    def __call__(
        self, tenant: str, first: str | None, last: str | None, tag: str | None = None
    ) -> dict[str, Any]:
        """Return usage from `first` to `last` (`yyyy-mm-dd`), inclusive. Raises BadRequestError."""
        today = datetime.fromtimestamp(self.clock() // 1000, UTC).date()
        end = _day(last, "to") if last is not None else today
        start = _day(first, "from") if first is not None else end - timedelta(days=DAYS - 1)
        length = (end - start).days + 1
        if not 1 <= length <= MOST_DAYS:
            raise BadRequestError(f"`from` to `to` are 1 to {MOST_DAYS} days.")
        days = [(start + timedelta(days=number)).isoformat() for number in range(length)]
        found = self.controls.usage(tenant, days, tag)
        results = [
            {"day": day, "model": model, "predictions": number, "cost": usd(cost)}
            for day in days
            for model, (number, cost) in sorted(found.get(day, {}).items())
        ]
        rows = [row for day in found.values() for row in day.values()]
        return {
            "from": days[0],
            "to": days[-1],
            **({"tag": tag} if tag is not None else {}),
            "predictions": sum(number for number, _ in rows),
            "cost": usd(sum(cost for _, cost in rows)),
            "results": results,
        }


def _day(text: str, name: str) -> date:
    day = None
    if _DAY.fullmatch(text):
        with suppress(ValueError):
            day = date.fromisoformat(text)
    if day is None or not 2000 <= day.year <= 2999:
        raise BadRequestError(f"`{name}` is a day of this age: yyyy-mm-dd.")
    return day
