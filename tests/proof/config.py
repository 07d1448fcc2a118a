"""What a stage, its tenants, its provider and its clocks may be like in the proof."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from darkroom.domain.money import Limits
from darkroom.domain.timings import Timings

TENANT, OTHER = "acme", "globex"
TOKENS = {TENANT: "dk_proof", OTHER: "dk_other"}
TIMINGS = Timings(unknown_poll_s=240.0, default_deadline_s=1800.0)
"""Production's, but for fewer looks at the list, each of which costs the proof a tick, and for a
deadline of the stage's own, so that a deadline passes in a schedule."""
SLOW = Timings(unknown_poll_s=600.0, poll_max_s=1800.0, claim_s=600.0, default_deadline_s=1800.0)
"""For runs that may take hours, and for what ends by the last clock alone."""
END_USER = "user 7"
"""Whom some of the tenant's predictions are made for."""
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
"""The money is enough for one prediction; the rates, for three at once, and two of an end user."""

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
"""What is more than on or off: the first value is the usual one."""


@dataclass(frozen=True, slots=True)
class Config:
    """One combination."""

    echo: str = "none"
    """Whether GET and list show the webhook: as it was sent, without its query, with its host in
    capitals, or percent-encoded."""
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
    show_input: str = "exact"
    """How the provider shows an input: data URIs as URLs of its own, without the names that the
    model does not know, integers beyond 2^53 rounded, texts trimmed or masked, or none of it."""
    show_version: str = "true"
    """A version that was asked for is shown, hidden, or hidden below another owner's name."""
    status_word: str = ""
    """Shown in place of `processing`."""
    body: str = "plain"
    """What makes the JSON of the first record's predictions hard to read, or too large."""
    item: str = "plain"
    """Something in the account's list that is no prediction, or nested so deeply that it, or the
    whole page, cannot be read."""
    listing: str = "whole"
    """The list comes in pages of one, is a tick old, or is answered 500 for good."""
    output: str = "files"
    """What a success shows in place of its output."""
    mends: bool = False
    """The output shows some seconds after all."""
    metrics: str = "full"
    completed_at: str = "true"
    blip: bool = False
    """The second GET of each prediction is answered 404, those before and after it as ever."""
    refused: bool = False
    """Every GET of a prediction is answered 403: `read_status`."""
    grows: bool = False
    """Clients ask for all events, and outputs and logs grow."""
    patient: bool = False
    """Clients let a prediction take six hours."""
    price: str = "image"
    """How the model is billed; `none`: nobody knows."""
    surplus: bool = False
    """The provider makes, and bills, more than was asked for."""
    clocks: str = "close"
    """Our processes differ by 2 s, or are each 30 s off; the provider's is 60 s fast or slow."""
    among: str = "ours"
    """Half of the functions are the last release's, or a record of the next one is due."""
    stays: str = ""
    """What is broken for good: one record's GET, its item in the list, the client's endpoint, or
    the row of one tenant's month."""

    @property
    def limits(self) -> Limits:
        """The tenant's."""
        if self.free:
            return Limits()
        limits = TIGHT if self.tight else AMPLE
        # The last release knows no limits of end users.
        return replace(limits, end_user_monthly_cap=None) if self.among == "last" else limits

    @property
    def timings(self) -> Timings:
        """The stage's."""
        lasting = self.patient or self.refused or self.stays == "get" or self.body == "size"
        return SLOW if lasting else TIMINGS

    @property
    def provider_ms(self) -> int:
        """How far the provider's clock is ahead of the true time."""
        return {"fast": 60_000, "slow": -60_000}.get(self.clocks, 0)

    def ahead_ms(self, handler: str) -> int:
        """How far the clock of a handler's process is ahead of the true time.

        What starts an attempt is behind, and what judges its silence ahead: so both err alike.
        """
        off = 30_000 if self.clocks == "apart" else 1000
        return -off if handler in _BEHIND else off

    @property
    def off_ms(self) -> int:
        """By how much two clocks may differ, ours and the provider's."""
        return abs(self.provider_ms) + 2 * abs(self.ahead_ms("sweep"))

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is not usual, as `name` or `name=value`."""
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
    """Each value that is not usual, as `Config.kinds` names it."""
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
