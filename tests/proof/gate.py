"""The fault gate: counts every I/O of a handler's run, and injects faults there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.domain.errors import (
    ProviderSilentError,
    ProviderUnavailableError,
    TransferFailedError,
    UnavailableError,
)

from tests.support.fakes import Crash

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_RUN = 120
"""Maximum I/Os of a run, because retries within a run are bounded (I12)."""

ENDINGS = ("kill-before", "kill-after", "error", "timeout", "slow")
"""Faults of any I/O: the process dies before or after it; it fails without effect (a throttle or a
server error: the services see an exception either way); it has its effect but no answer; or it has
its effect and is answered just before its time budget ends."""
CREATES = (
    *("late", "hang", "drop", "429", "500", "500-created", "401", "403", "409", "413"),
    *("refuse", "garbage"),
)
"""Additional faults of a create; `late` takes effect upstream as a separate step."""
SPECIAL = {
    "provider.create": ("kill-before", "kill-after", *CREATES),
    "provider.get": (*ENDINGS, "404"),
    "provider.token_works": ("kill-before", "kill-after", "slow"),
    "provider.cancel": (*ENDINGS, "404"),
    "store.commit": (*ENDINGS, "conflict"),
    "store.claim": (*ENDINGS, "conflict"),
    "store.mark_effects_done": (*ENDINGS, "conflict"),
    "store.look": (*ENDINGS, "stale"),
    "store.due": ("kill-before", "kill-after", "error", "slow", "stale"),
    "fetcher.open": ("kill-before", "kill-after", "error", "slow", "cut", "break"),
    "sender.post": (*ENDINGS, "status500", "status410"),
}


PURE = frozenset({"fetcher.serves"})
"""Methods of a port without I/O, in which no process dies."""
SLOW_MS = {"provider": 5_000, "fetcher": 60_000, "sender": 15_000}
AWS_SLOW_MS = 20_000
"""A call to AWS and its two repetitions, which connect within 2 s and read for 5 s each."""
TIMEOUT_MS = {
    "submit": 15_000,
    "cancel": 15_000,
    "webhook": 10_000,
    "deliveries": 10_000,
    "sweep": 55_000,
    "persist": 120_000,
}
"""Lambda's timeout of a function; a minute for the others."""


class Violation(BaseException):
    """A violated invariant. Not an Exception, so that no handler catches it."""


def check(holds: bool, what: str) -> None:
    """Raise Violation unless it holds."""
    if not holds:
        raise Violation(what)


class OutageError(Exception):
    """AWS's rejection or silence, as an adapter passes it on."""


def timeout_ms(run: Run) -> int:
    """Return Lambda's timeout of the run."""
    return TIMEOUT_MS.get(run.handler, 60_000)


def phases(site: str) -> tuple[str, ...]:
    """Return the faults that exist at `port.method`."""
    return SPECIAL.get(site, ENDINGS)


def _failure(port: str) -> Exception:
    match port:
        case "provider":
            return ProviderUnavailableError("down")
        case "fetcher" | "sender":
            return TransferFailedError("no answer")
        case "secrets":
            return UnavailableError("down")
    return OutageError(port)


@dataclass
class Run:
    """One run of one handler: its I/O so far, and the faults planned by their number."""

    handler: str
    plan: dict[int, str]
    at: dict[str, str] = field(default_factory=dict)
    """Faults planned by site, for its first call, or, as `site#n`, for its nth; numbers shift when
    the product changes."""
    began: int = 0
    trace: list[str] = field(default_factory=list)


class Gate:
    """All ports of the product are called through `io`."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.seen: set[tuple[str, str]] = set()
        """(handler, site): all I/O of all runs."""
        self.hit: set[tuple[str, str, str]] = set()
        """(handler, site, phase): all faults that happened."""
        self.nest: Callable[[str], None] = lambda _steps: None
        self.choose: Callable[[Run, str], str | None] | None = None
        """Draws faults during a run, which are added to the run's plan."""
        self.drawn: dict[int | str, str] = {}
        self.wait: Callable[[int], None] = lambda _ms: None
        """Lets so much time pass."""
        self.watch: Callable[[str], None] | None = None
        """Called with each I/O, for a readable trace."""

    def io(self, port: str, method: str, do: Callable[..., Any], args: Any, named: Any) -> Any:
        """Do one call to a port, or the planned fault instead."""
        run = self.runs[-1]
        number = len(run.trace)
        site = f"{port}.{method}"
        if number >= LONGEST_RUN:
            raise Violation(f"I12 {run.handler} does more than {LONGEST_RUN} I/Os in one run")
        run.trace.append(site)
        self.seen.add((run.handler, site))
        fault = run.plan.get(number)
        if fault is None and run.at:
            fault = run.at.pop(site, None) or run.at.pop(f"{site}#{run.trace.count(site)}", None)
        if fault is None and self.choose is not None and len(self.runs) == 1:
            fault = self.choose(run, site)
            if fault is not None:
                run.plan[number] = self.drawn[number] = fault
        if self.watch:
            self.watch(f"{'  ' * len(self.runs)}{number} {site} {fault or ''}")
        if fault is None:
            return do(*args, **named)
        if fault.startswith("nest="):
            self.nest(fault.removeprefix("nest="))
            return do(*args, **named)
        self.hit.add((run.handler, site, fault))
        return self._faulty(fault, port, do, args, named)

    def _faulty(self, fault: str, port: str, do: Callable[..., Any], args: Any, named: Any) -> Any:
        match fault:
            case "kill-before":
                raise Crash
            case "kill-after":
                do(*args, **named)
                raise Crash
            case "error":
                raise _failure(port)
            case "timeout":
                do(*args, **named)
                if port == "provider":
                    self.wait(SLOW_MS[port])
                    raise ProviderSilentError("no answer")
                raise _failure(port)
            case "slow":
                done = do(*args, **named)
                self.wait(SLOW_MS.get(port, AWS_SLOW_MS))
                return done
        # The remaining faults change the answer itself, which the double implements.
        return do(*args, **named, fault=fault)


class Gated:
    """A port behind the gate. `name` is the services' name for it."""

    def __init__(self, name: str, target: Any, gate: Gate) -> None:
        self._name, self._target, self._gate = name, target, gate

    def __getattr__(self, method: str) -> Callable[..., Any]:
        do: Callable[..., Any] = getattr(self._target, method)
        if f"{self._name}.{method}" in PURE:
            return do
        io, name = self._gate.io, self._name

        def call(*args: Any, **named: Any) -> Any:
            return io(name, method, do, args, named)

        self.__dict__[method] = call
        return call
