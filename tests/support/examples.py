"""How many examples a property is tried with: a profile's, of which these are the names.

`few` shows that another version of Python does the same, `usual` is what every run of the tests
does, the same ones each time, and `many` looks for new ones, for as long as it takes.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

FEW, USUAL, MANY = 10, 30, 500


# A slow machine is no failure: no example has a deadline, nor has the drawing of one.
_ANY_PACE: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


def register() -> None:
    """Make the profiles known, and take the usual one until another is asked for."""
    settings.register_profile("few", max_examples=FEW, derandomize=True, **_ANY_PACE)
    settings.register_profile("usual", max_examples=USUAL, derandomize=True, **_ANY_PACE)
    settings.register_profile("many", max_examples=MANY, **_ANY_PACE)
    settings.load_profile("usual")


def one_in(number: int) -> settings:
    """One in so many of the profile's examples, for a property of which each takes long."""
    return settings(max_examples=max(2, settings().max_examples // number))
