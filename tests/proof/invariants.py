"""What must hold: at every write, create, event and callback, and again when all is quiet."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from darkroom.domain import wire
from darkroom.domain.prediction import Code, CreateState, State

from tests.proof.cloud import TIMINGS
from tests.proof.gate import Violation
from tests.proof.upstream import FINAL, LIFE_MS, OUTPUTS, Up, canonical, picture

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

    from tests.proof.cloud import Cloud

CHECKED = {
    "I1": "an accepted prediction's record exists",
    "I2": "no create leaves while an earlier one of its record could still come to be",
    "I3": "every upstream prediction belongs to exactly one record, as its own or as an extra",
    "I4": "rank never falls, terminal is immutable, a change is one revision on what it read",
    "I5": "what succeeded upstream ends succeeded here, unless its files were truly gone",
    "I6": "succeeded means every object exists, with the recorded hash, of the right bytes",
    "I7": "after healing nothing waits: records terminal, queues, stream and indexes empty",
    "I8": "an event and a callback for every end, none before the state that it tells of",
    "I9": "one Idempotency-Key makes one prediction",
    "I10": "forged, stray and unlinked webhooks change nothing",
    "I12": "the I/O of one run is bounded",
    "I13": "what went to a dead-letter queue can be redriven, and nothing was stuck without it",
    "I16": "no 2xx before the durable write",
}
"""Not here: I14 (the ledger, not in the product yet), I11 (tenants) and I15 (logs), tested
elsewhere."""

_STATES = {
    "processing": State.PROCESSING,
    "succeeded": State.STORING,
    "failed": State.FAILED,
    "canceled": State.CANCELED,
    "aborted": State.ABORTED,
}
_MAY_CHANGE_AT_THE_END = ("revision", "updated_at", "due_at", "effects_done", "extra_provider_ids")
CANCEL_TAKES_MS = 900_000
"""A wish to cancel must have reached the provider by then, sweeps running."""


class Invariants:
    """Watches one world. Raises Violation; counts what the design allows but must show."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.allowed: dict[str, int] = {}
        cloud.store.on_write = self.written
        cloud.upstream.on_create = self.creating
        cloud.bus.on_publish = self.publishing
        cloud.client.on_post = self.calling

    def _allow(self, what: str) -> None:
        self.allowed[what] = self.allowed.get(what, 0) + 1

    # At every step

    def written(self, old: Prediction | None, new: Prediction) -> None:
        """One write of a record: `old` is what it replaces."""
        if old is not None:
            _follows(old, new)
        ended = new.state.terminal and (old is None or not old.state.terminal)
        if new.provider_id and (old is None or old.provider_id is None):
            _check(
                all(r.provider_id != new.provider_id for r in self.cloud.records()),
                f"I3 two records hold {new.provider_id}",
            )
        if old is None and self._kind(new.id) == 0:
            twins = [r for r in self.cloud.records() if r.id != new.id and self._kind(r.id) == 0]
            _check(not twins, "I9 one Idempotency-Key, two records")
        if starts(old, new):
            self.cloud.owed |= {f"{new.id}:started"}
        for extra in set(new.extra_provider_ids) - set(old.extra_provider_ids if old else ()):
            ups = self.cloud.upstream.ups
            if extra in ups:
                ups[extra] = replace(ups[extra], extra_since=self.cloud.clock.now)
        if ended and new.state is State.SUCCEEDED:
            self._succeeded(new)
        elif ended:
            self._ended_otherwise(new)

    def _kind(self, id_: str) -> int:
        return self.cloud.submitted[int(id_)]

    def _succeeded(self, record: Prediction) -> None:
        _check(len(record.files) == OUTPUTS, "I6 succeeded without all of its files")
        for number, file in enumerate(record.files):
            stored = self.cloud.outputs.objects.get(file.key)
            _check(stored is not None, f"I6 succeeded, but {file.key} does not exist")
            data = stored[1] if stored else b""
            whole = data == picture(f"{record.provider_id}/{number}.png")
            _check(whole, f"I6 {file.key} holds other bytes than the output")
            digest = hashlib.sha256(data).hexdigest()
            _check(digest == file.sha256, f"I6 {file.key} has another hash")

    def _ended_otherwise(self, record: Prediction) -> None:
        up = self.cloud.upstream.ups.get(record.provider_id or "")
        now = self.cloud.clock.now
        if record.code is Code.OUTPUT_EXPIRED:
            gone = up is not None and now >= (up.completed_at or now) + LIFE_MS
            _check(gone, "I5 output_expired while the provider's copy existed")
            self._allow("output_expired")
        elif record.code is Code.OUTCOME_UNKNOWN:
            self._outcome_unknown(record)
        elif record.provider_id is None:
            ran = [u for u in self._of(record) if u.in_time]
            _check(not ran, f"I2 {record.state.value} as if nothing ran, but something does")
        else:
            _check(record.code is not Code.PROVIDER_LOST, "I3 given up, but the provider knows it")

    def _outcome_unknown(self, record: Prediction) -> None:
        """Without an echo the list is no proof: design 2 lets such a record end visibly."""
        config, store = self.cloud.config, self.cloud.store
        age = self.cloud.clock.now - record.create.started_at
        _check(age >= int(TIMINGS.create_give_up_s * 1000), "I2 outcome_unknown too early")
        alike = [
            up
            for up in self.cloud.upstream.ups.values()
            if self.cloud.upstream.removed(up) or _alike(up, record)
        ]
        if config.dedicated:
            alike = [u for u in alike if store.owners.get(u.id, record.id) == record.id]
        bindable = config.dedicated and len(alike) == 1
        excused = not config.echo and alike and (not bindable or record.uploads)
        _check(
            bool(excused) or self.cloud.gap,
            "I3 outcome_unknown, but the list had settled it",
        )
        self._allow("outcome_unknown")

    def creating(self, id_: str) -> tuple[int, int]:
        """A create is about to leave: its attempt, and until when it must be waited for."""
        record = self.cloud.record(id_)
        if record is None:
            raise Violation("I16 a create leaves before its record exists")
        attempt = record.create
        ready = record.state is State.ACCEPTED and attempt.state is CreateState.IN_FLIGHT
        raced = record.provider_id is not None or record.state.terminal
        posts = self.cloud.upstream.posts.get(id_, ())
        _check(ready or raced, "I2 a create leaves that its record does not tell of")
        if posts:
            last = posts[-1]
            _check(attempt.attempt > last.attempt, "I2 one attempt is sent twice")
            why = "retry_after was" if last.sure else "the silence was"
            _check(self.cloud.clock.now >= last.not_before, f"I2 {why} not waited for")
        exists = [u for u in self._of(record) if u.in_time and not self.cloud.upstream.hidden(u)]
        _check(not exists, "I2 created again while an earlier one exists")
        return attempt.attempt, attempt.until + int(TIMINGS.create_silence_s * 1000)

    def publishing(self, detail_type: str, detail: dict[str, Any]) -> None:
        """An event is about to be published."""
        record = self.cloud.record(detail["id"])
        state = record.state if record else State.ACCEPTED
        started = detail_type == "Prediction Started" and state.rank >= State.PROCESSING.rank
        ended = state.terminal and detail_type == f"Prediction {state.value.capitalize()}"
        _check(started or ended, f"I8 {detail_type} is published while the record is {state}")

    def calling(self, message_id: str, body: bytes) -> None:
        """A client is about to be called back."""
        id_, _, event = message_id.partition("_")
        record = self.cloud.record(id_)
        state = record.state if record else State.ACCEPTED
        least = State.SUCCEEDED.rank if event == "completed" else State.PROCESSING.rank
        _check(state.rank >= least, f"I8 a callback for {event} while the record is {state}")
        if event != "completed":
            return
        said = json.loads(body)
        _check(said["status"] == wire.STATUS[state], "I8 a callback tells another state")
        if state is State.SUCCEEDED:
            _check(len(said["output"] or ()) == OUTPUTS, "I8 a callback without the output")

    def acknowledged(self, up: Up, status: str) -> None:
        """A genuine webhook was answered with a 2xx."""
        for record in self.cloud.records():
            if up.id in record.extra_provider_ids:
                return
            if record.provider_id == up.id:
                least = _STATES[status].rank
                _check(record.state.rank >= least, f"I16 2xx, but {status} is not written down")
                return
        raise Violation("I16 2xx, but the prediction is not known here")

    # When all is quiet

    def quiet(self) -> None:
        """Nothing is on its way any more."""
        cloud = self.cloud
        _check(cloud.owed <= cloud.bus.events, "I8 no event tells that one started")
        for id_ in cloud.accepted:
            _check(cloud.record(id_) is not None, "I1 an accepted prediction is gone")
        for record in cloud.records():
            _check(record.state.terminal, f"I7 {record.id} is stuck in {record.state}")
            self._announced(record)
            self._agrees(record)
        for up in cloud.upstream.ups.values():
            self._owned(up)
        kept = {file.key for record in cloud.records() for file in record.files}
        for key in cloud.outputs.objects.keys() - kept:
            owner = cloud.record(key.split("/")[3])
            failed = owner is not None and owner.state is State.FAILED
            _check(failed, f"I6 {key} belongs to no file of a record")

    def _announced(self, record: Prediction) -> None:
        cloud = self.cloud
        event = f"{record.id}:{record.state.value}"
        _check(event in cloud.bus.events, f"I8 no event tells that {record.id} ended")
        if record.webhook:
            row = cloud.deliveries.rows.get((record.id, "completed"))
            called = row is not None and row.state == "delivered"
            _check(called, f"I8 the client was not called about {record.id}")

    def _agrees(self, record: Prediction) -> None:
        up = self.cloud.upstream.ups.get(record.provider_id or "")
        if up is None:
            return
        expected = State.SUCCEEDED if up.status == "succeeded" else _STATES.get(up.status)
        expired = up.status == "succeeded" and record.code is Code.OUTPUT_EXPIRED
        if expected is State.SUCCEEDED:
            _check(record.state is expected or expired, f"I5 lost: {record.code}")
        _check(record.state is expected or expired, f"I4 {up.status} there, {record.state} here")
        wished = record.cancel_requested_at
        if wished and up.cut_off and not record.cancel_by_deadline:
            forgotten = up.ends_by - wished > CANCEL_TAKES_MS
            known = self.cloud.config.echo and not self.cloud.gap
            _check(not (forgotten and known), "I3 the wish to cancel never reached the provider")

    def _owned(self, up: Up) -> None:
        records = self.cloud.records()
        owners = [r for r in records if up.id == r.provider_id or up.id in r.extra_provider_ids]
        if not owners:
            origin = self.cloud.record(up.record)
            unknown = origin is not None and origin.code is Code.OUTCOME_UNKNOWN
            # One came later than the silence that was waited for, so that there were two, and no
            # webhook about this one ever came.
            ups = self.cloud.upstream.ups.values()
            overdue = any(u.record == up.record and not u.in_time for u in ups)
            _check(not up.told and (unknown or overdue), f"I3 nobody knows of {up.id}")
            self._allow("unseen late create")
            return
        _check(len(owners) == 1, f"I3 {len(owners)} records hold {up.id}")
        if up.id in owners[0].extra_provider_ids:
            late = up.cut_off and up.ends_by - (up.extra_since or 0) > CANCEL_TAKES_MS
            idle = late and not self.cloud.gap
            _check(up.status in FINAL and not idle, f"I3 the extra {up.id} runs on")
            self._allow("double create, canceled")

    def _of(self, record: Prediction) -> list[Up]:
        """What the record's creates made and no record has: two alike may be bound crosswise."""
        held = {other.provider_id for other in self.cloud.records()}
        ups = self.cloud.upstream.ups.values()
        return [up for up in ups if up.record == record.id and up.id not in held]


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


