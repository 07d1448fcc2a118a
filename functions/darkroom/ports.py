"""What the services need from outside, as protocols. Adapters and the tests' fakes implement them.

Unless a method says otherwise it may raise any error of its own for an outage; the caller's
platform (queue, stream, schedule, client) then tries again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol

    from darkroom.domain import repeats
    from darkroom.domain.callback import Callback
    from darkroom.domain.errors import UnreadableRecordError
    from darkroom.domain.lifecycle import Urgency
    from darkroom.domain.money import LedgerEntry, Limits
    from darkroom.domain.prediction import Prediction
    from darkroom.domain.receivers import Receivers
    from darkroom.domain.snapshot import Snapshot
else:
    # Only the type checker reads these, and a real Protocol takes a cold start 0.2 ms each.
    Protocol = object

Clock = Callable[[], int]
"""Milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Due:
    """A key of the `due` index: it may be stale, so the time is compared when claiming."""

    id: str
    due_at: int


@dataclass(frozen=True, slots=True)
class IdPage:
    """Ids in order, and where the next page begins."""

    ids: list[str]
    next: tuple[int, str] | None


LATEST = 10**14
"""No record is created so late."""


@dataclass(frozen=True, slots=True)
class Span:
    """The times of creation that a list is of, both included, and the end that it begins at."""

    first: int = 0
    last: int = LATEST - 1
    oldest_first: bool = False


ALWAYS = Span()


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key as it is stored: `IDEM#…`, hashed, within its tenant."""

    id: str
    expires_at: int
    """In seconds. A key past its time counts as absent."""


class PredictionStore(Protocol):
    """A record past its `expires_at` counts as gone for all that reads, whether it is still there
    or not. Whatever returns a record raises UnreadableRecordError where it cannot be read."""

    def insert(
        self,
        record: Prediction,
        key: IdempotencyKey | repeats.RepeatEntry | None = None,
        entries: Sequence[LedgerEntry] = (),
    ) -> None:
        """Put a new record; a key, or an entry among equal requests without one, entries in months,
        and the record's rows in lists go into one transaction with it: all or nothing.

        Raises AlreadyExistsError, IdempotencyKeyUsedError where the key is taken or the entry's
        condition does not hold, or LimitReachedError for the first of `entries` whose month has no
        room.
        """

    def check_key(self, key: IdempotencyKey, now: int) -> None:
        """Raises IdempotencyKeyUsedError where the key is taken."""

    def repeats_in(self, row: str) -> repeats.Repeats:
        """A row of equal requests without a key, strongly consistent; empty if there is none."""

    def answer_again(self, row: str, place: int, made: repeats.Made, count: int) -> bool:
        """Note that the row's prediction at this place is the answer to a request of this retry
        count, if it still is as it was seen."""

    def note_refusal(self, row: str, now: int) -> None:
        """Count a first try that was refused, beside others of the last `REFUSED_S`."""

    def in_flight(self, row: str) -> int:
        """Predictions of a month that are not over; eventually consistent."""

    def get(self, id_: str) -> Prediction | None:
        """Read one record, strongly consistent."""

    def glance(self, id_: str) -> Prediction | None:
        """Read one record, eventually consistent: it may be as it was a moment ago."""

    def get_many(
        self, ids: Iterable[str], unreadable: list[UnreadableRecordError] | None = None
    ) -> list[Prediction]:
        """Read records, strongly consistent, in the order of `ids`; unknown ones are left out.

        So are those that cannot be read: they are appended to `unreadable`. Raises UnavailableError
        where the store is too busy.
        """

    def commit(
        self, record: Prediction, *, claims: str | None = None, entries: Sequence[LedgerEntry] = ()
    ) -> None:
        """Replace the record if its stored revision is one lower.

        Raises ConflictError with the item that is stored instead. With `claims`, a provider's id,
        the write is one transaction with an item that gives that id one owner; raises
        ProviderIdTakenError where it has another. `entries` in months, and with them the
        prediction's cost in the tenant's usage, go into the same transaction.
        """

    def owner_of(self, provider_id: str) -> str | None:
        """The record that claimed the provider's id, if one did."""

    def due(self, now: int, limit: int) -> list[Due]:
        """Keys due by `now`, at most about `limit`, oldest first; eventually consistent."""

    def look(self, keys: Iterable[Due]) -> list[DueRecord]:
        """What the records are due for, in the order of `keys`; eventually consistent.

        Unknown ones are left out. One that cannot be read is told of all the same: its claim
        raises.
        """

    def claim(self, key: Due, until: int) -> Prediction | None:
        """Move the record's due time to `until` if it still is `key.due_at`; None if it is not.

        Returns the whole record as it is after the write. The revision stays. A record that is past
        its `expires_at` is returned as well: it still has to come to its end. Raises
        UnreadableRecordError after the write: the record comes again, and is in nobody's way till
        then.
        """

    def watch(self, record: Prediction, until: int) -> bool:
        """Note in the record that a client polls it; False where it is not as it was read.

        The revision stays, and the relay is told nothing.
        """

    def mark_effects_done(self, record: Prediction) -> None:
        """Take a terminal record out of `due`, one revision on, if its revision is still the
        stored one. Unless it is counted, what it cost goes into its tenant's usage, and its tags',
        in the same transaction.
        """

    def recent_ids(self, tenant: str, since: int, limit: int) -> list[str]:
        """A tenant's ids created since, newest first; eventually consistent."""

    def list_ids(
        self,
        tenant: str,
        after: tuple[int, str] | None,
        limit: int,
        span: Span = ALWAYS,
        name: str | None = None,
    ) -> IdPage:
        """A tenant's ids, newest first unless the span says otherwise, from `after` on; eventually
        consistent. With the `name` of a list (`correlation.lists`) those alone that are in it.

        Fails where the span is empty, or `after` is not within it.
        """


