"""What a row of the report says, and why some rows cannot be there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from ops.checks import FAIL, OK

NOT_AVAILABLE = "n/a"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from what was seen. Its texts hold nothing secret."""

    state: str
    text: str
    remedy: str = ""
    table: tuple[tuple[str, ...], ...] = ()
    """What was measured: a line of headings, then the values."""

    def showing(self, *lines: tuple[str, ...]) -> Verdict:
        """The same with a table."""
        return replace(self, table=lines)


def ok(text: str) -> Verdict:
    """As it should be."""
    return Verdict(OK, text)


def fail(text: str, remedy: str = "") -> Verdict:
    """Not as it should be."""
    return Verdict(FAIL, text, remedy)


class Need(StrEnum):
    """What a row cannot be without, and the reason that its n/a gives."""

    LAMBDA = "the embedded cloud starts and times functions in its own way"
    GATEWAY = "the embedded cloud's gateway writes no access log"
    CDN = "the stage has no CDN"
    ALARMS = "the stage has no alarms (`observability`)"
    CACHE = "the stage keeps no results for equal requests (`result_cache`)"
    EVENT_SOURCE = "the stage takes no events (`event_sources`)"
    RECEIVER = (
        "nothing takes callbacks: give --receiver URL; the embedded cloud needs "
        "DARKROOM_LOCAL_CALLBACKS=1"
    )
    STATE_MACHINE = "no --state-machine was given"
    WAIT = "the stage lets nobody wait (`doors`)"
    PLATFORM_LINES = "Lambda writes no lines of its own, and --leave-functions was given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the deployment has, and what the command was given."""

    embedded: bool
    cdn: bool
    alarms: bool
    cache: bool
    event_source: bool
    receiver: bool
    state_machine: bool
    platform_lines: bool
    wait: bool

    def lacks(self, need: Need) -> bool:
        """Whether rows that need it are n/a."""
        return {
            Need.LAMBDA: self.embedded,
            Need.GATEWAY: self.embedded,
            Need.CDN: not self.cdn,
            Need.ALARMS: not self.alarms,
            Need.CACHE: not self.cache,
            Need.EVENT_SOURCE: not self.event_source,
            Need.RECEIVER: not self.receiver,
            Need.STATE_MACHINE: not self.state_machine,
            Need.PLATFORM_LINES: not self.platform_lines,
            Need.WAIT: not self.wait,
        }[need]
