"""The invariants, checked at every write, create, event and callback, and again at quiescence."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from darkroom.domain.details import STATUS
from darkroom.domain.events import CALLBACK_DISABLED, REJECTED
from darkroom.domain.prediction import Code, CreateState, State

from tests.proof import ledger
from tests.proof.follows import follows, grows, starts
from tests.proof.gate import Violation, check
from tests.proof.pictures import picture
from tests.proof.upstream import LIFE_MS, REFUSED_FOR_GOOD, Up

if TYPE_CHECKING:
    from collections.abc import Collection

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
    "I11": "no result of another tenant is shown",
    "I13": "what went to a dead-letter queue can be redriven, and nothing was stuck without it",
    "I14": "a month holds what its records cost or may cost, and usage counts each end once",
    "I16": "no 2xx before the durable write",
}
"""Not included: I15 (logs), and reads in I11; both are tested elsewhere."""

SHOWN_WITHIN_MS = 120_000
"""Time after the end of an attempt by which its prediction appears in list or webhook, or is
late."""
LAST_MS = 3_600_000
"""Maximum time between a record's deadline and its end, whatever the provider answers."""
STATES = {
    "processing": State.PROCESSING,
    "succeeded": State.STORING,
    "failed": State.FAILED,
    "canceled": State.CANCELED,
    "aborted": State.ABORTED,
}