@dataclass(frozen=True, slots=True)
class DueRecord:
    """What the sweep has to know of a due record before it claims it: little, and as read lately.

    The claim returns the record itself.
    """

    key: Due
    due_at: int
    """As stored: the index may show an earlier time."""
    tenant: str
    urgency: Urgency
    created_at: int
    deadline: int
    finished_at: int | None = None
    provider_id: str | None = None
    canceling: bool = False
    asked_again: bool = False
    """A success that showed no file: the list will not do, it is asked for alone."""


@dataclass(frozen=True, slots=True)
class ProviderPage:
    """One page of the provider's list, newest first."""

    snapshots: list[Snapshot]
    complete: bool = True
    """False where an item of the page could not be read."""
    next: str | None = None
    """Where the next page begins; None on the last one."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The provider answered a create. `body` is None where it could not be read as JSON."""

    status: int
    body: object = None
    retry_after_s: float | None = None
    token_works: bool = True
    """False where the token was tried elsewhere and refused: a 403 is not about this request."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """The connection failed before the first byte of the request."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The request left, or may have left, and no answer came in time."""


class Provider(Protocol):
    """The service that runs predictions."""

    def create(
        self,
        *,
        model: str,
        version: str | None,
        input_: dict[str, Any],
        webhook: str,
        events: Iterable[str],
        cancel_after_s: int | None,
        budget_s: float,
    ) -> Answered | NotSent | NoAnswer:
        """POST once, never twice, within `budget_s` of wall-clock time. Raises nothing."""

    def get(self, provider_id: str) -> Snapshot | None:
        """None where the provider does not know the id. Raises ProviderUnavailableError."""

    def page(
        self, created_after: int, created_before: int | None = None, cursor: str | None = None
    ) -> ProviderPage:
        """A page of the account's predictions created in that time: the first one, or the one
        at the cursor of the page before.

        Raises ProviderUnavailableError; PageTooLargeError, where a shorter time may have a smaller
        page.
        """

    def token_works(self) -> bool:
        """False only where the provider refuses our token itself. Raises nothing."""

    def cancel(self, provider_id: str) -> Snapshot | None:
        """Cancel; idempotent. None where the id is unknown. Raises ProviderUnavailableError."""

    def input_schema(self, model: str, version: str) -> dict[str, Any] | None:
        """A version's OpenAPI schema, or None if unknown. Raises ProviderUnavailableError."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its token: only the token's SHA-256 is stored."""

    tenant: str
    scopes: frozenset[str]
    dedupe_window_s: int = 0
    """A request like one of the last so many seconds replays it, without any key or hint."""


@dataclass(frozen=True, slots=True)
class RunTime:
    """What a model's runs took lately, on average, and when the last one was noted."""

    run_ms: int
    at: int


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """Which of a tenant's callback secrets are in use."""

    current: int = 1
    previous_until: int = 0
    """Until then, in milliseconds, the one before it signs as well."""


class ApiKeys(Protocol):
    """Clients' keys. In all of these, a row past its `expires_at` counts as absent."""

    def api_key(self, key_id: str) -> ApiKey | None:
        """Look up `KEY#…`, eventually consistent; a revoked or expired key counts as absent."""


class RateBuckets(Protocol):
    """Token buckets, shared by all processes."""

    def take(self, name: str, now_us: int, interval_us: int, burst: int) -> int:
        """Take one request out of the token bucket of this name, a tenant's say; 0, or microseconds
        to wait. A bucket that is full again is forgotten."""


