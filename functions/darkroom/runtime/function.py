"""The vocabulary in which the module of a Lambda declares everything about it.

Each module of `darkroom.handlers` has a `FUNCTION`. The gateway's routes, the queues, rights, sizes
and alarms (`infra`), the OpenAPI document and the tests' lists of functions follow from it.

All of it is loaded at every cold start, so it is plain data in classes without generated code: a
dataclass compiles its methods each time, which takes half a millisecond.
"""

from __future__ import annotations

import gc
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from darkroom.runtime.observability import invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from darkroom.runtime.adapters import Adapters
    from darkroom.runtime.settings import Settings

INITIALIZATION = "AWS_LAMBDA_INITIALIZATION_TYPE"
"""Set by Lambda only, to the kind of initialization."""
HANDLER = "_HANDLER"
"""Set by Lambda to the handler of the process."""

PACKAGE = "darkroom.handlers"
LOCK = "requirements.txt"
"""Lock file of the asset that most functions share."""
MOST_FAILURES = 5
"""Failed attempts after which a message goes to the dead-letter queue."""
S = TypeVar("S", bound="Settings")
M = TypeVar("M")


class Route:
    """A route of the HTTP API, `METHOD /path`, with its serving function and its description."""

    def __init__(
        self,
        key: str,
        run: Callable[..., Any],
        *,
        scope: str | None,
        status: int = 200,
        query: tuple[str, ...] | None = None,
        operation: str = "",
        answer: str = "",
        errors: tuple[int, ...] = (),
        body: str = "",
        creates: bool = False,
        redirects: bool = False,
        bare: tuple[int, ...] = (),
        own_errors: tuple[int, ...] = (),
    ) -> None:
        self.key = key
        self.run = run
        """Called with what `build` returned and the call; returns the answer's body."""
        self.scope = scope
        """The scope that the caller's API key needs; `keys.ANY` accepts every key. None: the route
        takes no API key."""
        self.status = status
        """Status of the answer if nothing is raised."""
        self.query = query
        """The names that a list's query may have; others are rejected. None ignores unknown
        names."""
        self.operation = operation
        """The operation's id in the OpenAPI document; its summary is the docstring of `run`. Empty
        for a route that is not for clients and is never shown to them."""
        self.answer = answer
        """The type of the answer in `api/schemas.py`, such as `PageBody[FileBody]`."""
        self.errors = errors
        """The statuses of its problems, besides those of every operation."""
        self.body = body
        """The class of the body in api/bodies.py."""
        self.creates = creates
        """Whether it takes the headers of a create and answers with its location."""
        self.redirects = redirects
        """Whether it may answer 303, with the URL to continue waiting."""
        self.bare = bare
        """Statuses of further answers, which have no body."""
        self.own_errors = own_errors
        """Statuses of errors whose body has the type `answer` instead of a problem."""


class WorkQueue:
    """A queue whose messages the function handles, and its dead-letter queue."""

    def __init__(self, name: str, *, batch_size: int, max_receives: int = MOST_FAILURES) -> None:
        self.name = name
        """For `Dispatch`, the variables are DISPATCH_QUEUE and DISPATCH_DLQ."""
        self.batch_size = batch_size
        self.max_receives = max_receives
        """Receives after which a message goes to the dead-letter queue."""


class Stream:
    """The stream of the table Predictions, filtered."""

    def __init__(self, *, batch_size: int, filters: tuple[dict[str, Any], ...]) -> None:
        self.batch_size = batch_size
        self.filters = filters


class Schedule:
    """Ticks, each in as many parts as the stage has sweeps."""

    def __init__(self, *, minutes: int) -> None:
        self.minutes = minutes


class Right:
    """Actions of one service that the function needs: `dynamodb:GetItem PutItem`.

    `on` names resources as in `infra/grants.py`: a table (`predictions`), its index
    (`predictions/due`), a bucket's objects (`outputs/*`), a secret (`link_key`), a queue
    (`dispatch_queue`), `bus`, `state_machines`.
    """

    def __init__(
        self,
        actions: str,
        *on: str,
        keys: tuple[str, ...] = (),
        attributes: tuple[str, ...] = (),
        prefixes: tuple[str, ...] = (),
        when: str = "",
    ) -> None:
        self.actions = actions
        self.on = on
        self.keys = keys
        """The partition keys of the only items that it covers; `*` is a wildcard."""
        self.attributes = attributes
        """The only attributes that a write may touch."""
        self.prefixes = prefixes
        """The prefixes of the only objects that a list may show."""
        self.when = when
        """The switch of the stage that makes it necessary, by its name in `StageConfig.switches`:
        `dedicated_account`, `no cdn`, `door wait`."""