class Invariants:
    """Checks one world. Raises Violation; counts effects that the design allows but must show."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.allowed: dict[str, int] = {}
        cloud.store.on_write = self.written
        cloud.store.on_done = lambda: ledger.balanced(cloud)
        cloud.upstream.on_create = self.creating
        cloud.bus.on_publish = self.publishing
        cloud.client.on_post = self.calling
        cloud.tasks.on_answer = self.answering

    def allow(self, what: str) -> None:
        self.allowed[what] = self.allowed.get(what, 0) + 1

    # At every step

    def written(self, old: Prediction | None, new: Prediction) -> None:
        """Check one write of a record; `old` is the record that it replaces."""
        if old is None:
            ledger.entered(self.cloud, new)
        else:
            follows(old, new)
        ended = new.state.terminal and (old is None or not old.state.terminal)
        if new.provider_id and (old is None or old.provider_id is None):
            check(
                all(r.provider_id != new.provider_id for r in self.cloud.records()),
                f"I3 two records hold {new.provider_id}",
            )
        if old is None and self._kind(new.id) == 0:
            twins = [r for r in self.cloud.records() if r.id != new.id and self._kind(r.id) == 0]
            check(not twins, "I9 one Idempotency-Key, two records")
        if starts(old, new):
            self.cloud.owed |= {f"{new.id}:started"}
        self.cloud.owed |= {f"{new.id}:{event}" for event in grows(old, new)}
        for extra in set(new.extra_provider_ids) - set(old.extra_provider_ids if old else ()):
            ups = self.cloud.upstream.ups
            if extra in ups:
                ups[extra] = replace(ups[extra], extra_since=self.cloud.clock.now)
        if not ended:
            return
        own = self.cloud.upstream.ups.get(new.provider_id or "")
        price = old.price if old else None
        made = [] if own else [up for up in self._of(new) if up.in_time]
        ledger.settled(new, price, own, made, surplus=self.cloud.config.surplus)
        if new.state is State.SUCCEEDED:
            self._succeeded(new)
        else:
            self._ended_otherwise(new)

    def _kind(self, id_: str) -> int:
        return self.cloud.submitted[int(id_)]

    def _succeeded(self, record: Prediction) -> None:
        source = self._source(record)
        up = self.cloud.upstream.ups[str(source.provider_id)]
        check(len(record.files) == up.pictures, "I6 succeeded without all of its files")
        check(_same_input(up, record), "I6 another prediction's pictures")
        for number, file in enumerate(record.files):
            stored = self.cloud.outputs.objects.get(file.key)
            check(stored is not None, f"I6 succeeded, but {file.key} does not exist")
            data = stored[1] if stored else b""
            whole = data == picture(f"{source.provider_id}/{number}.png")
            check(whole, f"I6 {file.key} holds other bytes than the output")
            digest = hashlib.sha256(data).hexdigest()
            check(digest == file.sha256, f"I6 {file.key} has another hash")

    def _source(self, record: Prediction) -> Prediction:
        """Return the prediction that made the files: another one for a hit of the result cache."""
        if record.cached_from is None:
            return record
        source = self.cloud.record(record.cached_from)
        made = source is not None and source.state is State.SUCCEEDED
        check(made and self.cloud.config.cache, "I6 a copy of what nothing made")
        check(source is not None and source.tenant == record.tenant, "I11 another tenant's result")
        return source or record

    def _ended_otherwise(self, record: Prediction) -> None:
        up = self.cloud.upstream.ups.get(record.provider_id or "")
        now = self.cloud.clock.now + self.cloud.config.off_ms
        if record.code is Code.OUTPUT_EXPIRED:
            gone = up is not None and now >= (up.completed_at or now) + LIFE_MS
            check(gone, "I5 output_expired while the provider's copy existed")
            # No single fault lasts an hour; permanent ones do.
            lasting = self.cloud.config.refused or self.cloud.config.stays == "row"
            check(
                self.cloud.gap or lasting, "I5 output_expired, though there was an hour to copy it"
            )
            self.allow("output_expired")
        elif record.code is Code.OUTCOME_UNKNOWN:
            self._outcome_unknown(record)
        elif record.provider_id is None:
            ran = [u for u in self._of(record) if u.in_time]
            check(not ran, f"I2 {record.state.value} as if nothing ran, but something does")
        elif record.code is Code.PROVIDER_LOST:
            broken = up is None or self.cloud.upstream.broken(up) or self.cloud.config.refused
            last = now >= record.deadline + LAST_MS
            check(last, "I3 given up too early, and the provider knows it")
            check(broken or self.cloud.gap, "I3 given up, but the provider tells of it")
            self.allow("provider_lost")
        elif record.code is Code.OUTPUT_MISSING:
            shown = up is None or self.cloud.config.output == "files"
            check(not shown, "I5 output_missing, but there is one")
            check(not self.cloud.config.mends, "I5 output_missing, but it came a moment later")
            self.allow("output_missing")

    def _outcome_unknown(self, record: Prediction) -> None:
        """Without an echo the list proves nothing, so design 2 allows the record a visible end."""
        cloud = self.cloud
        config = cloud.config
        age = cloud.process_clock() - record.create.started_at
        check(age >= int(config.timings.create_give_up_s * 1000), "I2 outcome_unknown too early")
        alike = [up for up in cloud.upstream.ups.values() if self._could_be(up, record)]
        if config.dedicated:
            owners = cloud.store.owners
            alike = [up for up in alike if owners.get(up.id, record.id) == record.id]
        named = [up for up in self._of(record) if up.in_time and cloud.upstream.names(up)]
        check(not named or cloud.gap, "I3 outcome_unknown, but the list names its prediction")
        exact = config.show_input == "exact" and not record.uploads
        bindable = config.dedicated and len(alike) == 1 and exact
        excused = config.echo == "none" and alike and not bindable
        check(
            bool(excused) or cloud.gap or not cloud.upstream.legible,
            "I3 outcome_unknown, but the list had settled it",
        )
        self.allow("outcome_unknown")

    def _could_be(self, up: Up, record: Prediction) -> bool:
        """Whether nothing in the list excludes that the record's create made the prediction.

        Another version excludes it, if one is shown and was sent, and so does a boolean's opposite.
        A text, number, URL or name does not, because the provider may show those in another form.
        """
        config = self.cloud.config
        sent = up.request["version"]
        if config.show_version == "true" and sent and record.version and sent != record.version:
            return False
        if config.show_input == "empty" or self.cloud.upstream.removed(up):
            return True
        name = "disable_safety_checker"
        theirs, ours = up.request["input_"].get(name), record.input.get(name)
        return theirs is None or ours is None or theirs is ours

    def creating(self, id_: str) -> tuple[int, int]:
        """Check a create before it is sent. Returns its attempt, and the time until which an answer
        is awaited."""
        record = self.cloud.record(id_)
        if record is None:
            raise Violation("I16 a create leaves before its record exists")
        attempt = record.create
        ready = record.state is State.ACCEPTED and attempt.state is CreateState.IN_FLIGHT
        raced = record.provider_id is not None or record.state.terminal
        posts = self.cloud.upstream.posts.get(id_, ())
        check(ready or raced, "I2 a create leaves that its record does not tell of")
        if posts:
            last = posts[-1]
            check(attempt.attempt > last.attempt, "I2 one attempt is sent twice")
            why = "retry_after was" if last.sure else "the silence was"
            soon = last.not_before - self.cloud.config.off_ms if last.sure else last.not_before
            check(self.cloud.clock.now >= soon, f"I2 {why} not waited for")
        exists = [u for u in self._of(record) if u.in_time and not self.cloud.upstream.hidden(u)]
        check(not exists, "I2 created again while an earlier one exists")
        # True time: the process that stored the attempt has its own clock.
        over = attempt.until - self.cloud.config.ahead_ms("submit")
        return attempt.attempt, over + SHOWN_WITHIN_MS

    def answered(self, handler: str, faults: Collection[str]) -> None:
        """Check a run without faults except for the provider's answer to its create."""
        for_good = len(faults) == 1 and set(faults) <= REFUSED_FOR_GOOD
        if not for_good or handler not in {"submit", "dispatch"} or not self.cloud.mended:
            return
        refused = [
            record
            for record in self.cloud.records()
            if (posts := self.cloud.upstream.posts.get(record.id)) and posts[-1].for_good
        ]
        ended = all(record.state.terminal for record in refused)
        check(ended, "I2 refused for good, and to be sent again")

    def publishing(self, detail_type: str, detail: dict[str, Any]) -> None:
        """Check an event before it is published."""
        if detail_type == REJECTED:
            kind = int(detail["request_id"].partition("-")[2])
            made = [r for r in self.cloud.records() if self._kind(r.id) == kind]
            check(not made, "I8 rejected, and recorded all the same")
            return
        if detail_type == CALLBACK_DISABLED:
            check(bool(self.cloud.client.gone), "I8 called no more, though the client did not ask")
            return
        record = self.cloud.record(detail["id"])
        state = record.state if record else State.ACCEPTED
        started = detail_type == "Prediction Started" and state.rank >= State.PROCESSING.rank
        ended = state.terminal and detail_type == f"Prediction {STATUS[state].capitalize()}"
        check(started or ended, f"I8 {detail_type} is published while the record is {state}")

    def calling(self, message_id: str, body: bytes) -> None:
        """Check a callback before it is sent."""
        id_, _, event = message_id.partition("_")
        record = self.cloud.record(id_)
        state = record.state if record else State.ACCEPTED
        least = State.SUCCEEDED.rank if event == "completed" else State.PROCESSING.rank
        check(state.rank >= least, f"I8 a callback for {event} while the record is {state}")
        if event != "completed":
            over = f"{id_}_completed" in self.cloud.posts_before
            check(not over, "I8 an older status is told after `completed`")
            return
        said = json.loads(body)
        check(said["status"] == STATUS[state], "I8 a callback tells another state")
        if state is State.SUCCEEDED:
            count = len(record.files) if record else 0
            check(len(said["output"] or ()) == count, "I8 a callback without the output")

    def answering(self, token: str, error: str) -> None:
        """Check the answer of a Step Functions task before it is sent."""
        waits = [record for record in self.cloud.records() if record.task_token == token]
        if not waits:
            check(error == "Darkroom.request_rejected", "I8 a task is told of what nothing made")
            return
        state = waits[0].state
        check(state.terminal, f"I8 a task is told of its end while the record is {state}")
        check((error == "") == (state is State.SUCCEEDED), "I8 a task is told another end")

    def acknowledged(self, up: Up, status: str) -> None:
        """Check a genuine webhook that was answered with a 2xx."""
        for record in self.cloud.records():
            if up.id in record.extra_provider_ids:
                return
            if record.provider_id == up.id:
                least = STATES[status].rank
                noted = record.asked_again and status == "succeeded"
                noted = noted or record.state.rank >= least
                check(noted, f"I16 2xx, but {status} is not written down")
                return
        raise Violation("I16 2xx, but the prediction is not known here")

    def _of(self, record: Prediction) -> list[Up]:
        """Return the predictions that the record's creates made and no record has; two equal ones
        may be linked crosswise."""
        held = {other.provider_id for other in self.cloud.records()}
        ups = self.cloud.upstream.ups.values()
        return [up for up in ups if up.record == record.id and up.id not in held]


def _same_input(up: Up, record: Prediction) -> bool:
    """Whether the prediction has the record's input; its uploads were URLs there."""
    sent, ours = up.request["input_"], record.input
    return all(sent.get(name) == value for name, value in ours.items())
