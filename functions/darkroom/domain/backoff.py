"""Delays between attempts."""

from __future__ import annotations

from darkroom.domain.values import immutable

_DOUBLINGS = 20
"""Number of failures after which a delay stops growing, so that the factor's power stays small."""


@immutable
class Backoff:
    """Delays that grow by a factor with each failure, up to the longest one."""

    first_s: float
    longest_s: float = float("inf")
    factor: float = 2.0
    least: float = 1.0
    """Fraction of the delay at `chance` 0."""
    most: float = 1.0
    """Fraction of the delay at `chance` 1. A difference between the two spreads retries out."""

    def pause_s(self, failures: int, chance: float = 0.0, *, at_least_s: float = 0.0) -> float:
        """Return the delay after a failure that followed so many others.

        `chance` is uniform in [0, 1). `at_least_s` is the minimum that the other side requested.
        """
        pause = min(self.first_s * self.factor ** min(failures, _DOUBLINGS), self.longest_s)
        return max(at_least_s, pause) * (self.least + (self.most - self.least) * chance)
