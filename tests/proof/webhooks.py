"""Running handlers, and their webhooks: genuine, lost, duplicated, forged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from darkroom.domain import signature

from tests.proof import shows
from tests.proof.cloud import Cloud
from tests.proof.config import TENANT, Config
from tests.proof.doubles import WEBHOOK_KEYS
from tests.proof.gate import Run, Violation, check, timeout_ms
from tests.proof.invariants import Invariants
from tests.proof.requests import FILE_ID, http_event
from tests.proof.shows import FINAL, UnreadableError
from tests.proof.upstream import Hook, Up, record_of
from tests.support.events import Context
from tests.support.fakes import Crash

if TYPE_CHECKING:
    from collections.abc import Callable

Plan = dict[int | str, str]
RETRIED_MS = 60_000
"""Time for which Replicate repeats a terminal webhook."""


@dataclass(frozen=True, slots=True)
class Step:
    """`name` and its numbers; `plan` has the faults by the number or the site of the I/O."""

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


SILENT = frozenset({"submit", "intake", "dispatch"})
"""Handlers that store a create before it is sent, so that the sweep can find its result."""


def _failed(answer: Any) -> bool:
    """Whether Lambda, a queue or a client sees that a run failed."""
    if "batchItemFailures" in answer:
        return bool(answer["batchItemFailures"])
    return bool(answer.get("statusCode", 200) >= 500)


class Left(Context):
    """Lambda's context of one run, with its remaining time."""

    def __init__(self, cloud: Cloud, run: Run) -> None:
        self._clock, self._until = cloud.clock, run.began + timeout_ms(run)

    def get_remaining_time_in_millis(self) -> int:
        return self._until - self._clock.now


@dataclass
class Stage:
    """A cloud with checks. Every run of a handler goes through `_handle`."""

    config: Config
    cloud: Cloud = field(init=False)
    invariants: Invariants = field(init=False)
    busy: set[str] = field(default_factory=set)
    said: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        self.cloud = Cloud(self.config)
        self.invariants = Invariants(self.cloud)
        self.cloud.gate.wait = self._wait
        self.cloud.uploads.put(f"{TENANT}/files/{FILE_ID}", "image/png", b"png", {})

    def _wait(self, milliseconds: int) -> None:
        """Let time pass within a run; Lambda ends one that takes too long."""
        run = self.cloud.gate.runs[-1]
        ends = run.began + timeout_ms(run)
        coming = self.cloud.clock.now + milliseconds
        self.cloud.advance(min(coming, ends))
        if coming >= ends:
            raise Crash

    def _handle(self, handler: str, event: Any, plan: Plan) -> tuple[Run, Any]:
        """Run a handler as Lambda does; return its answer, or None if it died or raised."""
        cloud = self.cloud
        before, cloud.acting = cloud.acting, handler
        posts_before, cloud.posts_before = cloud.posts_before, cloud.client.posts
        run = Run(handler, {n: f for n, f in plan.items() if isinstance(n, int)})
        run.began = cloud.clock.now
        run.at = {site: fault for site, fault in plan.items() if isinstance(site, str)}
        gate = cloud.gate
        gate.runs.append(run)
        refused = cloud.refusals
        try:
            answer = cloud.handlers[handler](event, Left(cloud, run))
        except (Crash, Exception):  # noqa: BLE001 - Lambda reports it and goes on
            return run, None
        else:
            visible = handler in SILENT or cloud.refusals == refused or _failed(answer)
            check(visible or bool(plan), "I7 a row that cannot be written, and nobody is told")
            self.invariants.answered(handler, run.plan.values() or plan.values())
            return run, answer
        finally:
            gate.runs.pop()
            cloud.acting, cloud.posts_before = before, posts_before

    # Webhooks

    def _up(self, numbers: list[str]) -> Up:
        return list(self.cloud.upstream.ups.values())[int(numbers[0])]

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
        key = WEBHOOK_KEYS[hook.signed]
        try:
            body = upstream.said(hook)
        except UnreadableError:
            # The gateway itself rejects it, so none of our handlers runs.
            return Run("webhook", {})
        run, answer = self._webhook(url, body, plan, key)
        refused = bool(answer) and 400 <= answer["statusCode"] < 500
        took = bool(answer) and 200 <= answer["statusCode"] < 300
        if refused:
            # Replicate has a new secret that we have not fetched; polls are used until then.
            early = hook.signed == 1 and self.cloud.secrets.turn == 1
            check(early, f"I3 a genuine webhook was refused: {answer['body']}")
            self.invariants.allow("webhook before its secret was fetched")
        if took:
            now_up = upstream.ups[hook.id]
            upstream.ups[hook.id] = replace(now_up, told=now_up.told + 1)
            self.invariants.acknowledged(up, hook.status)
        fresh = self.cloud.clock.now - hook.at < RETRIED_MS
        if again or (not took and not refused and hook.status in FINAL and fresh):
            upstream.hooks = (*upstream.hooks, hook)
        return run

    def _webhook(self, url: str, data: bytes, plan: Plan, key: bytes) -> tuple[Run, Any]:
        id_ = record_of(url)
        at = (self.cloud.clock.now + self.config.provider_ms) // 1000
        event = http_event(
            "POST /hooks/replicate/{id}", f"/hooks/replicate/{id_}", data.decode(), id_
        )
        event["queryStringParameters"] = {"t": url.partition("?t=")[2]}
        event["headers"] = {
            "webhook-id": "msg",
            "webhook-timestamp": str(at),
            "webhook-signature": signature.sign("msg", at, data, key=key),
        }
        return self._handle("webhook", event, plan)

    def forge(self, numbers: list[str], plan: Plan) -> Run:
        """Signed with another key, but otherwise correct."""
        up = self._up(numbers)
        return self._unchanged(up.request["webhook"], self._lie(up), plan, b"x" * 32)

    def unlinked(self, numbers: list[str], plan: Plan) -> Run:
        """Correctly signed, but with a token that is not the record's."""
        up = self._up(numbers)
        url = up.request["webhook"][:-4] + "AAAA"
        return self._unchanged(url, self._lie(up), plan)

    def stray(self, numbers: list[str], plan: Plan) -> Run:
        """Correctly signed and linked, but about a prediction that is not ours."""
        up = self._up(numbers)
        lie = self._lie(replace(up, id="someoneelses"))
        return self._unchanged(up.request["webhook"], lie, plan)

    def _lie(self, up: Up) -> bytes:
        return shows.text(Config(), up, "failed", self.cloud.clock.now)

    def _settled(self, up: Up) -> bool:
        """Whether no create of the record is unresolved, so that no webhook with its link could
        concern it.

        On a dedicated account a record may have its duplicate's, and one may be unresolved after
        all.
        """
        record = self.cloud.record(up.record)
        if self.config.dedicated or record is None or record.provider_id is None:
            return False
        return record.create.attempt <= 1 + len(record.extra_provider_ids)

    def _unchanged(self, url: str, body: bytes, plan: Plan, key: bytes | None = None) -> Run:
        before = dict(self.cloud.store.items)
        ours = WEBHOOK_KEYS[self.cloud.upstream.signs()]
        run, _ = self._webhook(url, body, plan, key or ours)
        if self.cloud.store.items != before:
            raise Violation("I10 a webhook that is not ours changed a record")
        return run
