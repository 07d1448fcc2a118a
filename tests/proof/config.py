"""Variants of a stage, its tenants, its provider and its clocks in the proof."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from darkroom.domain.money import Limits
from darkroom.domain.timings import Timings

TENANT, OTHER = "acme", "globex"
TOKENS = {TENANT: "dk_proof", OTHER: "dk_other"}
TIMINGS = Timings(unknown_poll_s=240.0, default_deadline_s=1800.0)
"""Production's values, except for fewer searches of the list, each of which costs the proof a tick,
and a shorter default deadline, so that a deadline passes within a schedule."""
SLOW = Timings(unknown_poll_s=600.0, poll_max_s=1800.0, claim_s=600.0, default_deadline_s=1800.0)
"""For runs that may take hours, and for records that end by the final deadline only."""
END_USER = "user 7"
"""The end user of some of the tenant's predictions."""
AMPLE = Limits(monthly_cap=1_000_000_000, in_flight=50, end_user_monthly_cap=1_000_000_000)
TIGHT = Limits(
    monthly_cap=10_000,
    in_flight=2,
    rate_interval_us=500_000,
    rate_burst=3,
    end_user_monthly_cap=10_000,
    end_user_rate_interval_us=500_000,
    end_user_rate_burst=2,
)
"""The cap allows one prediction; the rates allow three at once, and two per end user."""

KINDS: dict[str, tuple[str, ...]] = {
    "echo": ("none", "exact", "bare", "cased", "encoded"),
    "show_input": ("exact", "urls", "known", "rounded", "trimmed", "masked", "empty"),
    "show_version": ("true", "hidden", "internal"),
    "status_word": ("", "queued"),
    "body": ("plain", "deep", "surrogate", "nan", "doubled", "digits", "size"),
    "item": ("plain", "junk", "deep", "abyss"),
    "listing": ("whole", "short", "old", "down"),
    "output": ("files", "null", "empty", "absent", "text"),
    "metrics": ("full", "none", "bare", "text", "large", "negative", "endless"),
    "completed_at": ("true", "ancient", "future", "none", "text"),
    "price": ("image", "second", "megapixel", "none"),
    "clocks": ("close", "apart", "fast", "slow"),
    "among": ("ours", "last", "next"),
    "stays": ("", "get", "item", "endpoint", "row"),
}
"""Options with more values than on and off; the first value is the usual one."""


@dataclass(frozen=True, slots=True)
class Config:
    """One combination of options."""

    echo: str = "none"
    """How GET and list show the webhook: as it was sent, without its query, with its host in
    capitals, or percent-encoded."""
    dedicated: bool = False
    late: bool = False
    """A create whose connection hung may take effect later."""
    lag: bool = False
    """List and GET show a new prediction only after a minute."""
    deaf: bool = False
    """No webhook arrives while the schedule is healed, so only polls and the list remain."""
    free: bool = False
    """The tenant has no limits, so no month is reserved."""
    tight: bool = False
    """The tenant's month has room for one prediction."""
    cache: bool = False
    """The stage has a result cache."""
    show_input: str = "exact"
    """How the provider shows an input: data URIs as its own URLs, without names unknown to the
    model, integers beyond 2^53 rounded, texts trimmed or masked, or no input."""
    show_version: str = "true"
    """A requested version is shown, hidden, or hidden under another owner's name."""
    status_word: str = ""
    """Shown in place of `processing`."""
    body: str = "plain"
    """Makes the JSON of the first record's predictions hard to read, or too large."""
    item: str = "plain"
    """An item of the account's list that is no prediction, or nested so deeply that it, or the
    whole page, cannot be read."""
    listing: str = "whole"
    """The list has pages of one item, is a tick old, or is always answered 500."""
    output: str = "files"
    """Shown by a success in place of its output."""
    mends: bool = False
    """The output is shown after some seconds."""
    metrics: str = "full"
    completed_at: str = "true"
    blip: bool = False
    """The second GET of each prediction is answered 404; all others are correct."""
    refused: bool = False
    """Every GET of a prediction is answered 403: `read_status`."""
    grows: bool = False
    """Clients request all events, and outputs and logs grow."""
    patient: bool = False
    """Clients allow a prediction six hours."""
    price: str = "image"
    """How the model is billed; `none` if its price is unknown."""
    surplus: bool = False
    """The provider produces, and bills, more than was requested."""
    clocks: str = "close"
    """Our processes differ by 2 s, or are each 30 s off; the provider's clock is 60 s fast or
    slow."""
    among: str = "ours"
    """Half of the functions are of the previous release, or a record of the next one is due."""
    stays: str = ""
    """A permanent failure: of one record's GET, its item in the list, the client's endpoint, or the
    row of one tenant's month."""

    @property
    def limits(self) -> Limits:
        """The tenant's limits."""
        if self.free:
            return Limits()
        limits = TIGHT if self.tight else AMPLE
        # The previous release has no limits of end users.
        return replace(limits, end_user_monthly_cap=None) if self.among == "last" else limits

    @property
    def timings(self) -> Timings:
        """The stage's timings."""
        lasting = self.patient or self.refused or self.stays == "get" or self.body == "size"
        return SLOW if lasting else TIMINGS

    @property
    def provider_ms(self) -> int:
        """How far the provider's clock is ahead of the true time."""
        return {"fast": 60_000, "slow": -60_000}.get(self.clocks, 0)

    def ahead_ms(self, handler: str) -> int:
        """How far the clock of a handler's process is ahead of the true time.

        The process that starts an attempt is behind, and the one that decides that it is lost is
        ahead, so that the errors add up.
        """
        off = 30_000 if self.clocks == "apart" else 1000
        return -off if handler in _BEHIND else off

    @property
    def off_ms(self) -> int:
        """The maximum difference between two clocks, ours and the provider's."""
        return abs(self.provider_ms) + 2 * abs(self.ahead_ms("sweep"))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the unusual options, as `name` or `name=value`."""
        return tuple(word for f in fields(self) if (word := _word(f.name, getattr(self, f.name))))

    def __str__(self) -> str:
        return "-".join(self.kinds) or "plain"

    @classmethod
    def read(cls, text: str) -> Config:
        words = dict(word.partition("=")[::2] for word in text.split("-"))
        named: dict[str, Any] = {
            f.name: words[f.name] if f.name in KINDS else True
            for f in fields(cls)
            if f.name in words
        }
        for name, value in named.items():
            if name in KINDS and value not in KINDS[name]:
                raise ValueError(f"{name} is none of {KINDS[name]}")
        return cls(**named)


_BEHIND = frozenset({"submit", "intake", "dispatch", "cancel", "persist"})


def every_kind() -> tuple[str, ...]:
    """Return each unusual value, as `Config.kinds` names it."""
    named = [f.name for f in fields(Config)]
    return tuple(
        word
        for name in named
        for value in (KINDS[name][1:] if name in KINDS else (True,))
        if (word := _word(name, value))
    )


def _word(name: str, value: str | bool) -> str:
    if name not in KINDS:
        return name if value else ""
    return "" if value == KINDS[name][0] else f"{name}={value}"
