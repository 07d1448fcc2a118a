"""Darkroom's functions as AWS runs them, on a simulated clock on which every I/O takes time.

Long-running work is a thread of the timeline: sweeps, and the consumers of queues. Work of less
than a second (submit, webhook, relay) runs at one moment, and its time is added afterwards.

At a scale of 1:k each prediction represents k. Work per prediction takes the sweep k times as long
and counts k times. Work that serves many (a page of the list, a query of the index) takes and
counts as much as in full, and a page shows a hundredth of k as many. Functions have 1/k of their
concurrency.
"""

from __future__ import annotations

import threading
import tracemalloc
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from darkroom.domain import link, signature
from darkroom.replicate.client import Replicate
from darkroom.runtime.function import MOST_FAILURES, declared
from darkroom.services.predictions.tasks import TASK

from tests.scale import times
from tests.scale.replicate import URL, Calls, Http, Run, Upstream
from tests.scale.store import CrowdPredictions
from tests.scale.times import Cost
from tests.support.fakes import FakeClock, FakeSecrets
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from darkroom.services.predictions.sweep import Sweep, Tick

    from tests.scale.endpoints import Callbacks, OutputHost
    from tests.support.simulated import Timeline

TICK_S, EVERY_S = float(declared()["sweep"].timeout_s), 60.0
QUEUES: dict[str, tuple[str, float]] = {
    f"{queue.name.lower()}_queue": (name, float(function.timeout_s))
    for name, function in declared().items()
    for queue in function.queues
    # Here all requests arrive over HTTP.
    if name != "intake"
}
"""By the attribute of the world: the consumer of the messages, and its function's timeout."""
CONCURRENCY = 50
"""Concurrent invocations per queue in the production stage."""
VISIBILITY_FACTOR, MAX_RECEIVES = 6, MOST_FAILURES
RELAYS, BATCH = 40, 25
"""Four shards of the stream, with ten concurrent batches each."""
WEBHOOK_AGAIN_S = (2.0, 5.0, 10.0, 20.0, 25.0)
"""The provider's delays before it repeats a terminal webhook: about a minute in all."""


class Killed(BaseException):
    """The function has timed out."""


class CrowdClock(FakeClock):
    """A clock with an offset for work that runs at one moment."""

    lag = 0.0
    """Milliseconds."""

    def __call__(self) -> int:
        return self.now + int(self.lag)


class _Here(threading.local):
    ends = 1 << 62
    """Time at which the function that runs in this thread is killed."""


class Timed:
    """A port whose calls take the time of the table. No other method may be called."""

    def __init__(self, port: Any, costs: Mapping[str, Cost], spend: Callable[..., None]) -> None:
        self._port, self._costs, self._spend = port, costs, spend

    def __getattr__(self, name: str) -> Any:
        method, cost = getattr(self._port, name), self._costs[name]

        def call(*args: Any, **named: Any) -> Any:
            times_ = 1.0
            if name == "look":
                args = (list(args[0]),)
                times_ = float(len(args[0]))
            self._spend(cost, times_, name)
            return method(*args, **named)

        setattr(self, name, call)
        return call


