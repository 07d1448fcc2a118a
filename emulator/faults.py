"""Faults on demand: kind and probability of each, and requests that are held."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Read = Callable[[object], object]

MAX_SECONDS = 86_400.0
MAX_TAIL_BYTES = 100_000_000


class FaultsError(Exception):
    """A set of faults with unknown names or values out of range; `problems` maps name to text."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


class UnfitError(Exception):
    """A value that a fault does not accept. The text follows the fault's name."""


def _number(highest: float) -> Read:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UnfitError("is a number")
        if not 0 <= value <= highest:
            raise UnfitError(f"lies between 0 and {highest:g}")
        return float(value)

    return read


def _integer(highest: int) -> Read:
    def read(value: object) -> int:
        if type(value) is int and 0 <= value <= highest:
            return value
        raise UnfitError(f"is an integer from 0 to {highest}")

    return read


def _status(value: object) -> int:
    if type(value) is int and (value == 0 or 300 <= value < 600):
        return value
    raise UnfitError("is 0 or an HTTP status from 300 to 599")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UnfitError("is a text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise UnfitError("is true or false")
    return value


def _mode(*modes: str) -> tuple[str, Read]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in modes:
            raise UnfitError(f"is one of: {', '.join(modes)}")
        return value

    return modes[0], read


_PROBABILITY = (0.0, _number(highest=1.0))
_SECONDS = (0.0, _number(highest=MAX_SECONDS))
_STATUS = (0, _status)
_TEXT = ("", _text)

FAULTS: dict[str, tuple[Any, Read]] = {
    "webhook_drop": _PROBABILITY,
    "webhook_duplicate": _PROBABILITY,
    "webhook_reorder": _PROBABILITY,
    "webhook_bad_signature": _PROBABILITY,
    "webhook_stale": _PROBABILITY,
    "create_429": _PROBABILITY,
    "create_500": _PROBABILITY,
    "create_accept_then_drop": _PROBABILITY,
    "output_404": _PROBABILITY,
    "output_truncate": _PROBABILITY,
    "output_html": _PROBABILITY,
    "output_oversize": _PROBABILITY,
    "output_slow": _PROBABILITY,
    "webhook_delay_s": _SECONDS,
    "retry_after_s": (5.0, _number(highest=MAX_SECONDS)),
    "create_hang_s": _SECONDS,
    "create_late_s": _SECONDS,
    "list_lag_s": _SECONDS,
    "get_404_s": _SECONDS,
    "time_scale": (1.0, _number(highest=MAX_SECONDS)),
    "echo_webhook": (True, _flag),
    "create_status": _STATUS,
    "read_status": _STATUS,
    "show_input": _mode("exact", "urls", "known", "rounded", "trimmed", "masked", "empty"),
    "show_version": _mode("true", "hidden", "internal"),
    "status_word": _TEXT,
    "metrics": _mode("full", "none", "text", "large"),
    "completed_at": _TEXT,
    "output_tail": (0, _integer(highest=MAX_TAIL_BYTES)),
    "output_length": _mode("true", "absent"),
    "output_kind": _mode(
        "picture", "svg", "heic", "mov", "webm", "html", "none", "empty", "text", "mapping"
    ),
}
"""Every fault with its default and a function that parses its values, which raises UnfitError."""


class Faults:
    """The current set. Probabilities are drawn from one generator, so a seed repeats a run."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._released = asyncio.Event()
        self._set({})

    def _set(self, given: dict[str, Any]) -> None:
        self._values = {name: default for name, (default, _) in FAULTS.items()} | given

    def __getitem__(self, name: str) -> Any:
        """Return the fault's present value, of the same type as its default."""
        return self._values[name]

    def happens(self, name: str) -> bool:
        """Draw once. Nothing is drawn for 0, so an unused fault does not shift the others'
        draws."""
        probability: float = self[name]
        return probability > 0 and self._random.random() < probability

    def as_dict(self) -> dict[str, object]:
        """Return every name with its present value."""
        return dict(self._values)

    def replace(self, given: object) -> None:
        """Replace the whole set by `given`; names not in it return to their defaults.

        Raises FaultsError, and then changes nothing.
        """
        if not isinstance(given, dict):
            raise FaultsError({"": "The set of faults is a JSON object."})
        values: dict[str, Any] = {}
        problems: dict[str, str] = {}
        for name, value in given.items():
            try:
                values[name] = _read(name, value)
            except UnfitError as error:
                problems[name] = str(error)
        if problems:
            raise FaultsError(problems)
        self._set(values)

    def reset(self) -> None:
        """Return to the defaults and release all held requests."""
        self._set({})
        self._released.set()
        self._released = asyncio.Event()

    async def hold(self, seconds: float) -> None:
        """Wait `seconds`, or until the next reset."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._released.wait()


def _read(name: str, value: object) -> object:
    if name not in FAULTS:
        known = ", ".join(FAULTS)
        raise UnfitError(f"There is no fault named {name}. The known ones are: {known}.")
    _, read = FAULTS[name]
    try:
        return read(value)
    except UnfitError as error:
        raise UnfitError(f"{name} {error}.") from None
