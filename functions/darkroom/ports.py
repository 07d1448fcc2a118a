"""Protocols of everything that services need from outside. Adapters and the tests' fakes implement
them.

Unless a method says otherwise, it may raise any error for an outage; the caller's platform (queue,
stream, schedule, client) then retries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from darkroom.domain.values import immutable

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
    # Only the type checker reads these, and a real Protocol costs a cold start 0.2 ms each.
    Protocol = object

Clock = Callable[[], int]
"""Milliseconds since the epoch."""


@immutable
class Due:
    """A key of the `due` index. It may be stale, so claiming compares the time."""

    id: str
    due_at: int


@immutable
class IdPage:
    """Ids in order, and the position of the next page."""

    ids: list[str]
    next: tuple[int, str] | None


LATEST = 10**14
"""Later than the creation time of any record."""


@immutable
class Span:
    """Range of creation times of a list, inclusive, and its order."""

    first: int = 0
    last: int = LATEST - 1
    oldest_first: bool = False


ALWAYS = Span()


@immutable
class IdempotencyKey:
    """A client's idempotency key as stored: `IDEM#…`, hashed together with its tenant."""

    id: str
    expires_at: int
    """In seconds. An expired key counts as absent."""


@immutable
class Month:
    """A row `SPEND#…`, a tenant's or an end user's; amounts in millionths of a US dollar."""

    committed: int = 0
    """Spent and reserved together."""
    spent: int = 0
    in_flight: int = 0
    """Predictions that are not over."""


class PredictionStore(Protocol):
    """Stores records. For all reads, an expired record counts as absent, deleted or not. Methods
    that return a record raise UnreadableRecordError if it cannot be read."""

    def insert(
        self,
        record: Prediction,
        key: IdempotencyKey | repeats.RepeatEntry | None = None,
        entries: Sequence[LedgerEntry] = (),
    ) -> None:
        """Insert a new record. Its idempotency key (or its entry among equal requests without a
        key), its ledger entries and its rows in lists are written in the same transaction.

        Raises AlreadyExistsError; IdempotencyKeyUsedError if the key is used or the entry's
        condition is false; or LimitReachedError for the first of `entries` whose month has no room.
        """

    def check_key(self, key: IdempotencyKey, now: int) -> None:
        """Raise IdempotencyKeyUsedError if the key is used."""

    def repeats_in(self, row: str) -> repeats.Repeats:
        """Return a row of equal requests without a key, strongly consistent; empty if there is
        none."""

    def answer_again(self, row: str, place: int, made: repeats.Made, count: int) -> bool:
        """Record that the row's prediction at this place answered a request with this retry count.
        Returns False if the row has changed since it was read."""

    def note_refusal(self, row: str, now: int) -> None:
        """Count a rejected first attempt, together with others of the last `REFUSED_S`."""

    def month(self, row: str) -> Month:
        """Read a month, with eventual consistency. A missing row is a month of zeros."""

    def get(self, id_: str) -> Prediction | None:
        """Read one record, strongly consistent."""

    def glance(self, id_: str) -> Prediction | None:
        """Read one record, eventually consistent: it may be slightly out of date."""

    def get_many(
        self, ids: Iterable[str], unreadable: list[UnreadableRecordError] | None = None
    ) -> Iterator[Prediction]:
        """Read records, strongly consistent, in the order of `ids`. Unknown ones are left out.

        Unreadable ones are left out too and appended to `unreadable`. Each is decoded when
        it is next, since it may take megabytes then. Raises UnavailableError if the store is too
        busy.
        """

    def commit(
        self, record: Prediction, *, claims: str | None = None, entries: Sequence[LedgerEntry] = ()
    ) -> None:
        """Replace the record if its stored revision is one lower.

        Raises ConflictError with the stored item otherwise. With `claims`, a provider id, the
        transaction also writes an item that gives the id one owner; raises ProviderIdTakenError if
        it has another. `entries` are written in the same transaction, together with the
        prediction's cost in the tenant's usage.
        """

    def owner_of(self, provider_id: str) -> str | None:
        """Return the record that claimed the provider id, or None."""

    def due(self, now: int, limit: int) -> list[Due]:
        """Return keys due by `now`, oldest first, about `limit` at most; eventually consistent."""

    def look(self, keys: Iterable[Due]) -> list[DueRecord]:
        """Read the sweep's projection of the records, in the order of `keys`; eventually
        consistent.

        Unknown records are left out. Unreadable ones are included, since their claim raises.
        """

    def claim(self, key: Due, until: int) -> Prediction | None:
        """Set the record's due time to `until` if it still is `key.due_at`. Returns None otherwise.

        Returns the whole record after the write, with unchanged revision. An expired record is
        returned as well, because it still has to end. Raises UnreadableRecordError after the write,
        so such a record blocks nothing until it is due again.
        """

    def watch(self, record: Prediction, until: int) -> bool:
        """Record that a client polls the prediction. Returns False if the record has changed since
        it was read.

        The revision stays, and the relay is not invoked.
        """

    def mark_effects_done(self, record: Prediction) -> None:
        """Remove a terminal record from the `due` index and increase its revision, if its revision
        is still the stored one. Unless the prediction is counted already, its cost is added to the
        usage of its tenant and tags in the same transaction."""

    def recent_ids(self, tenant: str, since: int, limit: int) -> list[str]:
        """Return a tenant's ids created since, newest first; eventually consistent."""

    def list_ids(
        self,
        tenant: str,
        after: tuple[int, str] | None,
        limit: int,
        span: Span = ALWAYS,
        name: str | None = None,
    ) -> IdPage:
        """Return a tenant's ids from `after` on, in the order of the span; eventually consistent.
        With the `name` of a list (`correlation.lists`), only ids in that list.

        Fails if the span is empty, or if `after` is outside of it.
        """


