"""The rows of the report, in the order in which they are checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ops.live import behind, calls, platform, upstream
from ops.live.verdict import NOT_AVAILABLE, Facts, Need, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ops.live.run import Run

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Row(Generic[Seen]):
    """One fact that a run verifies."""

    name: str
    settles: str
    """The assumption or open question that this row answers."""
    look: Callable[[Run], Seen]
    judge: Callable[[Seen], Verdict]
    """A pure function that judges the observation."""
    needs: tuple[Need, ...] = ()

    def missing(self, facts: Facts) -> Verdict | None:
        """Return n/a if the deployment or the command lacks something that the row needs."""
        lacking = next((need for need in self.needs if facts.lacks(need)), None)
        return Verdict(NOT_AVAILABLE, lacking.value) if lacking else None


ROWS: tuple[Row[Any], ...] = (
    Row(
        "default route",
        "what no route serves is a 404 or 405, and never a 500",
        calls.see_unserved,
        calls.judge_unserved,
    ),
    Row(
        "upload",
        "files through the API, and by a form that S3 takes",
        calls.see_upload,
        calls.judge_upload,
    ),
    Row(
        "stored",
        "a prediction succeeds, and its files are in the bucket",
        calls.see_stored,
        calls.judge_stored,
    ),
    Row(
        "output, presigned",
        "S3 serves an output for a signature, and not without",
        calls.see_presigned,
        calls.judge_read,
    ),
    Row(
        "output, CDN",
        "CloudFront may read the bucket, by the condition of its policy",
        calls.see_cdn,
        calls.judge_read,
        (Need.CDN,),
    ),
    Row(
        "cache hit",
        "an equal request is answered from the store",
        calls.see_hit,
        calls.judge_hit,
        (Need.CACHE,),
    ),
    Row(
        "door wait",
        "the end of a prediction is waited for, with a key and by its watch URL",
        calls.see_wait,
        calls.judge_wait,
        (Need.WAIT,),
    ),
    Row(
        "door mcp",
        "an agent makes a picture and is shown it, with a key alone",
        calls.see_mcp,
        calls.judge_mcp,
        (Need.MCP,),
    ),
    Row(
        "door openai",
        "a picture is asked for in OpenAI's words, and got by its redirects",
        calls.see_openai,
        calls.judge_openai,
        (Need.OPENAI,),
    ),
    Row(
        "door thumbnails",
        "a picture is made small at the first look, without a key and not by another's URL",
        calls.see_thumbnails,
        calls.judge_thumbnails,
        (Need.THUMBNAILS,),
    ),
    Row(
        "door console",
        "the console is served, and its policy lets it show pictures and send uploads",
        calls.see_console,
        calls.judge_console,
        (Need.CONSOLE,),
    ),
    Row("cancel", "a cancel arrives at Replicate", calls.see_cancel, calls.judge_cancel),
    Row(
        "deadline",
        "`Cancel-After` ends a prediction here and at Replicate",
        calls.see_deadline,
        calls.judge_deadline,
    ),
    Row("lists", "filters by tag, end user, status, model", calls.see_lists, calls.judge_lists),
    Row(
        "webhook",
        "Replicate's webhooks arrive, signed and linked",
        behind.see_hooks,
        behind.judge_hooks,
    ),
    Row(
        "webhook echo",
        "whether Replicate shows a prediction's webhook",
        upstream.see_echo,
        upstream.judge_echo,
    ),
    Row(
        "input and version",
        "how Replicate shows them, and that the sweep knows its own by it",
        upstream.see_shown,
        upstream.judge_shown,
    ),
    Row(
        "empty filter",
        "what `webhook_events_filter: []` means at Replicate, and how it shows unknown inputs",
        upstream.see_filter,
        upstream.judge_filter,
    ),
    Row(
        "relay's filter",
        "the stream invokes the relay for changes with effects alone",
        behind.see_relay,
        behind.judge_relay,
    ),
    Row(
        "callback",
        "a client's webhook is called, and signed",
        behind.see_callback,
        behind.judge_callback,
        (Need.RECEIVER,),
    ),
    Row(
        "intake queue",
        "a message, as a state machine sends it, makes a prediction",
        behind.see_queue,
        behind.judge_requested,
    ),
    Row(
        "event",
        "an event on the bus makes a prediction",
        behind.see_event,
        behind.judge_requested,
        (Need.EVENT_SOURCE,),
    ),
    Row(
        "task",
        "a state machine's task is answered",
        behind.see_task,
        behind.judge_task,
        (Need.STATE_MACHINE,),
    ),
    Row("sweep", "the schedule runs it", behind.see_sweep, behind.judge_sweep),
    Row(
        "functions",
        "every function was invoked",
        platform.see_invoked,
        platform.judge_invoked,
        (Need.PLATFORM_LINES,),
    ),
    Row(
        "rights",
        "every function has the rights that it needs",
        platform.see_denied,
        platform.judge_denied,
    ),
    Row(
        "cold starts",
        "init does the work of a cold start, and memory suffices",
        platform.see_times,
        platform.judge_cold,
        (Need.LAMBDA, Need.PLATFORM_LINES),
    ),
    Row(
        "billed durations",
        "those that `ops cost` reckons with",
        platform.see_times,
        platform.judge_billed,
        (Need.LAMBDA, Need.PLATFORM_LINES),
    ),
    Row(
        "waiting",
        "`assumed_ms` of bench/durations.json",
        platform.see_times,
        platform.judge_waiting,
        (Need.LAMBDA, Need.PLATFORM_LINES),
    ),
    Row(
        "access log",
        "the gateway writes to a group of the class Infrequent Access",
        platform.see_access_log,
        platform.judge_access_log,
        (Need.GATEWAY,),
    ),
    Row(
        "CDN key rotation",
        "CloudFront takes a third key in a place that held one",
        platform.see_keys,
        platform.judge_keys,
        (Need.CDN,),
    ),
    Row(
        "alarms",
        "they are there, and none is ringing",
        platform.see_alarms,
        platform.judge_alarms,
        (Need.ALARMS,),
    ),
)

EMBEDDED_LACKS = (
    "output, CDN",
    "task",
    "cold starts",
    "billed durations",
    "waiting",
    "access log",
    "CDN key rotation",
    "alarms",
)
"""The reason that `ops live --local` gives for n/a, because callbacks may go to this machine
there."""
