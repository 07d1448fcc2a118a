"""The possible next steps: of clients, the provider, AWS and the clock."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.proof.clients import Clients
from tests.proof.doubles import RECEIVES, Message
from tests.proof.follows import grows, starts
from tests.proof.gate import check
from tests.proof.requests import asked, record_id
from tests.proof.shows import FINAL
from tests.proof.webhooks import Plan, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.proof.gate import Run

GROWS = 2
"""Maximum number of times that an output or a log grows."""
QUEUES = {"p": "persist", "d": "dispatch", "c": "deliver", "t": "tasks_queue", "i": "intake"}
HANDLERS = {"tasks_queue": "deliver"}
"""Handlers of the queues that are not named after them."""


@dataclass
class World(Clients):
    """All steps, and which of them are possible now."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cloud.gate.nest = self._nested

    def step(self, step: Step) -> Run | None:
        """Take one step; return the run of its handler, if it has one. Raises Violation."""
        if self.said:
            self.said(f"{(self.cloud.clock.now // 1000) % 100_000}s  {step}")
        name, *numbers = step.name.split(".")
        return _STEPS[name](self, numbers, dict(step.plan))  # type: ignore[no-any-return]

    def _nested(self, steps: str) -> None:
        """Take other steps while a handler waits for its I/O."""
        for name in steps.split("+"):
            if name.partition(".")[0] == "rush":
                self._rush()
            elif name in self.enabled():
                self.step(Step(name))

    def _rush(self) -> None:
        """Complete all upstream predictions, and deliver every webhook about them."""
        up = self.cloud.upstream
        for one in list(up.ups.values()):
            if one.status not in FINAL:
                up.end(up.start(one), "succeeded")
        for _ in up.hooks:
            self.step(Step("hook.0"))

    # The provider

    def go(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.upstream.start(self._up(numbers))

    def grow(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.upstream.grow(self._up(numbers))

    def ok(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.upstream.end(self._up(numbers), "succeeded")

    def bad(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.upstream.end(self._up(numbers), "failed")

    def late(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.upstream.arrive(int(numbers[0]))

    # AWS

    def relay(self, numbers: list[str], plan: Plan) -> Run | None:
        return self._relay(numbers, plan, again=False)

    def relay2(self, numbers: list[str], plan: Plan) -> Run | None:
        return self._relay(numbers, plan, again=True)

    def _relay(self, numbers: list[str], plan: Plan, *, again: bool) -> Run | None:
        id_ = record_id(int(numbers[0]))
        stream = self.cloud.store.stream
        head = next(change for change in stream if change[1]["id"]["S"] == id_)
        pair = id(head[0]), id(head[1])
        if pair in self.cloud.store.silent and not plan:
            # Without I/O, its run depends on the change alone.
            if not again:
                stream[:] = [other for other in stream if other is not head]
            return None
        change: dict[str, Any] = {"Keys": {"id": head[1]["id"]}, "NewImage": head[1]}
        if head[0]:
            change["OldImage"] = head[0]
        change["SequenceNumber"] = "1"
        event = {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": change}]}
        self.busy.add(id_)
        run, answer = self._handle("relay", event, plan)
        self.busy.discard(id_)
        done = answer is not None and not answer["batchItemFailures"]
        if done and not run.trace:
            self.cloud.store.silent[pair] = head
        if done and not again:
            stream[:] = [other for other in stream if other is not head]
        return run

    def expire(self, numbers: list[str], _plan: Plan) -> None:
        """A change is never read from the stream, as after a day or when moved to the failure
        destination."""
        id_ = record_id(int(numbers[0]))
        stream = self.cloud.store.stream
        head = next(change for change in stream if change[1]["id"]["S"] == id_)
        stream[:] = [other for other in stream if other is not head]
        old = self.cloud.store.read(head[0]) if head[0] else None
        new = self.cloud.store.read(head[1])
        if starts(old, new):
            self.cloud.owed -= {f"{id_}:started"}
        self.cloud.owed -= {f"{id_}:{event}" for event in grows(old, new)}

    def run(self, numbers: list[str], plan: Plan) -> Run:
        return self._receive(numbers, plan, again=False)

    def run2(self, numbers: list[str], plan: Plan) -> Run:
        return self._receive(numbers, plan, again=True)

    def _receive(self, numbers: list[str], plan: Plan, *, again: bool) -> Run:
        name = QUEUES[numbers[0]]
        queue = self.cloud.queues[name]
        taken = queue.receive(self.visible(name)[int(numbers[1])])
        body = json.dumps(dict(taken.body))
        if name == "intake":
            kind = int(dict(taken.body)["kind"])
            body = asked(self.config, kind)
            self.cloud.submitted = (*self.cloud.submitted, kind)
        record: dict[str, Any] = {"messageId": "m", "receiptHandle": taken.receipt, "body": body}
        record["attributes"] = {"ApproximateReceiveCount": str(taken.receives)}
        run, answer = self._handle(HANDLERS.get(name, name), {"Records": [record]}, plan)
        done = answer is not None and not answer["batchItemFailures"]
        taken = queue.of(taken.receipt)
        if again:
            back = replace(taken, visible_at=self.cloud.clock.now)
            queue.messages = tuple(back if m is taken else m for m in queue.messages)
        elif done or (taken.receives >= RECEIVES and name != "intake"):
            queue.messages = tuple(m for m in queue.messages if m is not taken)
            queue.dead = queue.dead if done else (*queue.dead, taken)
        return run

    def redrive(self, _numbers: list[str], _plan: Plan) -> None:
        """An operator returns the dead letters to their queues."""
        for queue in self.cloud.queues.values():
            again = [replace(m, visible_at=self.cloud.clock.now, receives=0) for m in queue.dead]
            queue.messages = (*queue.messages, *again)
            queue.dead = ()

    def sweep(self, _numbers: list[str], plan: Plan) -> Run:
        run, answer = self._handle("sweep", {}, plan)
        strangers = self.cloud.store.strangers and not plan
        check(not strangers or answer is None, "I7 a record that nobody can read, and no failure")
        return run

    def mend(self, _numbers: list[str], _plan: Plan) -> None:
        """The permanent failure is repaired."""
        self.cloud.mended = True

    # The clock

    def next(self, _numbers: list[str], _plan: Plan) -> None:
        """Advance to the next time at which anything of ours is due."""
        coming = self.next_time()
        if coming is not None:
            self.cloud.advance(coming)

    def jump(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.advance(self.cloud.clock.now + 1000 * int(numbers[0]))

    def next_time(self) -> int | None:
        """Return the earliest time in the due index, the deliveries or a queue."""
        cloud = self.cloud
        ahead = self.config.ahead_ms("sweep")
        times = [at - ahead for r in cloud.records() if (at := r.due_at) is not None]
        rows = cloud.deliveries.rows.values()
        times += [at - ahead for row in rows if (at := row.due_at) is not None]
        times += [m.visible_at for q in cloud.queues.values() for m in q.messages]
        return min(times, default=None)

    # What may come next

    def visible(self, queue: str) -> list[Message]:
        now = self.cloud.clock.now
        return [m for m in self.cloud.queues[queue].messages if m.visible_at <= now]

    def can(self, name: str) -> bool:
        """Whether the step is possible now; a schedule skips the others."""
        kind, _, rest = name.partition(".")
        if kind in {"forge", "unlinked", "stray"}:
            return int(rest) < len(self.cloud.upstream.ups) and self._settled(self._up([rest]))
        if kind == "redeliver":
            return (record_id(int(rest)), "completed") in self.cloud.deliveries.rows
        if kind == "rotate":
            return int(rest) == self.cloud.secrets.turn
        return kind in {"submit", "retry", "ask", "sweep", "jump", "next"} or name in self.enabled()

    def enabled(self) -> dict[str, int]:
        """Return the steps that are possible now, with their cost in faults."""
        cloud, upstream = self.cloud, self.cloud.upstream
        steps: dict[str, int] = {"again.0": 1} if 0 in cloud.submitted else {}
        for record in cloud.records():
            if record.id not in cloud.wished:
                steps[f"cancel.{int(record.id)}"] = 0
        for (id_, event), row in cloud.deliveries.rows.items():
            if event == "completed" and row.state != "pending":
                steps[f"redeliver.{int(id_)}"] = 1
        for id_ in {change[1]["id"]["S"] for change in cloud.store.stream} - self.busy:
            steps |= {f"relay.{int(id_)}": 0, f"relay2.{int(id_)}": 1, f"expire.{int(id_)}": 1}
        for letter, queue in QUEUES.items():
            for number in range(min(3, len(self.visible(queue)))):
                steps |= {f"run.{letter}.{number}": 0, f"run2.{letter}.{number}": 1}
        for number, up in enumerate(upstream.ups.values()):
            if up.status not in FINAL:
                steps |= {f"ok.{number}": 0, f"bad.{number}": 0}
            if up.status == "starting":
                steps[f"go.{number}"] = 0
            if cloud.config.grows and up.status == "processing" and up.grown < GROWS:
                steps[f"grow.{number}"] = 0
        for number in range(len(upstream.hooks)):
            steps |= {f"hook.{number}": 0, f"hook2.{number}": 1, f"lose.{number}": 1}
        for number in range(len(upstream.late)):
            steps[f"late.{number}"] = 0
        coming = self.next_time()
        if coming is not None:
            steps |= {"next": 0} if coming > cloud.clock.now else {"sweep": 0}
            steps |= {"jump.135": 0, "jump.2700": 1, "jump.3660": 1}
        return steps


_STEPS: dict[str, Callable[..., Any]] = {
    step.__name__: step
    for step in (
        *(World.submit, World.again, World.retry, World.cancel, World.redeliver, World.rotate),
        World.ask,
        *(World.go, World.grow, World.ok, World.bad, World.late),
        *(World.hook, World.hook2, World.lose, World.forge, World.unlinked, World.stray),
        *(World.relay, World.relay2, World.expire, World.run, World.run2, World.redrive),
        *(World.sweep, World.next, World.jump, World.mend),
    )
}