@immutable
class DueRecord:
    """A small projection of a due record, which may be out of date. The sweep orders its work by
    it.

    The claim returns the record itself.
    """

    key: Due
    due_at: int
    """As stored; the index may show an earlier time."""
    tenant: str
    urgency: Urgency
    created_at: int
    deadline: int
    finished_at: int | None = None
    provider_id: str | None = None
    canceling: bool = False
    asked_again: bool = False
    """A success without files: the list is not enough, so the prediction is polled by its id."""


@immutable
class ProviderPage:
    """One page of the provider's list, newest first."""

    snapshots: list[Snapshot]
    complete: bool = True
    """False if an item of the page could not be read."""
    next: str | None = None
    """Cursor of the next page; None on the last one."""


@immutable
class Answered:
    """The provider answered a create. `body` is None if it is not readable JSON."""

    status: int
    body: object = None
    retry_after_s: float | None = None
    token_works: bool = True
    """False if another request with the token was rejected too, so a 403 is not about this
    request."""


@immutable
class NotSent:
    """The connection failed before the first byte of the request."""


@immutable
class NoAnswer:
    """The request was sent, or may have been, and no answer came in time."""


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
        """POST exactly once, within `budget_s` of wall-clock time. Never raises."""

    def get(self, provider_id: str) -> Snapshot | None:
        """Return a prediction; None if the provider does not know the id. Raises
        ProviderUnavailableError."""

    def page(
        self, created_after: int, created_before: int | None = None, cursor: str | None = None
    ) -> ProviderPage:
        """Return a page of the account's predictions created in this period: the first, or the one
        at the cursor.

        Raises ProviderUnavailableError, or PageTooLargeError, after which a shorter period may
        succeed.
        """

    def token_works(self) -> bool:
        """Return False only if the provider rejects our token itself. Never raises."""

    def cancel(self, provider_id: str) -> Snapshot | None:
        """Cancel; idempotent. Returns None if the id is unknown. Raises
        ProviderUnavailableError."""

    def input_schema(self, model: str, version: str) -> dict[str, Any] | None:
        """Return a version's OpenAPI schema; None if unknown. Raises ProviderUnavailableError."""


