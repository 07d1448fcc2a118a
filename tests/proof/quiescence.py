"""Invariants at quiescence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.prediction import Code, State

from tests.proof import ledger
from tests.proof.gate import check
from tests.proof.invariants import STATES
from tests.proof.requests import TASKS
from tests.proof.shows import FINAL

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

    from tests.proof.cloud import Cloud
    from tests.proof.invariants import Invariants
    from tests.proof.upstream import Up

CANCEL_TAKES_MS = 900_000
"""Time within which a requested cancellation must reach the provider, with sweeps running."""


def settled_down(watch: Invariants) -> None:
    """Check all of them. Raises Violation."""
    cloud = watch.cloud
    told = cloud.bus.events | _told_of_growth(cloud)
    check(cloud.owed <= told, "I8 no event tells that one started, or no callback that one grew")
    for id_ in cloud.accepted:
        check(cloud.record(id_) is not None, "I1 an accepted prediction is gone")
    for record in cloud.records():
        check(record.state.terminal, f"I7 {record.id} is stuck in {record.state}")
        _announced(cloud, record)
        _agrees(cloud, record)
    for up in cloud.upstream.ups.values():
        _owned(watch, up)
    for kind in cloud.asked:
        _answered(cloud, kind)
    ledger.closed(cloud)
    kept = {file.key for record in cloud.records() for file in record.files}
    for key in cloud.outputs.objects.keys() - kept:
        owner = cloud.record(key.split("/")[3])
        if key.rpartition("/")[2].startswith("copy-"):
            # The copy of an abandoned cache hit, or of one whose submit died; retention deletes it.
            watch.allow("copy without a record")
            continue
        failed = owner is not None and owner.state is State.FAILED
        check(failed, f"I6 {key} belongs to no file of a record")


def _told_of_growth(cloud: Cloud) -> set[str]:
    """Return the events of growing output and logs that the client received, or that the end
    superseded."""
    return {
        f"{id_}:{event.partition('-')[0]}"
        for (id_, event), row in cloud.deliveries.rows.items()
        if row.state != "pending"
    }


def _announced(cloud: Cloud, record: Prediction) -> None:
    event = f"{record.id}:{record.state.value}"
    check(event in cloud.bus.events, f"I8 no event tells that {record.id} ended")
    if record.webhook:
        row = cloud.deliveries.rows.get((record.id, "completed"))
        state = row.state if row is not None else None
        # An endpoint that answered 410 is not called again; if it answered nothing else, it is
        # disabled.
        gone = cloud.client.gone
        failed = state == "failed" and f"{record.id}_completed" in gone
        in_vain = cloud.config.stays == "endpoint" and state in {"failed", "disabled"}
        called = state == "delivered" or failed or (state == "disabled" and bool(gone)) or in_vain
        check(called, f"I8 the client was not called about {record.id}")


def _answered(cloud: Cloud, kind: int) -> None:
    """Check that a request that arrived as an event made one prediction, or was rejected
    visibly."""
    made = [r for r in cloud.records() if cloud.submitted[int(r.id)] == kind]
    check(len(made) <= 1, "I9 one event, two predictions")
    if not made:
        check(f"event-{kind}:rejected" in cloud.bus.events, "I1 an event's request is gone")
        check(bool(cloud.parked.bodies), "I1 a rejected request is not kept")
    token = TASKS.get(kind)
    told = [answered for answered, _ in cloud.tasks.answers if answered == token]
    check(token is None or bool(told), "I8 a task waits for ever")


def _agrees(cloud: Cloud, record: Prediction) -> None:
    up = cloud.upstream.ups.get(record.provider_id or "")
    if up is None:
        return
    expected = State.SUCCEEDED if up.status == "succeeded" else STATES.get(up.status)
    # Each is checked when it is written.
    if record.code in {Code.PROVIDER_LOST, Code.OUTPUT_MISSING}:
        return
    expired = up.status == "succeeded" and record.code is Code.OUTPUT_EXPIRED
    if expected is State.SUCCEEDED:
        check(record.state is expected or expired, f"I5 lost: {record.code}")
    check(record.state is expected or expired, f"I4 {up.status} there, {record.state} here")
    wished = record.cancel_requested_at
    if wished and up.cut_off and not record.cancel_by_deadline:
        forgotten = up.ends_by - wished > CANCEL_TAKES_MS
        known = cloud.config.echo == "exact" and not cloud.gap
        check(not (forgotten and known), "I3 the wish to cancel never reached the provider")


def _owned(watch: Invariants, up: Up) -> None:
    cloud = watch.cloud
    records = cloud.records()
    owners = [r for r in records if up.id == r.provider_id or up.id in r.extra_provider_ids]
    if not owners:
        origin = cloud.record(up.record)
        unknown = origin is not None and origin.code is Code.OUTCOME_UNKNOWN
        # One took effect later than the awaited silence, so there were two, and no webhook of this
        # one ever arrived.
        ups = cloud.upstream.ups.values()
        overdue = any(u.record == up.record and not u.in_time for u in ups)
        check(not up.told and (unknown or overdue), f"I3 nobody knows of {up.id}")
        watch.allow("unseen late create")
        return
    check(len(owners) == 1, f"I3 {len(owners)} records hold {up.id}")
    if up.id in owners[0].extra_provider_ids:
        late = up.cut_off and up.ends_by - (up.extra_since or 0) > CANCEL_TAKES_MS
        idle = late and not cloud.gap
        check(up.status in FINAL and not idle, f"I3 the extra {up.id} runs on")
        watch.allow("double create, canceled")