class LimitStore(RateBuckets, Protocol):
    """Tenants' limits, and the buckets by which they are kept."""

    def limits(self, tenant: str) -> Limits:
        """What the tenant may do; eventually consistent."""


class UsageStore(Protocol):
    """Tenants' days of usage."""

    def usage(
        self, tenant: str, days: Iterable[str], tag: str | None = None
    ) -> dict[str, dict[str, tuple[int, int]]]:
        """Predictions and micro-USD by model, by day (`yyyy-mm-dd`, at most 100 of them); with a
        tag, of those that have it.
        """


class SchemaCache(Protocol):
    """Schemas of open models."""

    def cached_schema(self, model: str, version: str) -> dict[str, Any] | None:
        """An open model's OpenAPI schema, if it was fetched before under this name."""

    def cache_schema(self, model: str, version: str, schema: dict[str, Any]) -> None:
        """Keep a schema: a version's never changes, and belongs to one model."""


class RunTimeStore(Protocol):
    """How long models took lately."""

    def run_times(self) -> dict[str, RunTime]:
        """Run times by model's name; one read, eventually consistent."""

    def note_run_time(self, model: str, run_time: RunTime, drop: str | None = None) -> None:
        """Replace one model's run time, and forget that of `drop`; the last writer wins."""


class ResultCache(Protocol):
    """Which prediction has the result of a request."""

    def cached_result(self, key: str) -> str | None:
        """The id of the prediction that last ended with this result, if one is noted."""

    def cache_result(self, key: str, prediction: str, expires_at: int) -> None:
        """Note it until `expires_at`, in seconds; the last writer wins."""


class SecretVersions(Protocol):
    """Which of a tenant's derived secrets count."""

    def secret_version(self, tenant: str) -> SecretVersion:
        """The tenant's; version 1 where none was ever set."""


class ReceiverStore(Protocol):
    """How tenants' receivers of callbacks are doing."""

    def receivers(self, tenant: str) -> Receivers:
        """How the tenant's are doing, strongly consistent: well, where nothing was written."""

    def put_receivers(self, tenant: str, receivers: Receivers) -> bool:
        """Replace them if the stored revision is one lower; else False. Kept for 60 days."""


class Controls(
    ApiKeys,
    LimitStore,
    UsageStore,
    SchemaCache,
    RunTimeStore,
    ResultCache,
    SecretVersions,
    ReceiverStore,
    Protocol,
):
    """All of these over one table. A service names those that it needs."""


