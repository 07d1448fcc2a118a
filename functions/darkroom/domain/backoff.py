"""How long to wait before something that failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass

_DOUBLINGS = 20
"""Beyond so many failures a pause grows no more, and no number is too large to be multiplied."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that grow by a factor with each failure, up to the longest one."""

    first_s: float
    longest_s: float = float("inf")
    factor: float = 2.0
    least: float = 1.0
    """Share of the pause that is waited where chance is 0."""
    most: float = 1.0
    """Share where chance is 1, so that a crowd does not come again at once."""

    def pause_s(self, failures: int, chance: float = 0.0, *, at_least_s: float = 0.0) -> float:
        """Return the pause after so many failures before this one.

        `chance` is uniform in [0, 1). `at_least_s` is the pause that the other side asked for.
        """
        pause = min(self.first_s * self.factor ** min(failures, _DOUBLINGS), self.longest_s)
        return max(at_least_s, pause) * (self.least + (self.most - self.least) * chance)
