"""Messages of the dispatch queue: create upstream again, cancel upstream, or look for news."""

from __future__ import annotations

from typing import Any

from darkroom.runtime import wiring
from darkroom.runtime.batches import BadMessageError, run_messages
from darkroom.runtime.observability import count, invocation, logger


def _one(message: dict[str, str]) -> None:
    match message:
        case {"action": "create", "id": id_}:
            sent = wiring.dispatch().create_upstream(id_)
            count("CreateRepeated", int(sent))
            logger.info("dispatch", prediction=id_, sent=sent)
        case {"action": "cancel", "id": id_, "provider_id": provider_id}:
            wiring.dispatch().cancel_upstream(id_, provider_id)
            logger.info("cancel upstream", prediction=id_)
        case {"action": "look", "id": id_}:
            count("Looked", int(wiring.look()(id_)))
        case _:
            raise BadMessageError("an action that dispatch does not know")


@invocation
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once; the record decides whether anything is left to do."""
    return run_messages(event, _one, frozenset({"action", "id"}))


wiring.at_init(wiring.dispatch)