@immutable
class ApiKey:
    """An API key without its token, of which only the SHA-256 is stored."""

    tenant: str
    scopes: frozenset[str]
    dedupe_window_s: int = 0
    """A request that equals one of the last so many seconds repeats it, without any key or
    header."""


@immutable
class RunTime:
    """Average duration of a model's recent runs, and the time of the last update."""

    run_ms: int
    at: int


@immutable
class SecretVersion:
    """Versions of a tenant's callback secret in use."""

    current: int = 1
    previous_until: int = 0
    """Time in milliseconds until which the previous version also signs."""


class ApiKeys(Protocol):
    """API keys of clients. As in all the ports below, an expired row counts as absent."""

    def api_key(self, key_id: str) -> ApiKey | None:
        """Look up `KEY#…`, eventually consistent. A revoked or expired key counts as absent."""


class RateBuckets(Protocol):
    """Token buckets, shared by all processes."""

    def take(self, name: str, now_us: int, interval_us: int, burst: int) -> int:
        """Take one request from the token bucket `name`. Returns 0, or the microseconds to wait. A
        full bucket is deleted."""


class LimitStore(RateBuckets, Protocol):
    """Tenants' limits, and the token buckets that enforce them."""

    def limits(self, tenant: str) -> Limits:
        """Return the tenant's limits; eventually consistent."""


class UsageStore(Protocol):
    """Usage of tenants by day."""

    def usage(
        self, tenant: str, days: Iterable[str], tag: str | None = None
    ) -> dict[str, dict[str, tuple[int, int]]]:
        """Return predictions and micro-USD by model, by day (`yyyy-mm-dd`, at most 100 of them);
        with a tag, only those of predictions that have it."""


class SchemaCache(Protocol):
    """OpenAPI schemas of open models."""

    def cached_schema(self, model: str, version: str) -> dict[str, Any] | None:
        """Return the cached OpenAPI schema of an open model, or None."""

    def cache_schema(self, model: str, version: str, schema: dict[str, Any]) -> None:
        """Cache a schema. A version's schema never changes, and belongs to one model."""


class RunTimeStore(Protocol):
    """Recent run times of models."""

    def run_times(self) -> dict[str, RunTime]:
        """Return run times by model name; one read, eventually consistent."""

    def note_run_time(self, model: str, run_time: RunTime, drop: str | None = None) -> None:
        """Replace one model's run time and delete that of `drop`; the last writer wins."""


class ResultCache(Protocol):
    """The predictions whose results answer equal requests."""

    def cached_result(self, key: str) -> str | None:
        """Return the id of the prediction that last ended with this result, or None."""

    def cache_result(self, key: str, prediction: str, expires_at: int) -> None:
        """Store it until `expires_at`, in seconds; the last writer wins."""


class SecretVersions(Protocol):
    """The versions of tenants' derived secrets."""

    def secret_version(self, tenant: str) -> SecretVersion:
        """Return the tenant's secret version; version 1 if none was ever set."""


class ReceiverStore(Protocol):
    """The state of tenants' callback endpoints."""

    def receivers(self, tenant: str) -> Receivers:
        """Return the state of the tenant's receivers, strongly consistent; healthy if none is
        stored."""

    def put_receivers(self, tenant: str, receivers: Receivers) -> bool:
        """Replace it if the stored revision is one lower; else return False. Kept for 60 days."""


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
    """All of these ports, in one table. A service names those that it uses."""