class Queue(Protocol):
    def send(self, message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        """Enqueue at least once; `delay_s` is cut to SQS's 900.

        Of messages that wait, those of a `group` with few others under way come first: it is the
        tenant, where one is known.
        """


class Redelivery(Protocol):
    def put_off(self, receipt: str, seconds: int) -> None:
        """Show a message that was received again in so many seconds, at most SQS's 12 hours."""


class DeadLetters(Protocol):
    def park(self, body: str, reason: str) -> None:
        """Keep a message that will never be taken, as it came, with the reason beside it."""


class Tasks(Protocol):
    """Step Functions tasks, by their tokens. All but `beat` raise in an outage.

    Each returns False where nobody waits: the task was answered, gave up, or never was.
    """

    def succeed(self, token: str, output: str) -> bool:
        """End the task well; `output` is JSON, at most 256 KiB."""

    def fail(self, token: str, error: str, cause: str) -> bool:
        """End the task with an error's name and its cause, at most 256 and 32,768 characters."""

    def beat(self, token: str) -> bool:
        """Tell the task that it is being worked on."""


class EventBus(Protocol):
    def publish(self, detail_type: str, detail: dict[str, Any]) -> None:
        """Put one event; raises if the bus did not take it."""


class DeliveryStore(Protocol):
    """A row past its `expires_at` counts as gone for all that reads rows."""

    def put(self, callback: Callback) -> bool:
        """Put if absent; False if it was there."""

    def get(self, prediction: str, event: str) -> Callback | None:
        """Read one, strongly consistent. Raises UnreadableRecordError."""

    def of(self, prediction: str, limit: int) -> list[Callback]:
        """A prediction's rows without what is frozen, by event from z to a, at most `limit`.

        Those that cannot be read are left out.
        """

    def write(self, callback: Callback, *, seen: Callback, lane: str = "") -> bool:
        """Replace the row if state, attempts and next_at still are those of `seen`; else False.

        Rows that wait in one `lane` have a small part of what is due at a time, and never more
        than that where others are due.
        """

    def due(self, now: int, limit: int) -> list[tuple[str, str, int]]:
        """`(prediction, event, due_at)` of deliveries that no message stands for: at most about
        `limit`, a fair part of each lane, those first that have been due for longest.
        """

    def claim(self, prediction: str, event: str, due_at: int, until: int) -> bool:
        """Move the due time if it still is `due_at`."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What was written: size in bytes and the SHA-256 in hex."""

    bytes: int
    sha256: str
    earlier: bool = field(default=False, compare=False)
    """Another run had written it before."""


class OutputStore(Protocol):
    def write_once(self, key: str, content_type: str, chunks: Iterator[bytes]) -> StoredObject:
        """Stream an object that never is overwritten, in constant memory.

        If the key exists already, the stored object's own size and hash are returned. Whatever
        `chunks` raises passes through, and nothing is left visible.
        """

    def keys(self, prefix: str) -> list[str]:
        """The first thousand keys with the prefix, strongly consistent."""

    def get(self, key: str) -> Iterator[bytes]:
        """An object's bytes, in chunks. Raises where it is gone."""

    def copy(self, source: str, key: str) -> str | None:
        """Copy a stored object to a key that nobody else writes, with its type; safe to repeat.

        Returns the copy's SHA-256 in hex where the store tells it. Raises where the source is gone.
        """

    def digest(self, key: str) -> str | None:
        """What tells an object's bytes from others: the SHA-256 in hex where it is kept, else what
        the store has. None where there is no such object."""


class UploadStore(Protocol):
    def put(self, key: str, content_type: str, data: bytes, metadata: dict[str, str]) -> None:
        """Write an uploaded file or an input that is too large for its record."""

    def head(self, key: str) -> dict[str, Any] | None:
        """`content_type`, `bytes`, `created_at`, `etag` and `metadata` of an upload, or None."""

    def begin(self, key: str) -> dict[str, Any] | None:
        """The same, and the first bytes of the upload, `media.START` at most, as `start`."""

    def copy(self, source: str, key: str) -> bool:
        """Copy an upload with its type and metadata; False where there is none."""

    def delete(self, key: str) -> None:
        """Delete; idempotent."""

    def keys(self, prefix: str, after: str, limit: int) -> list[str]:
        """Keys with the prefix that sort after `after`, in order, at most `limit` (1 to 1000)."""


@dataclass(frozen=True, slots=True)
class PresignedForm:
    """An HTML form's target and the fields to send before the file."""

    url: str
    fields: dict[str, str]


class UploadForms(Protocol):
    """Lets a client write one file itself. Signing is local: no I/O."""

    def form(
        self, key: str, content_type: str, metadata: dict[str, str], most: int, seconds: int
    ) -> PresignedForm:
        """Takes 1 to `most` bytes of this type, under this key, for so many seconds."""


class Signer(Protocol):
    """Makes URLs for stored objects, good for an hour where the signer allows."""

    def output_url(self, key: str) -> str:
        """A URL that a client may GET."""

    def upload_url(self, key: str) -> str:
        """A URL from which the provider may GET an input: an upload, or an earlier output."""

    def output_key(self, url: str) -> str | None:
        """The key of the output that a URL of `output_url` is for, however it is signed and whether
        or not it is still good; None for every other URL."""


class Download(Protocol):
    """One open response: raw chunks, and what the server said of their length and type."""

    @property
    def length(self) -> int | None:
        """What the server said, if it did."""

    @property
    def content_type(self) -> str | None:
        """As it was said: nothing to rely on."""

    def chunks(self) -> Iterator[bytes]:
        """Raises TransferFailedError when the bytes stop short, pass the cap, or take too long."""


class Fetcher(Protocol):
    def serves(self, url: str) -> bool:
        """Whether it is on a host that outputs are fetched from. No I/O."""

    def open(self, url: str) -> AbstractContextManager[Download]:
        """GET from an allowed host, following nothing. Raises TransferFailedError."""


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """What a client's endpoint answered."""

    status: int
    retry_after_s: float | None = None


class CallbackSender(Protocol):
    def post(self, url: str, headers: dict[str, str], body: bytes) -> CallbackAnswer:
        """POST once to a client's URL. Raises TransferFailedError where no answer came."""


class Secrets(Protocol):
    """Cached for minutes; `refresh` asks for a new reading, at most one per 30 seconds."""

    def replicate_token(self) -> str:
        """Bearer token for Replicate. Raises UnavailableError."""

    def webhook_keys(self, *, refresh: bool = False) -> tuple[bytes, ...]:
        """Current and previous signing keys of Replicate's webhooks. Raises UnavailableError."""

    def link_keys(self) -> tuple[bytes, ...]:
        """Current and previous keys of the link token, current first. Raises UnavailableError."""

    def callback_keys(self) -> tuple[bytes, ...]:
        """Master keys from which tenants' callback secrets are derived, current first; a second
        one signs beside it while a rotation lasts. Raises UnavailableError."""
