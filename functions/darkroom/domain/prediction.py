"""The durable record of a prediction, and its states.

Times are integers: milliseconds since the epoch, on our clock, unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from darkroom.domain.values import immutable

Json = Any
"""A JSON value, as `json` parses it, with the keys of each object sorted. Records share their
values, so no code changes one in place."""
JsonObject = dict[str, Any]
"""A JSON value that is an object."""

SHOWN = {"shown": True}
"""Metadata of a field that is in `darkroom` of each answer, callback and event, with its own name
and value. Its description is in `api/schemas.py`."""


class State(StrEnum):
    """State of a prediction. `rank` never decreases, and terminal states are immutable."""

    ACCEPTED = "accepted"
    SUBMITTED = "submitted"
    PROCESSING = "processing"
    STORING = "storing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"

    @property
    def rank(self) -> int:
        """0 to 4, in the order of a prediction's life."""
        return _RANKS[self]

    @property
    def terminal(self) -> bool:
        """Whether no state can follow."""
        return _RANKS[self] == 4


_RANKS = {
    State.ACCEPTED: 0,
    State.SUBMITTED: 1,
    State.PROCESSING: 2,
    State.STORING: 3,
    State.SUCCEEDED: 4,
    State.FAILED: 4,
    State.CANCELED: 4,
    State.ABORTED: 4,
}


class Code(StrEnum):
    """Why a prediction did not succeed, for programs. `error` has the text for people."""

    PROVIDER_FAILED = "provider_failed"
    REJECTED = "rejected"
    CANCELED = "canceled"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    OUTCOME_UNKNOWN = "outcome_unknown"
    OUTPUT_MISSING = "output_missing"
    """The provider reports success, but shows no file."""
    OUTPUT_EXPIRED = "output_expired"
    OUTPUT_REFUSED = "output_refused"
    OUTPUT_TOO_LARGE = "output_too_large"
    PROVIDER_LOST = "provider_lost"


class CreateState(StrEnum):
    """State of the latest POST to the provider. Only `refused` may be repeated."""

    IN_FLIGHT = "in_flight"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@immutable
class CreateAttempt:
    """The latest attempt to create upstream, stored before its POST is sent."""

    attempt: int
    state: CreateState
    started_at: int = 0
    until: int = 0
    """End of an attempt in flight; afterwards its outcome is unknown."""
    not_before: int = 0
    """Refused: the earliest time of the next attempt. Unknown: the next search of the provider's
    list."""
    parked: bool = False
    """Refused because of our token or account, so an operator has to act."""


@immutable
class File:
    """One stored output. Its key is stored, never a URL, since URLs are signed when read."""

    key: str
    sha256: str
    bytes: int
    content_type: str
    width: int | None = None
    height: int | None = None


@immutable
class Price:
    """The price of a prediction in millionths of a US dollar, from the catalogue at submit."""

    unit: str
    """The provider's billing unit that is known at the end: `image`, `second`, `megapixel`,
    `whole_megapixel`; otherwise `prediction`."""
    micro: int
    """Price of one unit."""
    most: int
    """Maximum of the whole prediction."""


