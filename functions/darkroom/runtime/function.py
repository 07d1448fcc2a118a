"""The words in which the module of a Lambda says everything of it.

Each module of `darkroom.handlers` holds a `FUNCTION`. The gateway's routes, the queues, rights,
sizes and alarms (`infra`), the OpenAPI document and the tests' lists of functions follow from it.

All of it is read at every cold start, so that it is plain data in classes without generated code: a
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
"""Lambda sets it, to how it initializes the function; nobody else does."""
HANDLER = "_HANDLER"
"""Lambda sets it to the handler that the process is for."""

PACKAGE = "darkroom.handlers"
MOST_FAILURES = 5
"""A message of which so many attempts failed goes to the dead-letter queue."""
S = TypeVar("S", bound="Settings")
M = TypeVar("M")


class Route:
    """A route of the HTTP API, `METHOD /path`, and how it is served and described."""

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
    ) -> None:
        self.key = key
        self.run = run
        """Called with what the function is made of and the call; returns the answer's body."""
        self.scope = scope
        """What the caller's API key must allow. None: the route takes no API key."""
        self.status = status
        """Of the answer, where nothing is raised."""
        self.query = query
        """The names that a list's query may have: others are refused. None: any is passed over."""
        self.operation = operation
        """The operation's id in the OpenAPI document; its summary is the docstring of `run`. Empty:
        the route is not for clients, and nothing names it to them."""
        self.answer = answer
        """The type of the answer, as `api/schemas.py` has it: `PageBody[FileBody]`."""
        self.errors = errors
        """The statuses of its problems, besides those that every operation has."""
        self.body = body
        """The schema of the body in the OpenAPI document, or `multipart/form-data`."""
        self.creates = creates
        """It takes the headers of a create and answers with its location."""
        self.redirects = redirects
        """It may answer 303, with where to go on waiting."""


class WorkQueue:
    """A queue whose messages the function takes, and its dead-letter queue."""

    def __init__(self, name: str, *, batch_size: int, max_receives: int = MOST_FAILURES) -> None:
        self.name = name
        """`Dispatch`: the variables are DISPATCH_QUEUE and DISPATCH_DLQ."""
        self.batch_size = batch_size
        self.max_receives = max_receives
        """A message that was received so often goes to the dead-letter queue."""


class Stream:
    """The stream of the table Predictions, as far as a filter lets its changes through."""

    def __init__(self, *, batch_size: int, filters: tuple[dict[str, Any], ...]) -> None:
        self.batch_size = batch_size
        self.filters = filters


class Schedule:
    """Ticks, each in as many parts as the stage has sweeps."""

    def __init__(self, *, minutes: int) -> None:
        self.minutes = minutes


class Right:
    """Actions of one service that the function needs: `dynamodb:GetItem PutItem`.

    `on` names resources as `infra/grants.py` knows them: a table (`predictions`), its index
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
        """The partition keys of the only items that it is for; `*` stands for anything."""
        self.attributes = attributes
        """The only attributes that a write may touch."""
        self.prefixes = prefixes
        """The prefixes of the only objects that a list may show."""
        self.when = when
        """The switch of the stage with which it is needed at all: `dedicated_account`, `no cdn`,
        `door wait`."""


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
        """Of what was written in five minutes."""
        self.says = says
        """What it means that it goes off."""
        self.sums = sums
        """It is on the sum of what was written; else on the most."""
        self.below = below
        """It goes off below the threshold, and where nothing is written at all."""


class Function(Generic[S, M]):
    """One Lambda function: how it is called, made and run, its size, and what it may do."""

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
    ) -> None:
        self.module = module
        self.name = module.rpartition(".")[2]
        self.settings = settings
        """What it reads from its environment; a variable that infra forgets fails at synth."""
        self.build = build
        """Makes what `handle` needs, of the settings and of what makes adapters."""
        self.handle = handle
        """Called with what `build` made, the event and Lambda's context."""
        self.timeout_s = timeout_s
        self.memory_mb = memory_mb
        self.rights = rights
        """What it may do, besides taking messages and changes from where it is fed."""
        self.routes = routes or {}
        """By key. A function without any is one that no client waits for."""
        self.default_route = default_route
        """It also gets the requests that no route of the gateway's is for."""
        self.queues = queues
        self.stream = stream
        self.schedule = schedule
        self.reserve = reserve
        """The field of `infra.config.Concurrency` that says how many invocations are reserved."""
        self.alarms = alarms
        self.door = door
        """The optional part of a stage that it belongs to; None: the core, which all have."""
        self._made: M | None = None

    def made(self) -> M:
        """What the handler runs with: made at the first call, and kept.

        Without the garbage collector: it would walk all of botocore's models several times while
        they are loaded, an eighth of a cold start, and again later; and they stay for good.
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
        """Whether what the handler runs with is made."""
        return self._made is not None

    def forget(self) -> None:
        """Be as in a new process: for tests and the bench."""
        self._made = None

    def handler(self) -> Callable[[dict[str, Any], Any], Any]:
        """The entry for Lambda. Where Lambda loads it, all is made before the first event.

        Lambda gives the initialization a whole processor whatever the function's memory, and an
        invocation a share that goes by it: the same work takes several times as long there.
        Anywhere else the first call makes it, and nothing is read from the environment at import.
        """
        ours = os.environ.get(HANDLER, "").rpartition(".")[0] == self.module
        if ours and INITIALIZATION in os.environ:
            self.made()
        return self.entry(self.made)

    def entry(self, made: Callable[[], M]) -> Callable[[dict[str, Any], Any], Any]:
        """A handler that runs with what `made` returns."""

        @invocation
        def handler(event: dict[str, Any], context: Any) -> Any:
            return self.handle(made(), event, context)

        return handler


@lru_cache(maxsize=1)
def declared() -> Mapping[str, Function[Any, Any]]:
    """Every function by its name, `submit`, and so on.

    Imports all their modules: for synth, documents and tests, and within a function only where a
    request fits none of its own routes.
    """
    import pkgutil
    from importlib import import_module

    names = sorted(found.name for found in pkgutil.iter_modules(import_module(PACKAGE).__path__))
    return {name: import_module(f"{PACKAGE}.{name}").FUNCTION for name in names}