class Queue(Protocol):
    def send(self, message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        """Enqueue, at least once; `delay_s` is limited to SQS's 900.

        Waiting messages of a `group` with few others in flight are delivered first. The group is
        the tenant, if known.
        """


class Redelivery(Protocol):
    def change_visibility(self, receipt: str, seconds: int) -> None:
        """Set the visibility timeout of a received message to `seconds`, at most SQS's 12 hours."""


class DeadLetters(Protocol):
    def park(self, body: str, reason: str) -> None:
        """Send the original message to the dead-letter queue, with the reason as an attribute."""


class Tasks(Protocol):
    """Step Functions tasks, by their tokens. All methods but the heartbeat raise in an outage.

    Each returns False if no task waits: it was answered, timed out, or never existed.
    """

    def succeed(self, token: str, output: str) -> bool:
        """Complete the task; `output` is JSON, at most 256 KiB."""

    def fail(self, token: str, error: str, cause: str) -> bool:
        """Fail the task with an error's name and its cause, at most 256 and 32,768 characters."""

    def heartbeat(self, token: str) -> bool:
        """Send a heartbeat, which prevents the task's timeout."""


class EventBus(Protocol):
    def publish(self, detail_type: str, detail: dict[str, Any]) -> None:
        """Put one event. Raises if the bus did not accept it."""


class DeliveryStore(Protocol):
    """Stores callbacks. For all reads, an expired row counts as absent."""

    def put(self, callback: Callback) -> bool:
        """Insert unless it exists. Returns False if it existed."""

    def get(self, prediction: str, event: str) -> Callback | None:
        """Read one, strongly consistent. Raises UnreadableRecordError."""

    def of(self, prediction: str, limit: int) -> list[Callback]:
        """Return at most `limit` rows of a prediction, by event in descending order, without
        `frozen`.

        Unreadable ones are left out.
        """

    def write(self, callback: Callback, *, seen: Callback, lane: str = "") -> bool:
        """Replace the row if state, attempts and next_at still equal those of `seen`; else return
        False.

        Rows in one `lane` get only a small share of the due rows while others are due.
        """

    def due(self, now: int, limit: int) -> list[tuple[str, str, int]]:
        """Return `(prediction, event, due_at)` of callbacks without a message: about `limit` at
        most, a fair share of each lane, longest overdue first."""

    def claim(self, prediction: str, event: str, due_at: int, until: int) -> bool:
        """Change the due time if it still is `due_at`."""


@immutable
class StoredObject:
    """Size in bytes and SHA-256 in hex of a written object."""

    bytes: int
    sha256: str
    earlier: bool = False
    """The object was written by an earlier run."""


class OutputStore(Protocol):
    def write_once(self, key: str, content_type: str, chunks: Iterator[bytes]) -> StoredObject:
        """Stream an object in constant memory. It is never overwritten.

        If the key exists, size and hash of the stored object are returned. Errors of `chunks`
        propagate, and then no object is visible.
        """

    def write(self, key: str, content_type: str, chunks: Iterator[bytes]) -> None:
        """The same of an object that may be there already: it is replaced, at once."""

    def keys(self, prefix: str) -> list[str]:
        """Return the first thousand keys with the prefix, strongly consistent."""

    def get(self, key: str) -> Iterator[bytes]:
        """Yield an object's bytes in chunks. Raises if it does not exist."""

    def whole(self, key: str, most: int) -> bytes | None:
        """Return an object's bytes; None if it does not exist, or has more than `most`."""

    def copy(self, source: str, key: str) -> str | None:
        """Copy a stored object with its type to a key that only this caller writes; safe to repeat.

        Returns the copy's SHA-256 in hex if the store knows it. Raises if the source does not
        exist.
        """

    def digest(self, key: str) -> str | None:
        """Return a digest of an object's bytes: the SHA-256 in hex if it is stored, or else the
        store's own checksum. None if there is no such object."""


class Masks(Protocol):
    def repainting(self, mask: bytes, picture: bytes | None, color: str) -> bytes:
        """A PNG as large as the mask, in which what the mask has fully transparent is of `color`,
        `white` or `black`, and the rest of the other one.

        Raises BadRequestError for what is no such mask, or not as large as the picture.
        """


class Thumbnails(Protocol):
    def made(self, picture: bytes, width: int) -> bytes:
        """Return a WebP of the picture that is at most so wide, upright and without metadata.

        Raises NoThumbnailError for whatever is no such picture, in bounded memory and time.
        """


Previews = Callable[[str], "bytes | None"]
"""Returns the bytes of a thumbnail by its URL, of at most 100 kB; None if they cannot be had in
some seconds. Never raises."""


class UploadStore(Protocol):
    def put(self, key: str, content_type: str, data: bytes, metadata: dict[str, str]) -> None:
        """Write an uploaded file, or an input that is too large for its record."""

    def head(self, key: str) -> dict[str, Any] | None:
        """Return `content_type`, `bytes`, `created_at`, `etag` and `metadata` of an upload, or
        None."""

    def begin(self, key: str) -> dict[str, Any] | None:
        """Return the same, with the first bytes of the upload (at most `media.START`) as
        `start`."""

    def copy(self, source: str, key: str) -> bool:
        """Copy an upload with its type and metadata. Returns False if it does not exist."""

    def delete(self, key: str) -> None:
        """Delete; idempotent."""

    def keys(self, prefix: str, after: str, limit: int) -> list[str]:
        """Return keys with the prefix that sort after `after`, in order, at most `limit` (1 to
        1000)."""


@immutable
class PresignedForm:
    """An HTML form's target, and the fields to send before the file."""

    url: str
    fields: dict[str, str]


class UploadForms(Protocol):
    """Allows a client to upload one file directly. Signing is local, without I/O."""

    def form(
        self, key: str, content_type: str, metadata: dict[str, str], most: int, seconds: int
    ) -> PresignedForm:
        """Return a form for one file of 1 to `most` bytes, with this type and key, valid for
        `seconds`."""


class Signer(Protocol):
    """Creates URLs for stored objects, valid for an hour if the signer allows."""

    def output_url(self, key: str) -> str:
        """Return a URL that a client may GET."""

    def upload_url(self, key: str) -> str:
        """Return a URL from which the provider may GET an input: an upload, or an earlier
        output."""

    def output_key(self, url: str) -> str | None:
        """Return the key of an output from a URL of `output_url`, with any signature, expired or
        not; None for every other URL."""


class Download(Protocol):
    """An open response: raw chunks, and the declared length and type."""

    @property
    def length(self) -> int | None:
        """The declared length, if any."""

    @property
    def content_type(self) -> str | None:
        """The declared type, which is not to be trusted."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes. Raises TransferFailedError if they end early, exceed the cap, or take
        too long."""


class Fetcher(Protocol):
    def serves(self, url: str) -> bool:
        """Whether the URL is on a host from which outputs are fetched. No I/O."""

    def open(self, url: str) -> AbstractContextManager[Download]:
        """GET from an allowed host, without redirects. Raises TransferFailedError."""


@immutable
class CallbackAnswer:
    """Answer of a client's endpoint."""

    status: int
    retry_after_s: float | None = None


class CallbackSender(Protocol):
    def post(self, url: str, headers: dict[str, str], body: bytes) -> CallbackAnswer:
        """POST once to a client's URL. Raises TransferFailedError without an answer."""


class Secrets(Protocol):
    """Secrets, cached for minutes. `refresh` reads them again, at most once per 30 seconds."""

    def replicate_token(self) -> str:
        """Return the bearer token for the provider. Raises UnavailableError."""

    def webhook_keys(self, *, refresh: bool = False) -> tuple[bytes, ...]:
        """Return current and previous signing keys of the provider's webhooks. Raises
        UnavailableError."""

    def link_keys(self) -> tuple[bytes, ...]:
        """Return current and previous keys of link tokens, current first. Raises
        UnavailableError."""

    def callback_keys(self) -> tuple[bytes, ...]:
        """Return the master keys of tenants' callback secrets, current first; during a rotation a
        second key also signs. Raises UnavailableError."""
