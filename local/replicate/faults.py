"""Faults on demand: what goes wrong, how often, and which requests are held back meanwhile."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

PROBABILITIES = (
    "webhook_drop",
    "webhook_duplicate",
    "webhook_reorder",
    "webhook_bad_signature",
    "webhook_stale",
    "create_429",
    "create_500",
    "create_accept_then_drop",
    "output_404",
    "output_truncate",
    "output_html",
    "output_oversize",
    "output_slow",
)
VALUES = {
    "webhook_delay_s": 0.0,
    "retry_after_s": 5.0,
    "create_hang_s": 0.0,
    "create_late_s": 0.0,
    "list_lag_s": 0.0,
    "get_404_s": 0.0,
    "time_scale": 1.0,
}
MAX_VALUE = 86_400.0


class FaultsError(Exception):
    """A set of faults with unknown names or values out of range; `problems` maps name to text."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


class Faults:
    """The current set. Probabilities are drawn from one generator, so a seed repeats a run."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._released = asyncio.Event()
        self._set_defaults()

    def _set_defaults(self) -> None:
        self._numbers = dict.fromkeys(PROBABILITIES, 0.0) | VALUES
        self.echo_webhook = True

    def __getitem__(self, name: str) -> float:
        return self._numbers[name]

    def happens(self, name: str) -> bool:
        """Draw once; nothing is drawn for 0, so an unused fault does not shift the others."""
        probability = self._numbers[name]
        return probability > 0 and self._random.random() < probability

    def as_dict(self) -> dict[str, object]:
        """Every name with its present value."""
        return {**self._numbers, "echo_webhook": self.echo_webhook}

    def replace(self, given: object) -> None:
        """Take `given` as the whole set: what it does not name is back at its default.

        Raises FaultsError, and then changes nothing.
        """
        if not isinstance(given, dict):
            raise FaultsError({"": "The set of faults is a JSON object."})
        problems = {name: text for name, value in given.items() if (text := _problem(name, value))}
        if problems:
            raise FaultsError(problems)
        self._set_defaults()
        self.echo_webhook = given.pop("echo_webhook", True)
        self._numbers |= {name: float(value) for name, value in given.items()}

    def reset(self) -> None:
        """Back to the defaults; whatever is held goes on at once."""
        self._set_defaults()
        self._released.set()
        self._released = asyncio.Event()

    async def hold(self, seconds: float) -> None:
        """Wait so long, or until the next reset."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._released.wait()


def _problem(name: str, value: object) -> str | None:
    if name == "echo_webhook":
        return None if isinstance(value, bool) else "echo_webhook is true or false."
    if name not in PROBABILITIES and name not in VALUES:
        return f"There is no fault named {name}."
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"{name} is a number."
    highest = 1.0 if name in PROBABILITIES else MAX_VALUE
    return None if 0 <= value <= highest else f"{name} lies between 0 and {highest:g}."
