"""Messages of the dispatch queue: create upstream again, or cancel upstream."""

from __future__ import annotations

from typing import Any

from darkroom.runtime import wiring
from darkroom.runtime.batches import BadMessage, run_messages
from darkroom.runtime.observability import count, logger, metrics


def _one(message: dict[str, str]) -> None:
    dispatch = wiring.dispatch()
    match message:
        case {"action": "create", "id": id_}:
            sent = dispatch.create_upstream(id_)
            count("CreateRepeated", int(sent))
            logger.info("dispatch", prediction=id_, sent=sent)
        case {"action": "cancel", "id": id_, "provider_id": provider_id}:
            dispatch.cancel_upstream(id_, provider_id)
            logger.info("cancel upstream", prediction=id_)
        case _:
            raise BadMessage("an action that dispatch does not know")


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    """At least once; the record decides whether anything is left to do."""
    return run_messages(event, context, _one, frozenset({"action", "id"}))