class Alarm:
    """An alarm on a metric that the function writes, by its name in the runbook."""

    def __init__(
        self,
        name: str,
        metric: str,
        threshold: int,
        says: str,
        *,
        sums: bool = True,
        below: bool = False,
    ) -> None:
        self.name = name
        self.metric = metric
        self.threshold = threshold
        """Threshold for the values of five minutes."""
        self.says = says
        """The meaning of the alarm, for the operator."""
        self.sums = sums
        """Whether the alarm uses the sum of the values, or else their maximum."""
        self.below = below
        """Whether it goes off below the threshold, and if nothing is written at all."""


class Function(Generic[S, M]):
    """One Lambda function: its triggers, how it is built and run, its size, and its rights."""

    def __init__(
        self,
        module: str,
        *,
        settings: type[S],
        build: Callable[[S, Adapters], M],
        handle: Callable[[M, dict[str, Any], Any], Any],
        timeout_s: int,
        rights: tuple[Right, ...],
        memory_mb: int = 512,
        routes: Mapping[str, Route] | None = None,
        default_route: bool = False,
        queues: Sequence[WorkQueue] = (),
        stream: Stream | None = None,
        schedule: Schedule | None = None,
        reserve: str = "",
        alarms: tuple[Alarm, ...] = (),
        door: str | None = None,
        lock: str = LOCK,
        behind_cdn: bool = False,
    ) -> None:
        self.module = module
        self.name = module.rpartition(".")[2]
        self.settings = settings
        """The class of its environment; a variable that infra forgets fails at synth."""
        self.build = build
        """Builds what `handle` needs from the settings and the adapters."""
        self.handle = handle
        """Called with what `build` returned, the event and Lambda's context."""
        self.timeout_s = timeout_s
        self.memory_mb = memory_mb
        self.rights = rights
        """Its rights, besides receiving messages and changes from its triggers."""
        self.routes = routes or {}
        """Its routes by key. No client waits for a function without any."""
        self.default_route = default_route
        """Whether it also gets the requests that match no route of the gateway."""
        self.queues = queues
        self.stream = stream
        self.schedule = schedule
        self.reserve = reserve
        """The field of `infra.config.Concurrency` with its reserved invocations."""
        self.alarms = alarms
        self.door = door
        """The optional part of a stage that it belongs to; None for the core, which all stages
        have."""
        self.lock = lock
        """The lock file of its asset's dependencies, next to the package."""
        self.behind_cdn = behind_cdn
        """Whether, in a stage with a CDN, it is the CDN's origin and has no routes."""
        self._made: M | None = None

    def made(self) -> M:
        """Return what the handler runs with; built at the first call, and kept.

        The garbage collector is disabled meanwhile. It would walk all of botocore's models several
        times while they are loaded, an eighth of a cold start, and again later, although they are
        never freed.
        """
        if self._made is None:
            from darkroom.runtime.adapters import Adapters

            gc.disable()
            try:
                self._made = self.build(self.settings.from_env(), Adapters())
            finally:
                gc.freeze()
                gc.enable()
        return self._made

    @property
    def is_ready(self) -> bool:
        """Whether the handler's objects are built."""
        return self._made is not None

    def forget(self) -> None:
        """Return to the state of a new process, for tests and the bench."""
        self._made = None

    def handler(self) -> Callable[[dict[str, Any], Any], Any]:
        """Return the entry point for Lambda. When Lambda loads it, everything is built before the
        first event.

        Lambda gives the initialization a whole processor, and an invocation a share by the
        function's memory, where the same work takes several times as long. Elsewhere, the first
        call builds it, and nothing is read from the environment at import.
        """
        ours = os.environ.get(HANDLER, "").rpartition(".")[0] == self.module
        if ours and INITIALIZATION in os.environ:
            self.made()
        return self.entry(self.made)

    def entry(self, made: Callable[[], M]) -> Callable[[dict[str, Any], Any], Any]:
        """Return a handler that runs with what `made` returns."""

        @invocation
        def handler(event: dict[str, Any], context: Any) -> Any:
            return self.handle(made(), event, context)

        return handler


@lru_cache(maxsize=1)
def declared() -> Mapping[str, Function[Any, Any]]:
    """Return every function by its name, such as `submit`.

    Imports all their modules: for synth, documents and tests, and in a function only for a request
    that matches none of its own routes.
    """
    import pkgutil
    from importlib import import_module

    names = sorted(found.name for found in pkgutil.iter_modules(import_module(PACKAGE).__path__))
    return {name: import_module(f"{PACKAGE}.{name}").FUNCTION for name in names}