@dataclass
class CrowdQueue:
    """SQS and its consumers: first come, first served, with a visibility timeout.

    There is no fairness between senders, as in SQS while few messages are in flight.
    """

    cloud: Cloud
    take: Callable[[dict[str, str]], object]
    consumers: int
    timeout_s: float
    busy: int = 0
    waits: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By group, the maximum time that a message waited for a consumer, in milliseconds."""
    dead: int = 0
    sent: int = 0
    _waiting: deque[tuple[int, dict[str, str], str, int]] = field(default_factory=deque)

    def send(self, message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        self.sent += 1
        self.cloud.spend(times.QUEUE, 1.0, "send")
        show = partial(self._show, dict(message), group, 0)
        self.cloud.timeline.after(min(delay_s, 900) + self.cloud.clock.lag / 1000, show)

    def _show(self, message: dict[str, str], group: str, receives: int) -> None:
        self._waiting.append((self.cloud.clock.now, message, group, receives))
        if self.busy < self.consumers:
            self.busy += 1
            self.cloud.timeline.start(self._consume)

    def _consume(self) -> None:
        cloud = self.cloud
        while self._waiting:
            shown, message, group, receives = self._waiting.popleft()
            began = cloud.clock.now
            self.waits[group] = max(self.waits[group], began - shown)
            try:
                cloud.within(self.timeout_s, partial(self.take, message))
            except (Exception, Killed) as error:  # noqa: BLE001 - as the batch's handler does
                cloud.errors[type(error).__name__] += 1
                if receives + 1 == MAX_RECEIVES:
                    self.dead += 1
                    continue
                hidden_s = VISIBILITY_FACTOR * self.timeout_s - (cloud.clock.now - began) / 1000
                again = partial(self._show, message, group, receives + 1)
                cloud.timeline.after(max(0.0, hidden_s), again)
        self.busy -= 1


@dataclass
class Ticks:
    """Measurements of the sweeps."""

    number: int = 0
    killed: int = 0
    failed: int = 0
    lasted_ms: int = 0
    longest_ms: int = 0
    most_left: int = 0
    done: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    peak_bytes: int = 0
    """Maximum memory allocated by one sweep, if it is traced."""


@dataclass
class Cloud:
    """One deployment under load."""

    timeline: Timeline
    scale: int
    parts: int
    page: int
    run_ms: Callable[[int], int]
    outputs: OutputHost
    callbacks: Callbacks
    concurrency: int = CONCURRENCY
    unanswered: Callable[[int], bool] = lambda _number: False
    files: int = 1
    talks: bool = False

    def __post_init__(self) -> None:
        self.clock = CrowdClock(self.timeline.clock.now)
        self.timeline.clock = self.clock
        self.errors: Counter[str] = Counter()
        self.ticks, self.calls, self._here = Ticks(), Calls(), _Here()
        self.webhooks_lost = self.traced = False
        self.told: dict[str, int] = {}
        """Time of the first answer to the task of an ended prediction, by prediction."""
        self.looks = Calls()
        """The provider's answers to refreshes for clients that poll."""
        self.relayed = 0
        """Changes that passed the stream's filter."""
        self._ids = Random(11)  # noqa: S311 - the same ids in every run
        self.store = CrowdPredictions(clock=self.clock, changed=self._changed)
        self.upstream = Upstream(
            self.clock,
            max(1, self.page // self.scale),
            self.run_ms,
            self._announce,
            self.files,
            self.talks,
            unanswered=self.unanswered,
        )
        self._world = World(store=self.store)
        self._wire()
        self._lanes: list[deque[Any]] = [deque() for _ in range(max(1, RELAYS // self.scale))]
        self._relaying = [False] * len(self._lanes)
        link.new_id = self._new_id
        self.timeline.after(EVERY_S, self._every_minute)

    # Wiring

    def _wire(self) -> None:
        world = self._world
        most = max(1, self.concurrency // self.scale)
        takes = {
            "persist": lambda m: self.persist(m["id"], self.remaining_ms),
            "dispatch": self._dispatch,
            "deliver": self._deliver,
        }
        self.queues = {
            name: CrowdQueue(self, takes[function], most, timeout_s)
            for name, (function, timeout_s) in QUEUES.items()
            if hasattr(world, name)
        }
        one = self._ports(each=1)
        for name in (
            *("submit", "cancel", "read", "ask_for_look", "look", "receive", "relay"),
            *("persist", "dispatch", "deliver", "tell_task"),
        ):
            setattr(self, name, _rewired(getattr(world, name), one))
        self.sweep: Sweep = _rewired(world.sweep_service, self._ports(each=self.scale))
        self.tasks, self.bus, self.controls = world.tasks, world.bus, world.controls
        self.webhook = world.webhook

    def _ports(self, each: int) -> dict[int, Any]:
        """Return the ports that replace the fakes; each call takes `each` times its time."""
        world = self._world
        spend = partial(self.spend, each=each)
        controls = _Both(times.CONTROLS_READ, times.CONTROLS_WRITE)
        http = Http(self.upstream, self.calls, spend, self.wait, each)
        ports: dict[int, Any] = {
            id(world.clock): self.clock,
            id(world.store): Timed(world.store, times.STORE, spend),
            id(world.deliveries): Timed(world.deliveries, times.DELIVERIES, spend),
            id(world.controls): Timed(world.controls, controls, spend),
            id(world.outputs): Timed(world.outputs, times.OUTPUTS, spend),
            id(world.bus): Timed(_Bus(), defaultdict(lambda: times.BUS), spend),
            id(world.tasks): Timed(world.tasks, defaultdict(lambda: times.TASKS), spend),
            id(world.provider): Replicate(http, URL, FakeSecrets()),  # type: ignore[arg-type]
            id(world.fetcher): self.outputs,
            id(world.callbacks): self.callbacks,
        }
        for name, queue in self.queues.items():
            ports[id(getattr(world, name))] = _Spent(queue, each)
        return ports

    def _new_id(self, *_: object) -> str:
        letters = "0123456789abcdefghijklmnopqrstuvwxyz"
        return "".join(self._ids.choices(letters, k=26))

    # Time

    def spend(self, cost: Cost, number: float = 1.0, name: str = "", each: int = 1) -> None:
        """Let the call's time pass, within the function's own."""
        ms = cost.ms * number
        if name == "look":
            ms = cost.ms * -(-int(number * each) // 100)
        elif not cost.shared:
            ms *= each
        self.wait(ms / 1000)

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises Killed if the function has timed out."""
        if not self.timeline.sleeps:
            self.clock.lag += seconds * 1000
            return
        left = (self._here.ends - self.clock.now) / 1000
        self.timeline.sleep(max(0.0, min(seconds, left)))
        if seconds > left:
            raise Killed

    def within(self, seconds: float, work: Callable[[], object]) -> None:
        """Run it as a function with that timeout."""
        self._here.ends = self.clock.now + int(seconds * 1000)
        try:
            work()
        finally:
            self._here.ends = 1 << 62

    def remaining_ms(self) -> int:
        """Return the remaining time of the function that runs here."""
        return self._here.ends - self.clock.now

    def at_once(self, work: Callable[[], object]) -> float:
        """Run short work; return its duration in milliseconds."""
        self.clock.lag = 0.0
        try:
            work()
        finally:
            took, self.clock.lag = self.clock.lag, 0.0
        return took

    # Functions

    def _dispatch(self, message: dict[str, str]) -> None:
        if message["action"] == "create":
            self.dispatch.create_upstream(message["id"])
        elif message["action"] == "look":
            if self.look(message["id"]):
                self.looks.note("get", self.clock(), self.scale)
        else:
            self.dispatch.cancel_upstream(message["id"], message["provider_id"])

    def _deliver(self, message: dict[str, str]) -> None:
        if message["event"] == TASK:
            self.tell_task(message["prediction"])
            record = self.store.get(message["prediction"])
            if record and record.state.terminal:
                self.told.setdefault(record.id, self.clock.now)
        else:
            self.deliver(message["prediction"], message["event"])

    def _changed(self, old: Any, new: Any) -> None:
        self.relayed += 1
        lane = int(new["id"]["S"][-6:], 36) % len(self._lanes)
        self._lanes[lane].append((old, new))
        if not self._relaying[lane]:
            self._relaying[lane] = True
            self.timeline.after(0.2 + self.clock.lag / 1000, partial(self._relay, lane))

    def _relay(self, lane: int) -> None:
        waiting = self._lanes[lane]
        batch = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]

        def run() -> None:
            read = self.store.records.of
            for old, new in batch:
                self.relay(read(old) if old else None, read(new))

        took = self.at_once(run)
        self.timeline.after(took / 1000, partial(self._relayed, lane))

    def _relayed(self, lane: int) -> None:
        if self._lanes[lane]:
            self._relay(lane)
        else:
            self._relaying[lane] = False

    def _announce(self, run: Run) -> None:
        lag = self.clock.lag / 1000
        self.timeline.after(lag + 1.1, partial(self._webhook, run, ()))
        done = (run.done_at - run.created_at) / 1000 + 0.1
        self.timeline.after(lag + done, partial(self._webhook, run, WEBHOOK_AGAIN_S))

    def _webhook(self, run: Run, again_s: tuple[float, ...]) -> None:
        if not self.webhooks_lost:
            self.at_once(partial(self._receive, run))
        elif again_s:
            self.timeline.after(again_s[0], partial(self._webhook, run, again_s[1:]))

    def _receive(self, run: Run) -> None:
        id_, _, query = run.webhook.rpartition("/")[2].partition("?")
        body = run.body(self.clock())
        now = self.clock() // 1000
        key = self._world.secrets.webhook_keys()[0]
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(now),
            "webhook-signature": signature.sign("msg_1", now, body, key=key),
        }
        self.receive(id_, query.removeprefix("t="), headers, body)

    def _every_minute(self) -> None:
        self.timeline.after(EVERY_S, self._every_minute)
        for part in range(self.parts):
            self.timeline.start(partial(self.tick, part))

    def tick(self, part: int = 0) -> None:
        """Run one invocation of the sweep."""
        ticks, began = self.ticks, self.clock.now
        ticks.number += 1
        tick: Tick | None = None

        def run() -> None:
            nonlocal tick
            tick = self.sweep(self.remaining_ms, part=part, parts=self.parts)

        if self.traced:
            tracemalloc.start()
        try:
            self.within(TICK_S, run)
        except Killed:
            ticks.killed += 1
        if self.traced:
            ticks.peak_bytes = max(ticks.peak_bytes, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        took = self.clock.now - began
        ticks.lasted_ms += took
        ticks.longest_ms = max(ticks.longest_ms, took)
        if tick is not None:
            ticks.most_left = max(ticks.most_left, tick.left * self.scale)
            ticks.done.update(tick.done)
            ticks.failed += len(tick.failed)
            ticks.unreadable += tick.unreadable
            for error in tick.failed.values():
                self.errors[f"sweep {type(error).__name__}"] += 1


class _Both(dict[str, Cost]):
    """The Controls table: puts and takes are writes, all others are reads."""

    def __init__(self, read: Cost, write: Cost) -> None:
        super().__init__()
        self._read, self._write = read, write

    def __missing__(self, name: str) -> Cost:
        writes = name.startswith(("put", "take", "note", "cache_"))
        return self._write if writes else self._read


class _Bus:
    """Accepts every event and drops it."""

    def publish(self, detail_type: str, detail: dict[str, Any]) -> None:
        """Drop the event."""


@dataclass
class _Spent:
    """A queue as one function sees it: the sweep sends for all predictions that one represents."""

    queue: CrowdQueue
    each: int

    def send(self, message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        """Send once, in the time of one message per represented prediction."""
        if self.each > 1:
            self.queue.cloud.spend(times.QUEUE, float(self.each - 1))
        self.queue.send(message, delay_s, group=group)


def _rewired(value: Any, ports: dict[int, Any]) -> Any:
    """Return a copy of the service with other ports, including the services within it."""
    if id(value) in ports:
        return ports[id(value)]
    if not is_dataclass(value) or isinstance(value, type) or not _service(value):
        return value
    made = replace(
        value, **{f.name: _rewired(getattr(value, f.name), ports) for f in fields(value) if f.init}
    )
    ports[id(value)] = made
    return made


def _service(value: object) -> bool:
    return type(value).__module__.startswith("darkroom.services")
