"""What a stage, its tenants and its provider may be like in the proof."""

from __future__ import annotations

from dataclasses import dataclass, fields

from darkroom.domain.money import Limits
from darkroom.domain.timings import Timings

TENANT, OTHER = "acme", "globex"
TOKENS = {TENANT: "dk_proof", OTHER: "dk_other"}
TIMINGS = Timings(unknown_poll_s=240.0)
"""Production's, but for fewer looks at the list: each of them costs the proof a tick."""
AMPLE = Limits(monthly_cap=1_000_000, in_flight=50)
TIGHT = Limits(monthly_cap=5000, in_flight=2, rate_interval_us=500_000, rate_burst=3)
"""The money is enough for one prediction; the rate, for three at once."""


@dataclass(frozen=True, slots=True)
class Config:
    """One combination."""

    echo: bool = False
    """GET and list show the webhook."""
    dedicated: bool = False
    late: bool = False
    """A create whose connection hung may come to be later."""
    lag: bool = False
    """List and GET show a new prediction only after a minute."""
    deaf: bool = False
    """No webhook arrives any more while the schedule is healed: polls and the list are left."""
    free: bool = False
    """The tenant has no limits, and so no month to reserve in."""
    tight: bool = False
    """The tenant's month has room for one prediction."""
    cache: bool = False
    """The stage has a result cache."""

    @property
    def limits(self) -> Limits:
        """The tenant's."""
        if self.free:
            return Limits()
        return TIGHT if self.tight else AMPLE

    def __str__(self) -> str:
        return "-".join(f.name for f in fields(self) if getattr(self, f.name)) or "plain"

    @classmethod
    def read(cls, text: str) -> Config:
        words = text.split("-")
        return cls(**{f.name: f.name in words for f in fields(cls)})