@immutable
class Prediction:
    """One record. A change creates a new one with the next `revision`; see `lifecycle`."""

    _: KW_ONLY
    id: str
    tenant: str
    created_at: int
    model: str
    version: str | None
    """The pinned version; None runs an official model by name."""
    input: JsonObject
    """The values that were moved to the uploads bucket."""
    uploads: dict[str, str] = field(default_factory=dict)
    """Keys in the uploads bucket, by JSON pointer into `input`."""
    webhook: str | None = None
    """The client's callback URL."""
    webhook_events: tuple[str, ...] = ("completed",)
    deadline: int
    typical_ms: int
    """The model's typical duration, which determines the first poll."""
    makes_files: bool = False
    """The model makes files, so a success needs at least one. Dropped at the end."""
    output_places: tuple[str, ...] = ()
    """Places of files and of text by the model's output schema, as `Place.patterns` returns them;
    empty for one file or a list of files. Dropped at the end."""
    fingerprint: str = ""
    """Hash of the client's request; a repeated request has the same."""
    cache_key: str | None = None
    """Hash of everything that determines the result; requests of a tenant with the same hash may
    share it."""
    cached_from: str | None = field(default=None, metadata=SHOWN)
    """The prediction whose result this one copies; nothing was created for it."""
    expires_at: int
    """End of retention, in seconds since the epoch: DynamoDB's TTL attribute."""
    price: Price | None = None
    """Dropped at the end. None if unknown, as for a model outside the catalogue."""
    price_base: int = 0
    """Additional millionths for a run, independent of the price's units: for the run itself and for
    its input pictures. Dropped at the end."""
    price_tiers: tuple[int, ...] = ()
    """Alternating pixels and millionths: the price of one picture up to that size. Dropped at the
    end."""
    ledger: str | None = None
    """The row of the tenant's month with the reservation; None if nothing is reserved."""
    end_user_ledger: bool = False
    """The end user's month has the same reservation."""
    task_token: str | None = field(default=None, repr=False)
    """The Step Functions task that waits for this one. A secret, never shown or logged."""
    metadata: dict[str, str] = field(default_factory=dict)
    """The client's own data, like the next fields: shown to it, never sent to the provider."""
    tags: tuple[str, ...] = ()
    end_user: str | None = None
    """The tenant's own id of the person that the prediction is for."""
    request_id: str | None = None
    """The sender's id of a request by event."""

    revision: int = 1
    updated_at: int
    due_at: int | None = None
    """Time at which the sweep handles the record; None removes it from the index."""
    state: State = field(default=State.ACCEPTED, metadata=SHOWN)
    create: CreateAttempt
    provider_id: str | None = field(default=None, metadata=SHOWN)
    adopted: bool = False
    """The provider id was matched by identical input only. It may belong to another record with the
    same input, and this record's own create may still appear."""
    extra_provider_ids: tuple[str, ...] = ()
    """Additional upstream predictions with our link, which are canceled and counted."""
    stream_url: str | None = None
    output: Json | None = None
    """The provider's output; once its files are stored, `data:` replaces each URL."""
    logs: str = ""
    """The tail of the logs; `log_size` is their total length."""
    log_size: int = 0
    error: str | None = None
    code: Code | None = field(default=None, metadata=SHOWN)
    metrics: JsonObject | None = None
    started_at: str | None = None
    """As the provider wrote it (RFC 3339)."""
    completed_at: str | None = None
    """As the provider wrote it, or our own time if it never did."""
    watched_until: int = 0
    """End of the period for which a client's poll causes no further poll of the provider. Dropped
    at the end."""
    finished_at: int | None = None
    """`completed_at` of a success in milliseconds; outputs live an hour from here."""
    polls: int = 0
    next_poll_at: int = 0
    missing_since: int = 0
    """Time of the first in an unbroken series of 404s; 0 if the provider knows the prediction."""
    asked_again: bool = False
    """The provider reported success without a file, so it is polled once more."""
    store_attempts: int = 0
    """Consecutive runs that stored nothing more."""
    next_store_at: int = 0
    files: tuple[File, ...] = ()
    """In the order of their places in the output. While storing: those stored so far, in any
    order."""
    told_output_at: int = 0
    """Time of the change that last notified the client of growing output."""
    told_logs_at: int = 0
    """Time of the change that last notified the client of growing logs."""
    cancel_requested_at: int | None = None
    cancel_by_deadline: bool = False
    next_cancel_at: int = 0
    effects_done: bool = False
    """Terminal only: the effects of this prediction's end are carried out."""
    cost: int | None = None
    """Terminal only: in millionths of a US dollar; None if the price is unknown."""
    cost_assumed: bool = field(default=False, metadata=SHOWN)
    """Terminal only: the run is unknown, and `cost` is the reserved maximum."""
    counted: bool = False
    """Terminal only: the prediction is counted in its tenant's usage."""

    @property
    def folder(self) -> str:
        """Below which its objects are in the outputs bucket."""
        created = datetime.fromtimestamp(self.created_at // 1000, UTC)
        return f"{self.tenant}/{created:%Y/%m}/{self.id}/"

    @property
    def places(self) -> tuple[str, ...]:
        """Patterns that describe the places of its output; empty if unknown."""
        return self.output_places or (_FILES if self.makes_files else ())


_FILES = ("", "/*")
