"""What may happen next, one step at a time: clients, the provider, AWS and the clock."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from darkroom.domain import signature

from tests.events import Context
from tests.fakes import Crash
from tests.proof.cloud import RECEIVES, TENANT, TOKEN, Cloud, Config, Message
from tests.proof.gate import Run, Violation
from tests.proof.invariants import Invariants, starts
from tests.proof.upstream import FINAL, Hook, Up, record_of
from tests.world import PUBLIC_URL, SCHNELL

if TYPE_CHECKING:
    from collections.abc import Callable

Plan = dict[int | str, str]
RETRIED_MS = 60_000
"""Replicate repeats a terminal webhook for about so long."""
WEBHOOK_KEY = b"w" * 32
FILE_ID = "f" * 26
CONTEXT = Context()
QUEUES = {"p": "persist", "d": "dispatch", "c": "deliver"}

_HOOK = "https://client.example/hook"
REQUESTS: tuple[dict[str, Any], ...] = (
    {
        "version": SCHNELL,
        "input": {"prompt": "a cat", "seed": 1},
        "webhook": _HOOK,
        "webhook_events_filter": ["start", "completed"],
    },
    {
        "version": SCHNELL,
        "input": {"prompt": "a cat", "seed": 1},
        "webhook": _HOOK,
        "webhook_events_filter": ["completed"],
    },
    {"version": SCHNELL, "input": {"prompt": "a dog"}},
    {
        "version": SCHNELL,
        "input": {
            "prompt": "a file, and an image too large for the record",
            "image": f"{PUBLIC_URL}/v1/files/{FILE_ID}",
            "mask": "data:image/png;base64," + "A" * 260_000,
        },
    },
    {"version": "acme/open:" + "a" * 64, "input": {"prompt": "a model of one's own"}},
)
"""Kinds of requests: 0 and 1 have equal inputs, 3 has files, 4 an open model. 0 has an
Idempotency-Key, so that it may be sent again."""
_BODIES = tuple(json.dumps(request) for request in REQUESTS)


@dataclass(frozen=True, slots=True)
class Step:
    """`name` and its numbers; `plan` holds the faults by the number or the site of the I/O."""

    name: str
    plan: tuple[tuple[int | str, str], ...] = ()

    def __str__(self) -> str:
        faults = [f"{fault}@{number}" for number, fault in self.plan]
        return "~".join([self.name, *faults])

    @classmethod
    def read(cls, text: str) -> Step:
        name, *faults = text.split("~")
        pairs = [fault.rpartition("@") for fault in faults]
        return cls(name, tuple((int(at) if at.isdigit() else at, f) for f, _, at in pairs))


@dataclass
class World:
    """A cloud under watch that takes steps. Every run of a handler goes through `_handle`."""

    config: Config
    cloud: Cloud = field(init=False)
    invariants: Invariants = field(init=False)
    busy: set[str] = field(default_factory=set)
    said: Callable[[str], None] | None = None
    steps_cost: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cloud = Cloud(self.config)
        self.invariants = Invariants(self.cloud)
        self.cloud.gate.nest = self._nested
        self.cloud.uploads.put(f"{TENANT}/files/{FILE_ID}", "image/png", b"png", {})

    def step(self, step: Step) -> Run | None:
        """Take one step; the run of its handler, if it has one. Raises Violation."""
        if self.said:
            self.said(f"{(self.cloud.clock.now // 1000) % 100_000}s  {step}")
        name, *numbers = step.name.split(".")
        return _STEPS[name](self, numbers, dict(step.plan))  # type: ignore[no-any-return]

    def _nested(self, steps: str) -> None:
        """Other things that happen while a handler waits for its I/O."""
        for name in steps.split("+"):
            if name.partition(".")[0] == "rush":
                self._rush()
            elif name in self.enabled():
                self.step(Step(name))

    def _rush(self) -> None:
        """All that is upstream runs and ends, and every webhook about it arrives."""
        up = self.cloud.upstream
        for one in list(up.ups.values()):
            if one.status not in FINAL:
                up.end(up.start(one), "succeeded")
        while up.hooks:
            self.step(Step("hook.0"))

    def _handle(self, handler: str, event: Any, plan: Plan) -> tuple[Run, Any]:
        """Run a handler as Lambda does; its answer, or None where it died or raised."""
        run = Run(handler, {n: f for n, f in plan.items() if isinstance(n, int)})
        run.at = {site: fault for site, fault in plan.items() if isinstance(site, str)}
        gate = self.cloud.gate
        gate.runs.append(run)
        try:
            return run, self.cloud.handlers[handler](event, CONTEXT)
        except (Crash, Exception):  # noqa: BLE001 - Lambda reports it and goes on
            return run, None
        finally:
            gate.runs.pop()

    # Clients

    def submit(self, numbers: list[str], plan: Plan) -> Run:
        kind = int(numbers[0])
        cloud = self.cloud
        event = _request("POST /v1/predictions", "/v1/predictions", _BODIES[kind])
        event["requestContext"]["timeEpoch"] = cloud.clock.now
        if kind == 0:
            event["headers"] |= {"idempotency-key": "once"}
        # The id follows from the count: it must not change while the handler runs.
        cloud.submitted = (*cloud.submitted, kind)
        run, answer = self._handle("submit", event, plan)
        if answer and answer["statusCode"] == 201:
            id_ = json.loads(answer["body"])["id"]
            if cloud.record(id_) is None:
                raise Violation("I16 201, but the record is not written")
            cloud.accepted |= {id_}
            once = {i for i in cloud.accepted if cloud.submitted[int(i)] == 0}
            if kind == 0 and len(once) > 1:
                raise Violation("I9 one Idempotency-Key, two predictions")
        return run

    def again(self, numbers: list[str], plan: Plan) -> Run:
        """The client sends its request once more, with the same Idempotency-Key."""
        return self.submit(numbers, plan)

    def cancel(self, numbers: list[str], plan: Plan) -> Run:
        id_ = _id(int(numbers[0]))
        cloud = self.cloud
        cloud.wished |= {id_}
        path = f"/v1/predictions/{id_}/cancel"
        event = _request("POST /v1/predictions/{id}/cancel", path, None, id_)
        run, answer = self._handle("cancel", event, plan)
        record = cloud.record(id_)
        if answer and answer["statusCode"] == 200 and record:
            durable = record.cancel_requested_at or record.state.rank >= 3
            if not durable:
                raise Violation("I16 200, but the wish to cancel is not written")
        return run

    # The provider

    def _up(self, numbers: list[str]) -> Up:
        return list(self.cloud.upstream.ups.values())[int(numbers[0])]

    def go(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.upstream.start(self._up(numbers))

    def ok(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.upstream.end(self._up(numbers), "succeeded")

    def bad(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.upstream.end(self._up(numbers), "failed")

    def late(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.upstream.arrive(int(numbers[0]))

    def lose(self, numbers: list[str], _plan: Plan) -> None:
        self._drop(self.cloud.upstream.hooks[int(numbers[0])])

    def _drop(self, hook: Hook) -> None:
        upstream = self.cloud.upstream
        upstream.hooks = tuple(h for h in upstream.hooks if h is not hook)

    def hook(self, numbers: list[str], plan: Plan) -> Run:
        return self._deliver(numbers, plan, again=False)

    def hook2(self, numbers: list[str], plan: Plan) -> Run:
        return self._deliver(numbers, plan, again=True)

    def _deliver(self, numbers: list[str], plan: Plan, *, again: bool) -> Run:
        upstream = self.cloud.upstream
        hook = upstream.hooks[int(numbers[0])]
        self._drop(hook)
        up = upstream.ups[hook.id]
        url = up.request["webhook"]
        run, answer = self._webhook(url, upstream.body(up, hook.status), plan)
        took = bool(answer) and 200 <= answer["statusCode"] < 300
        if answer and 400 <= answer["statusCode"] < 500:
            raise Violation(f"I3 a genuine webhook was refused: {answer['body']}")
        if took:
            now_up = upstream.ups[hook.id]
            upstream.ups[hook.id] = replace(now_up, told=now_up.told + 1)
            self.invariants.acknowledged(up, hook.status)
        fresh = self.cloud.clock.now - hook.at < RETRIED_MS
        if again or (not took and hook.status in FINAL and fresh):
            upstream.hooks = (*upstream.hooks, hook)
        return run

    def _webhook(
        self, url: str, body: dict[str, Any], plan: Plan, key: bytes = WEBHOOK_KEY
    ) -> tuple[Run, Any]:
        id_ = record_of(url)
        data = json.dumps(body)
        at = self.cloud.clock.now // 1000
        event = _request("POST /hooks/replicate/{id}", f"/hooks/replicate/{id_}", data, id_)
        event["queryStringParameters"] = {"t": url.partition("?t=")[2]}
        event["headers"] = {
            "webhook-id": "msg",
            "webhook-timestamp": str(at),
            "webhook-signature": signature.sign("msg", at, data.encode(), key=key),
        }
        return self._handle("webhook", event, plan)

    def forge(self, numbers: list[str], plan: Plan) -> Run:
        """Signed with another key, though all else is right."""
        up = self._up(numbers)
        body = self.cloud.upstream.body(up, "failed")
        return self._unchanged(up.request["webhook"], body, plan, b"x" * 32)

    def unlinked(self, numbers: list[str], plan: Plan) -> Run:
        """Truly signed, but its token is not the record's."""
        up = self._up(numbers)
        url = up.request["webhook"][:-4] + "AAAA"
        return self._unchanged(url, self.cloud.upstream.body(up, "failed"), plan)

    def stray(self, numbers: list[str], plan: Plan) -> Run:
        """Truly signed and linked, but about a prediction that is not ours."""
        up = self._up(numbers)
        body = {**self.cloud.upstream.body(up, "failed"), "id": "someoneelses"}
        return self._unchanged(up.request["webhook"], body, plan)

    def _unchanged(
        self, url: str, body: dict[str, Any], plan: Plan, key: bytes = WEBHOOK_KEY
    ) -> Run:
        before = dict(self.cloud.store.items)
        run, _ = self._webhook(url, body, plan, key)
        if self.cloud.store.items != before:
            raise Violation("I10 a webhook that is not ours changed a record")
        return run

    # AWS

    def relay(self, numbers: list[str], plan: Plan) -> Run:
        return self._relay(numbers, plan, again=False)

    def relay2(self, numbers: list[str], plan: Plan) -> Run:
        return self._relay(numbers, plan, again=True)

    def _relay(self, numbers: list[str], plan: Plan, *, again: bool) -> Run:
        id_ = _id(int(numbers[0]))
        stream = self.cloud.store.stream
        head = next(change for change in stream if change[1]["id"]["S"] == id_)
        change: dict[str, Any] = {"Keys": {"id": head[1]["id"]}, "NewImage": head[1]}
        if head[0]:
            change["OldImage"] = head[0]
        change["SequenceNumber"] = "1"
        event = {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": change}]}
        self.busy.add(id_)
        run, answer = self._handle("relay", event, plan)
        self.busy.discard(id_)
        if answer is not None and not answer["batchItemFailures"] and not again:
            stream[:] = [other for other in stream if other is not head]
        return run

    def expire(self, numbers: list[str], _plan: Plan) -> None:
        """A change leaves the stream unread, as after a day or into the failure destination."""
        id_ = _id(int(numbers[0]))
        stream = self.cloud.store.stream
        head = next(change for change in stream if change[1]["id"]["S"] == id_)
        stream[:] = [other for other in stream if other is not head]
        old = self.cloud.store.read(head[0]) if head[0] else None
        if starts(old, self.cloud.store.read(head[1])):
            self.cloud.owed -= {f"{id_}:started"}

    def run(self, numbers: list[str], plan: Plan) -> Run:
        return self._receive(numbers, plan, again=False)

    def run2(self, numbers: list[str], plan: Plan) -> Run:
        return self._receive(numbers, plan, again=True)

    def _receive(self, numbers: list[str], plan: Plan, *, again: bool) -> Run:
        name = QUEUES[numbers[0]]
        queue = self.cloud.queues[name]
        taken = self.cloud.in_flight(queue, self.visible(name)[int(numbers[1])])
        body = json.dumps(dict(taken.body))
        event = {"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": body}]}
        run, answer = self._handle(name, event, plan)
        done = answer is not None and not answer["batchItemFailures"]
        if again:
            back = replace(taken, visible_at=self.cloud.clock.now)
            queue.messages = tuple(back if m is taken else m for m in queue.messages)
        elif done or taken.receives >= RECEIVES:
            queue.messages = tuple(m for m in queue.messages if m is not taken)
            queue.dead = queue.dead if done else (*queue.dead, taken)
        return run

    def redrive(self, _numbers: list[str], _plan: Plan) -> None:
        """An operator sends the dead letters back."""
        for queue in self.cloud.queues.values():
            again = [replace(m, visible_at=self.cloud.clock.now, receives=0) for m in queue.dead]
            queue.messages = (*queue.messages, *again)
            queue.dead = ()

    def sweep(self, _numbers: list[str], plan: Plan) -> Run:
        return self._handle("sweep", {}, plan)[0]

    # The clock

    def next(self, _numbers: list[str], _plan: Plan) -> None:
        """To the next time at which anything of ours is due."""
        coming = self.next_time()
        if coming is not None:
            self.cloud.advance(coming)

    def jump(self, numbers: list[str], _plan: Plan) -> None:
        self.cloud.advance(self.cloud.clock.now + 1000 * int(numbers[0]))

    def next_time(self) -> int | None:
        """The earliest time that the due index, the deliveries or a queue is waiting for."""
        cloud = self.cloud
        times = [record.due_at for record in cloud.records()]
        times += [row.due_at for row in cloud.deliveries.rows.values()]
        times += [m.visible_at for q in cloud.queues.values() for m in q.messages]
        return min((at for at in times if at is not None), default=None)

    # What may come next

    def visible(self, queue: str) -> list[Message]:
        now = self.cloud.clock.now
        return [m for m in self.cloud.queues[queue].messages if m.visible_at <= now]

    def can(self, name: str) -> bool:
        """Whether the step can happen now; a schedule's other steps are passed over."""
        kind, _, rest = name.partition(".")
        if kind in {"forge", "unlinked", "stray"}:
            return int(rest) < len(self.cloud.upstream.ups)
        return kind in {"submit", "sweep", "jump", "next"} or name in self.enabled()

    def enabled(self) -> dict[str, int]:
        """The steps that can happen now, and what each costs of the schedule's faults."""
        cloud, upstream = self.cloud, self.cloud.upstream
        steps: dict[str, int] = {"again.0": 1} if 0 in cloud.submitted else {}
        for record in cloud.records():
            number = int(record.id)
            if record.id not in cloud.wished:
                steps[f"cancel.{number}"] = 0
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
        for number in range(len(upstream.hooks)):
            steps |= {f"hook.{number}": 0, f"hook2.{number}": 1, f"lose.{number}": 1}
        for number in range(len(upstream.late)):
            steps[f"late.{number}"] = 0
        coming = self.next_time()
        if coming is not None:
            steps |= {"next": 0} if coming > cloud.clock.now else {"sweep": 0}
            steps |= {"jump.135": 0, "jump.2700": 1, "jump.3660": 1}
        return steps


def _id(number: int) -> str:
    return f"{number:026d}"


def _request(route: str, path: str, body: str | None, id_: str = "") -> dict[str, Any]:
    return {
        "routeKey": route,
        "rawPath": path,
        "pathParameters": {"id": id_} if id_ else {},
        "headers": {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": path}},
        "body": body,
    }


_STEPS: dict[str, Callable[..., Any]] = {
    step.__name__: step
    for step in (
        *(World.submit, World.again, World.cancel),
        *(World.go, World.ok, World.bad, World.late),
        *(World.hook, World.hook2, World.lose, World.forge, World.unlinked, World.stray),
        *(World.relay, World.relay2, World.expire, World.run, World.run2, World.redrive),
        *(World.sweep, World.next, World.jump),
    )
}
