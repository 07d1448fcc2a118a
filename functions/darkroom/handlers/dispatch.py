"""Messages of the dispatch queue: create upstream again, cancel upstream, or poll."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.runtime import parts, rights
from darkroom.runtime.batches import BadMessageError, run_messages
from darkroom.runtime.function import Function, Right, WorkQueue
from darkroom.runtime.observability import count, logger
from darkroom.runtime.settings import Creating
from darkroom.services.predictions.dispatch import Dispatch
from darkroom.services.predictions.look import Look

if TYPE_CHECKING:
    from darkroom.runtime.adapters import Adapters


class DispatchSettings(Creating):
    """The settings of every function that creates predictions at the provider."""


class Dispatches(NamedTuple):
    dispatch: Dispatch
    look: Look


def build(s: DispatchSettings, a: Adapters) -> Dispatches:
    changes = parts.changes(s, a, s.controls_table, dedicated=s.dedicated_account)
    secrets = a.secrets(token_name=s.replicate_token_secret, link_name=s.link_key_secret)
    provider = a.provider(s.replicate_url, secrets)
    create = parts.send_create(s, a, changes, provider, secrets)
    return Dispatches(
        dispatch=Dispatch(changes, create, provider),
        look=Look(changes, provider, a.controls(s.controls_table)),
    )


def _one(made: Dispatches, message: dict[str, str]) -> None:
    match message:
        case {"action": "create", "id": id_}:
            sent = made.dispatch.create_upstream(id_)
            count("CreateRepeated", int(sent))
            logger.info("dispatch", prediction=id_, sent=sent)
        case {"action": "cancel", "id": id_, "provider_id": provider_id}:
            made.dispatch.cancel_upstream(id_, provider_id)
            logger.info("cancel upstream", prediction=id_)
        case {"action": "look", "id": id_}:
            count("Looked", int(made.look(id_)))
        case _:
            raise BadMessageError("an action that dispatch does not know")


def handle(made: Dispatches, event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """At least once; the record decides whether work is left."""
    return run_messages(event, partial(_one, made), frozenset({"action", "id"}))


FUNCTION = Function(
    __name__,
    settings=DispatchSettings,
    build=build,
    handle=handle,
    queues=(WorkQueue("Dispatch", batch_size=5),),
    timeout_s=60,
    rights=(
        rights.CHANGE,
        rights.CLAIM,
        # The common budget of polls that clients may cause.
        rights.COUNT_REQUEST,
        rights.COUNT_END,
        # An output may be the input of a later prediction, which the provider reads from S3.
        Right("s3:GetObject", "uploads/*", "outputs/*"),
        Right(rights.READ_SECRET, "replicate_token", "link_key"),
    ),
)
handler = FUNCTION.handler()
