"""The verdict of a row, and the reasons why some rows are not applicable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from ops.checks import FAIL, OK

NOT_AVAILABLE = "n/a"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgment of an observation. Its texts contain no secret."""

    state: str
    text: str
    remedy: str = ""
    table: tuple[tuple[str, ...], ...] = ()
    """Measurements: a line of headings, then lines of values."""

    def showing(self, *lines: tuple[str, ...]) -> Verdict:
        """Return the same verdict with a table."""
        return replace(self, table=lines)


def ok(text: str) -> Verdict:
    """Return a passing verdict."""
    return Verdict(OK, text)


def fail(text: str, remedy: str = "") -> Verdict:
    """Return a failing verdict."""
    return Verdict(FAIL, text, remedy)


class Need(StrEnum):
    """A precondition of a row, with the reason that its n/a gives."""

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
    MCP = "the stage has no door for agents (`doors`)"
    CONSOLE = "the stage has no console (`doors`)"
    OPENAI = "the stage does not serve OpenAI's Images API (`doors`)"
    THUMBNAILS = "the stage makes no thumbnails (`doors`)"
    PLATFORM_LINES = "Lambda writes no lines of its own, and --leave-functions was given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Features of the deployment, and options of the command."""

    embedded: bool
    cdn: bool
    alarms: bool
    cache: bool
    event_source: bool
    receiver: bool
    state_machine: bool
    platform_lines: bool
    wait: bool
    mcp: bool
    openai: bool
    thumbnails: bool
    console: bool

    def lacks(self, need: Need) -> bool:
        """Whether rows with this need are not applicable."""
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
            Need.MCP: not self.mcp,
            Need.OPENAI: not self.openai,
            Need.THUMBNAILS: not self.thumbnails,
            Need.CONSOLE: not self.console,
        }[need]