def starts(old: Prediction | None, new: Prediction) -> bool:
    """Whether this change causes the `started` event."""
    was = old.state.rank if old else State.ACCEPTED.rank
    return was < State.PROCESSING.rank and new.state in {State.PROCESSING, State.STORING}


def _follows(old: Prediction, new: Prediction) -> None:
    _check(new.state.rank >= old.state.rank, f"I4 {old.state} became {new.state}")
    if old.state.terminal:
        same = {name: getattr(old, name) for name in _MAY_CHANGE_AT_THE_END}
        _check(replace(new, **same) == old, "I4 a terminal record was changed")
    if new.revision == old.revision:
        claimed = replace(new, due_at=old.due_at, effects_done=old.effects_done)
        _check(claimed == old, "I4 a change without a new revision")
    _check(new.revision - old.revision in {0, 1}, "I4 a change skips a revision")
    kept = old.provider_id in {None, new.provider_id}
    _check(kept, "I3 a bound provider id was replaced")
    grows = set(old.extra_provider_ids) <= set(new.extra_provider_ids)
    _check(grows, "I3 an extra id was forgotten")
    _check(new.log_size >= old.log_size, "I4 news of equal rank took logs away")
    wish = old.cancel_requested_at
    _check(wish is None or new.cancel_requested_at == wish, "I4 a wish to cancel was forgotten")


def _alike(up: Up, record: Prediction) -> bool:
    if record.uploads:
        return True
    return canonical(up) == json.dumps(json.loads(record.input), sort_keys=True)
