"""What can go wrong, drawn whole.

DarkroomError
├── BadRequestError            400  not HTTP or JSON as we read them
├── NotAuthenticatedError      401  no API key, or not one of ours
├── PaymentRequiredError       402  what is spent of a monthly cap leaves no room
├── OutOfScopeError            403  the key may not do this
├── NotFoundError              404  unknown, or another tenant's
├── MethodNotAllowedError      405
├── TooLargeError              413
├── UnsupportedMediaError      415
├── InvalidInputError          422  well formed, but the model or the API refuses it
├── TooManyRequestsError       429  above a limit; says in how many seconds to try again
├── UnavailableError           503  something that we need does not answer; try again
├── UnreadableRecordError      503  a record that this release cannot read
├── NotServedError             404  a part of the provider's API that is left out on purpose
├── WebhookRefusedError        401  unsigned, forged, stale, or not linked to its record
├── ConflictError                   a conditional write lost; carries the item that won
│   └── ProviderIdTakenError        the provider's id already belongs to another record
├── AlreadyExistsError              an insert found its key taken
├── IdempotencyKeyUsedError         the key has made a prediction before
├── LimitReachedError               a month, the tenant's or an end user's, has no room
├── ProviderUnavailableError        the provider gave no usable answer to a read
│   ├── ProviderSilentError         no answer at all came in time
│   └── PageTooLargeError           the answer is larger than is read
└── TransferFailedError             an output, or the answer to a callback, did not come
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkroom.domain.money import LedgerEntry
    from darkroom.domain.prediction import Prediction


class DarkroomError(Exception):
    """Base of every error that Darkroom raises on purpose."""


class BadRequestError(DarkroomError):
    """The request is not HTTP or JSON as we read them."""


class NotAuthenticatedError(DarkroomError):
    """No API key was given, or it is not one of ours."""


class PaymentRequiredError(DarkroomError):
    """What is spent of a monthly cap, the tenant's or an end user's, leaves no room for what the
    prediction may cost."""


class OutOfScopeError(DarkroomError):
    """The API key is ours, but not for this."""


class NotFoundError(DarkroomError):
    """Unknown, or another tenant's: the two are told apart nowhere."""


class MethodNotAllowedError(DarkroomError):
    """The path exists, the method on it does not; those of `allowed` do."""

    def __init__(self, detail: str, allowed: list[str]) -> None:
        super().__init__(detail)
        self.allowed = allowed


class TooLargeError(DarkroomError):
    """The body, or the input in it, is above its limit."""


class UnsupportedMediaError(DarkroomError):
    """The body is of a type or encoding that this route does not take."""


class InvalidInputError(DarkroomError):
    """Well formed, but refused. `fields` are `(type, field, description)`."""

    def __init__(
        self,
        detail: str,
        fields: list[tuple[str, str, str]] | None = None,
        title: str = "Input validation failed",
    ) -> None:
        super().__init__(detail)
        self.fields = fields or []
        self.title = title


class TooManyRequestsError(DarkroomError):
    """Above a limit of the tenant's, or of an end user's; `retry_after` are whole seconds."""

    def __init__(self, retry_after: int, whose: str = "Your") -> None:
        # The provider's text.
        super().__init__(f"Request was throttled. {whose} rate limit resets in ~{retry_after}s.")
        self.retry_after = retry_after


class UnavailableError(DarkroomError):
    """Something that we need does not answer; the same request may succeed later."""


class UnreadableRecordError(DarkroomError):
    """One stored record or row cannot be read, now and for as long as nobody mends it.

    `tenant` is its owner as far as that can be read. `reason` names a field, and no value of it.
    """

    def __init__(self, id_: str, tenant: str | None = None, reason: str = "") -> None:
        super().__init__(f"the record {id_} cannot be read: {reason}")
        self.id = id_
        self.tenant = tenant
        self.reason = reason


class NotServedError(DarkroomError):
    """A part of the provider's API that Darkroom leaves out on purpose."""


class WebhookRefusedError(DarkroomError):
    """Unsigned, forged, stale, or not linked to its record. The reason is for metrics only."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConflictError(DarkroomError):
    """A conditional write lost. `current` is the item that won, or None if it is gone."""

    def __init__(self, current: Prediction | None) -> None:
        super().__init__("the record changed meanwhile")
        self.current = current


class ProviderIdTakenError(ConflictError):
    """The provider's id already belongs to the record `owner`."""

    def __init__(self, current: Prediction | None, owner: str) -> None:
        super().__init__(current)
        self.owner = owner


class AlreadyExistsError(DarkroomError):
    """An insert found its key taken."""


class IdempotencyKeyUsedError(DarkroomError):
    """The idempotency key has made `prediction` before, of a request with `fingerprint`."""

    def __init__(self, prediction: str, fingerprint: str) -> None:
        super().__init__("the idempotency key was used before")
        self.prediction = prediction
        self.fingerprint = fingerprint


class LimitReachedError(DarkroomError):
    """The month of `entry` has no room for another prediction; what stands in it."""

    def __init__(self, entry: LedgerEntry, committed: int, spent: int, in_flight: int) -> None:
        super().__init__("a month's limit is reached")
        self.entry = entry
        self.committed = committed
        self.spent = spent
        self.in_flight = in_flight


class ProviderUnavailableError(DarkroomError):
    """The provider gave no usable answer to a read. Nothing was changed."""


class ProviderSilentError(ProviderUnavailableError):
    """No answer came in time: each further question may take as long."""


class PageTooLargeError(ProviderUnavailableError):
    """The answer is larger than is read: a list may be asked for in smaller parts."""


class TransferFailedError(DarkroomError):
    """An output could not be copied, or a callback had no answer. `code` names a failure that no
    retry will mend, else None."""

    def __init__(self, reason: str, code: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
