"""Messages of the intake queue: `{"tenant", "id", "detail"}`, as a rule writes them.

A sender to the queue acts for the tenant that the message names; only rules and explicitly allowed
principals may send. The detail comes from an application, and is as hostile as any request.
"""

from __future__ import annotations

from typing import Any

from darkroom.domain import strict_json
from darkroom.domain.errors import BadRequestError
from darkroom.domain.events import LONGEST_TASK_TOKEN, TENANT
from darkroom.domain.values import immutable
from darkroom.services.doors.intake import Envelope

LONGEST_ID = 255


@immutable
class Message:
    """A message, parsed as far as possible. `requested()` raises BadRequestError if the tenant or
    the detail is missing."""

    envelope: Envelope
    detail: Any = None
    problem: str | None = None

    def requested(self) -> tuple[Any, str]:
        """Return the detail, not yet validated, and the tenant. Raises BadRequestError."""
        if self.problem is not None or self.envelope.tenant is None:
            raise BadRequestError(self.problem or "The message names no tenant.")
        return self.detail, self.envelope.tenant


def read_message(body: str, message_id: str) -> Message:
    """Parse a message's body. Never raises."""
    nameless = Envelope(message_id, message_id)
    try:
        value = strict_json.loads(body.encode("utf-8", "surrogatepass"))
    except strict_json.StrictJSONError as error:
        return Message(nameless, problem=f"The message is not JSON: {error}")
    if not isinstance(value, dict):
        return Message(nameless, problem="The message is not a JSON object.")
    detail = value.get("detail")
    told = detail if isinstance(detail, dict) else {}
    tenant = value.get("tenant")
    known = isinstance(tenant, str) and TENANT.fullmatch(tenant) is not None
    id_ = _text(value.get("id"), LONGEST_ID) or message_id
    envelope = Envelope(
        id=id_,
        request_id=_text(told.get("id"), LONGEST_ID) or id_,
        tenant=tenant if known else None,
        task_token=_text(told.get("taskToken"), LONGEST_TASK_TOKEN),
    )
    unknown = value.keys() - {"tenant", "id", "detail"}
    problem = "The message holds more than tenant, id and detail." if unknown else None
    return Message(envelope, detail, problem)


def _text(value: object, most: int) -> str | None:
    plain = isinstance(value, str) and value.isascii() and value.isprintable()
    return str(value) if plain and str(value).strip() and len(str(value)) <= most else None
