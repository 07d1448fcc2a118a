"""The one durable record of a prediction, and the words for where it stands.

Times are integers: milliseconds since the epoch, on our clock, unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """Where a prediction stands. `rank` never falls; terminal states are immutable."""

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
        """True where nothing may follow."""
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
    """Why a prediction did not succeed, for programs. `error` says it for people."""

    PROVIDER_FAILED = "provider_failed"
    REJECTED = "rejected"
    CANCELED = "canceled"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    OUTCOME_UNKNOWN = "outcome_unknown"
    OUTPUT_MISSING = "output_missing"
    """The provider says that it succeeded, and has no file to show for it."""
    OUTPUT_EXPIRED = "output_expired"
    OUTPUT_REFUSED = "output_refused"
    OUTPUT_TOO_LARGE = "output_too_large"
    PROVIDER_LOST = "provider_lost"


class CreateState(StrEnum):
    """What is known of the latest POST to the provider. Only `refused` may be sent again."""

    IN_FLIGHT = "in_flight"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CreateAttempt:
    """The latest attempt to create upstream, written before its POST leaves."""

    attempt: int
    state: CreateState
    started_at: int = 0
    until: int = 0
    """An attempt in flight is over by now: past this its outcome is unknown."""
    not_before: int = 0
    """Refused: the next attempt's earliest time. Unknown: the next look at the provider's list."""
    parked: bool = False
    """Refused because of our own token or account: an operator has to act."""


@dataclass(frozen=True, slots=True)
class File:
    """One stored output. The key is kept, never a URL: URLs are made when read."""

    key: str
    sha256: str
    bytes: int
    content_type: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """What a prediction costs, in millionths of a US dollar, as the catalogue had it at submit."""

    unit: str
    """How the provider bills what is known at the end: `image`, `second`, `megapixel`,
    `whole_megapixel`; or `prediction`."""
    micro: int
    """Of one unit."""
    most: int
    """Of the whole prediction, whatever it turns out to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One record. A change makes a new one with `revision` one higher; see `lifecycle.advance`."""

    id: str
    tenant: str
    created_at: int
    model: str
    version: str | None
    """Pinned version; None runs an official model by name."""
    input: str
    """Canonical JSON. Values that were moved to the uploads bucket are absent from it."""
    uploads: dict[str, str] = field(default_factory=dict)
    """JSON pointer into `input` → key in the uploads bucket."""
    webhook: str | None = None
    """The client's callback URL."""
    webhook_events: tuple[str, ...] = ("completed",)
    deadline: int
    typical_ms: int
    """The model's typical duration, which times the first poll."""
    makes_files: bool = False
    """The model's output is files: it has succeeded only with one. Until the end."""
    output_places: tuple[str, ...] = ()
    """Where the model's output schema has files and where it has text, as `Place.patterns` says it:
    empty where that is one file or a list of them. Until the end."""
    fingerprint: str = ""
    """Hash of what the client asked for: a repeated request has the same."""
    cache_key: str | None = None
    """Hash of what decides the result: requests with the same may share it, within a tenant."""
    cached_from: str | None = None
    """The prediction whose result this one is a copy of: then nothing was created for it."""
    expires_at: int
    """End of retention, in seconds since the epoch: DynamoDB's TTL attribute."""
    price: Price | None = None
    """Until the end. None: unknown, as for a model outside the catalogue."""
    price_base: int = 0
    """Millionths that a run costs beside its price's units: for itself, and for the pictures that
    it was given. Until the end."""
    price_tiers: tuple[int, ...] = ()
    """Pixels and millionths in turn: what one picture costs up to that size. Until the end."""
    ledger: str | None = None
    """The row of the tenant's month that holds the reservation; None where nothing is reserved."""
    end_user_ledger: bool = False
    """The end user's month holds the same reservation."""
    task_token: str | None = field(default=None, repr=False)
    """The Step Functions task that waits for this one. A secret: shown and logged nowhere."""
    metadata: dict[str, str] = field(default_factory=dict)
    """The client's own, like what follows: shown to it, never to the provider."""
    tags: tuple[str, ...] = ()
    end_user: str | None = None
    """Whom the tenant made the prediction for, by whatever name it has for them."""
    request_id: str | None = None
    """Of a request that came as an event: the id by which its sender knows it."""

    revision: int = 1
    updated_at: int
    due_at: int | None = None
    """When the sweep takes the record up; None leaves the index."""
    state: State = State.ACCEPTED
    create: CreateAttempt
    provider_id: str | None = None
    adopted: bool = False
    """Bound because the inputs are equal: it may be a twin's, and our own create still to come."""
    extra_provider_ids: tuple[str, ...] = ()
    """Upstream predictions beyond ours that carry our link: to be cancelled, and counted."""
    stream_url: str | None = None
    output: str | None = None
    """The provider's output, as JSON; once its files are stored, `data:` in place of each URL."""
    logs: str = ""
    """The tail of the logs; `log_size` is the length of the whole."""
    log_size: int = 0
    error: str | None = None
    code: Code | None = None
    metrics: str | None = None
    started_at: str | None = None
    """As the provider wrote it (RFC 3339)."""
    completed_at: str | None = None
    """As the provider wrote it, or our own time where it never came to that."""
    watched_until: int = 0
    """Somebody polls it: the provider is looked at for that, and not again before. Until the end.
    """
    finished_at: int | None = None
    """`completed_at` of a success in milliseconds: outputs live an hour from here."""
    polls: int = 0
    next_poll_at: int = 0
    missing_since: int = 0
    """The first of the 404s that nothing but 404s has followed; 0 where the provider knows it."""
    asked_again: bool = False
    """The provider said that it succeeded, and showed no file: it is asked once more."""
    store_attempts: int = 0
    """Runs in a row that stored nothing more."""
    next_store_at: int = 0
    files: tuple[File, ...] = ()
    """By their places in the output. While storing: those stored so far, in any order."""
    told_output_at: int = 0
    """The change of this time told the client's webhook that the output grew."""
    told_logs_at: int = 0
    """The same of the logs."""
    cancel_requested_at: int | None = None
    cancel_by_deadline: bool = False
    next_cancel_at: int = 0
    effects_done: bool = False
    """Terminal only: what the end of this prediction causes has been handed on."""
    cost: int | None = None
    """Terminal only: in millionths of a US dollar; None where the price is unknown."""
    cost_assumed: bool = False
    """Terminal only: nobody knows what ran, and `cost` is the most that was reserved."""
    counted: bool = False
    """Terminal only: the prediction stands in its tenant's usage."""

    @property
    def places(self) -> tuple[str, ...]:
        """What is said of the places in its output; nothing where nothing is known."""
        return self.output_places or (_FILES if self.makes_files else ())


_FILES = ("", "/*")
