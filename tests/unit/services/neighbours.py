"""Two tenants' endpoints on the simulated clock: the effect of a bad one on its neighbor.

On the simulated clock of tests/support/simulated.py, attempts and AWS take their time, five
consumers take messages in the order of arrival, and a sweep runs every minute. This is SQS's worst
case, because its fairness between tenants with many messages in flight is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from darkroom.aws.items import prediction_item
from darkroom.domain.errors import TransferFailedError
from darkroom.domain.lifecycle import effects
from darkroom.ports import CallbackAnswer
from darkroom.services.callbacks.owed import EnqueueOwed
from darkroom.services.predictions.tasks import TASK

from tests.support.fakes import START
from tests.support.simulated import FirstComeQueue, Timeline
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

CONSUMERS = 5
AWS_S = 0.03
"""Duration of AWS calls per message, whatever its result."""
GOOD = "https://good.test/hook"
MANY = 400
BOUND_S = 30.0
"""One unforeseeable attempt that hangs, and the postponement of all that wait behind it."""
MOST_CALLS = 20
"""Maximum calls of a dead endpoint in the observed minutes."""
DEAD = ("hangs", "hangs under a path for each", "fails at once")
Answer = tuple[float, int | None]
"""Seconds that an attempt takes, and its status; None for no answer."""


@dataclass
class Receiving:
    """Every client's endpoint: `bad` answers for all hosts except the good one."""

    timeline: Timeline
    bad: Callable[[str], Answer]
    told_at: dict[str, int] = field(default_factory=dict)
    posts: list[tuple[int, str]] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0
    """Concurrent attempts at bad endpoints, after the first minute."""

    def post(self, url: str, headers: dict[str, str], _body: bytes) -> CallbackAnswer:
        """Take the endpoint's time."""
        seconds, status = (0.1, 200) if url == GOOD else self.bad(url)
        self.posts.append((self.timeline.clock.now, url))
        self.busy += url != GOOD
        if self.timeline.clock.now - START > 60_000:
            self.most_busy = max(self.most_busy, self.busy)
        self.timeline.sleep(seconds)
        self.busy -= url != GOOD
        if status is None:
            raise TransferFailedError("no answer")
        if 200 <= status < 300:
            self.told_at.setdefault(headers["webhook-id"], self.timeline.clock.now)
        return CallbackAnswer(status)


@dataclass
class Crowd:
    """Darkroom's deliver function as AWS runs it."""

    timeline: Timeline
    bad: Callable[[str], Answer]

    def __post_init__(self) -> None:
        self.world = World()
        self.timeline.clock = self.world.clock
        self.start = self.world.clock.now
        self.receiving = Receiving(self.timeline, self.bad)
        self.queues = {
            name: FirstComeQueue(self.timeline, CONSUMERS, self._take)
            for name in ("deliver", "tasks")
        }
        self.asked_at: dict[str, int] = {}
        world = self.world
        self.deliver = replace(
            world.deliver,
            sender=self.receiving,
            queue=self.queues["deliver"],
            # Spread, but equal in each run.
            random=lambda: (len(self.receiving.posts) * 0.618 + world.clock.now * 0.0377) % 1,
        )
        self.owed = EnqueueOwed(
            world.deliveries, world.store, self.queues["deliver"], world.clock, world.timings
        )
        self.run_effects = replace(
            world.relay.run_effects,
            deliver=self.queues["deliver"],
            tasks_queue=self.queues["tasks"],
        )
        record = world.accept(webhook=GOOD, webhook_events=("completed",))
        world.provider.finish(str(record.provider_id), "failed")
        world.webhook(record.id, str(record.provider_id))
        self.failed = world.record(record.id)
        world.store.items.clear()
        self.timeline.after(60, self._tick)

    def end(self, tenant: str, url: str, task: str | None = None) -> str:
        """Let a prediction of the tenant fail, so that its callback is pending."""
        world = self.world
        record = replace(
            self.failed, id=f"{len(world.store):026d}", tenant=tenant, webhook=url, task_token=task
        )
        world.store.items[record.id] = prediction_item(record)
        if task:
            world.tasks.waiting.add(task)
        self.run_effects(record, effects(None, record))
        self.asked_at[f"{record.id}_completed"] = world.clock.now
        return record.id

    def good_ones(self, number: int, every_s: float) -> None:
        """Create another tenant's predictions, one after the other, each with a task."""
        for each in range(number):
            task = f"token-{each}"
            self.timeline.after(each * every_s, partial(self.end, "good", GOOD, task))

    def _take(self, message: dict[str, str]) -> None:
        """Work as the function's handler does."""
        self.timeline.sleep(AWS_S)
        prediction, event = message["prediction"], message["event"]
        if event == TASK:
            self.world.tell_task(prediction)
            self.receiving.told_at.setdefault(f"{prediction}_task", self.world.clock.now)
        else:
            self.deliver(prediction, event)

    def _tick(self) -> None:
        self.owed(lambda: 55_000)
        self.timeline.after(60, self._tick)

    def waits_s(self, what: str) -> list[float]:
        """Return the delays of the good tenant's callbacks that waited longer than the bound."""
        now, found = self.world.clock.now, []
        for name, at in self.asked_at.items():
            id_ = name.partition("_")[0]
            if self.world.record(id_).tenant == "good" and now - at > BOUND_S * 1000:
                told = self.receiving.told_at.get(f"{id_}_{what}", now)
                found.append((told - at) / 1000)
        return found


def hangs(_url: str) -> Answer:
    return 15.0, None


def is_slow(_url: str) -> Answer:
    return 14.0, 200


KINDS: dict[str, tuple[Callable[[int], str], Callable[[str], Answer]]] = {
    "hangs": (lambda _: "https://bad.test/hook", hangs),
    "is slow": (lambda _: "https://bad.test/hook", is_slow),
    "hangs under a path for each": (lambda n: f"https://bad.test/hook/{n}", hangs),
    "hangs under a name for each": (lambda n: f"https://h{n}.bad.test/hook", hangs),
    "is slow under a name for each": (lambda n: f"https://h{n}.bad.test/hook", is_slow),
    "hangs for one in three": (
        lambda n: f"https://bad.test/hook?job={n}",
        lambda url: hangs(url) if int(url.partition("=")[2]) % 3 == 0 else (0.1, 200),
    ),
    "fails at once": (lambda _: "https://bad.test/hook", lambda _: (0.05, 503)),
}


def bad_neighbour(timeline: Timeline, kind: str) -> None:
    """Assert the guarantees for the neighbors of one kind of bad endpoint."""
    url, bad = KINDS[kind]
    crowd = Crowd(timeline, bad)
    for number in range(MANY):
        crowd.end("bad", url(number))
    crowd.good_ones(60, every_s=12)
    timeline.run(800)
    callbacks, tasks = crowd.waits_s("completed"), crowd.waits_s("task")
    assert len(callbacks) == len(tasks) == 60
    assert max(callbacks) <= BOUND_S
    # Only the callbacks during the first hanging attempts had to wait at all.
    assert sorted(callbacks)[-4] <= 1
    assert max(tasks) <= 1
    # Its share of five consumers is one of them.
    assert crowd.receiving.most_busy <= 1
    # The cost is low: each waiting callback is received less than once a minute, and a dead
    # endpoint is called about as often as one with a single callback.
    assert crowd.queues["deliver"].sent <= MANY * 20
    posts = [url for _, url in crowd.receiving.posts if url != GOOD]
    assert kind not in DEAD or len(posts) <= MOST_CALLS
