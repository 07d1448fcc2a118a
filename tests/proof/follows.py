"""I4: valid transitions between two writes of a record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from darkroom.domain.prediction import State

from tests.proof.gate import check

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

_MAY_CHANGE_AT_THE_END = (
    "revision",
    "updated_at",
    "due_at",
    "effects_done",
    "extra_provider_ids",
    "counted",
)


def starts(old: Prediction | None, new: Prediction) -> bool:
    """Whether this change causes the `started` event."""
    was = old.state.rank if old else State.ACCEPTED.rank
    return was < State.PROCESSING.rank and new.state in {State.PROCESSING, State.STORING}


def grows(old: Prediction | None, new: Prediction) -> frozenset[str]:
    """Return the kinds of growth that the client must be notified about for the first time."""
    if old is None or new.state.terminal or not new.webhook:
        return frozenset()
    first = {
        "output": old.output is None and new.output is not None,
        "logs": old.log_size == 0 and new.log_size > 0,
    }
    return frozenset(event for event in new.webhook_events if first.get(event))


def follows(old: Prediction, new: Prediction) -> None:
    """Check one write against the record that it replaces. Raises Violation."""
    check(new.state.rank >= old.state.rank, f"I4 {old.state} became {new.state}")
    if old.state.terminal:
        same = {name: getattr(old, name) for name in _MAY_CHANGE_AT_THE_END}
        check(replace(new, **same) == old, "I4 a terminal record was changed")
    if new.revision == old.revision:
        claimed = replace(new, due_at=old.due_at, effects_done=old.effects_done)
        check(claimed == old, "I4 a change without a new revision")
    check(new.revision - old.revision in {0, 1}, "I4 a change skips a revision")
    kept = old.provider_id in {None, new.provider_id}
    check(kept, "I3 a bound provider id was replaced")
    grows = set(old.extra_provider_ids) <= set(new.extra_provider_ids)
    check(grows, "I3 an extra id was forgotten")
    grows = len(new.logs) >= len(old.logs) and (new.state.terminal or new.log_size >= old.log_size)
    check(grows, "I4 news of equal rank took logs away")
    wish = old.cancel_requested_at
    check(wish is None or new.cancel_requested_at == wish, "I4 a wish to cancel was forgotten")
