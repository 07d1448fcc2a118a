"""Darkroom's errors, as a tree.

DarkroomError
├── BadRequestError            400  not valid HTTP or JSON
├── NotAuthenticatedError      401  no valid API key
├── PaymentRequiredError       402  the amount spent of a monthly cap leaves no room
├── OutOfScopeError            403  the key lacks the scope
├── NotFoundError              404  unknown, or another tenant's
├── MethodNotAllowedError      405
├── TooLargeError              413
├── UnsupportedMediaError      415
├── InvalidInputError          422  well formed, but rejected by the model or the API
├── TooManyRequestsError       429  above a limit; has the seconds to wait
├── UnavailableError           503  something required does not answer; retry
├── UnreadableRecordError      503  a record that this release cannot read
├── NoThumbnailError           404  a file that no smaller picture can be made of
├── NotServedError             404  a part of the provider's API that Darkroom leaves out
├── WebhookRefusedError        401  unsigned, forged, stale, or without a valid link
├── ConflictError                   a conditional write failed; has the stored item
│   └── ProviderIdTakenError        the provider id belongs to another record
├── AlreadyExistsError              an insert found its key in use
├── IdempotencyKeyUsedError         the key has made a prediction before
├── LimitReachedError               a month, the tenant's or an end user's, has no room
├── ProviderUnavailableError        the provider gave no usable answer to a read
│   ├── ProviderSilentError         no answer in time
│   └── PageTooLargeError           the answer exceeds the size limit
└── TransferFailedError             an output, or the answer to a callback, was not received
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkroom.domain.money import LedgerEntry
    from darkroom.domain.prediction import Prediction


class DarkroomError(Exception):
    """Base of every error that Darkroom raises on purpose."""


class BadRequestError(DarkroomError):
    """The request is not valid HTTP or JSON."""


class NotAuthenticatedError(DarkroomError):
    """No API key was given, or it is not valid."""


class PaymentRequiredError(DarkroomError):
    """The amount spent of a monthly cap, the tenant's or an end user's, leaves no room for the
    maximum cost of the prediction."""


class OutOfScopeError(DarkroomError):
    """The API key is valid but lacks the scope."""


class NotFoundError(DarkroomError):
    """Unknown, or another tenant's. The two are never distinguished."""


class MethodNotAllowedError(DarkroomError):
    """The path exists, but not with this method; `allowed` lists its methods."""

    def __init__(self, detail: str, allowed: list[str]) -> None:
        super().__init__(detail)
        self.allowed = allowed


class TooLargeError(DarkroomError):
    """The body, or the input in it, exceeds its limit."""


class UnsupportedMediaError(DarkroomError):
    """The route does not accept the body's type or encoding."""


class InvalidInputError(DarkroomError):
    """Well formed, but rejected. `fields` are the provider's `(type, field, description)`."""

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
    """Above a limit of the tenant or of an end user. `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int, whose: str = "Your") -> None:
        # The provider's text.
        super().__init__(f"Request was throttled. {whose} rate limit resets in ~{retry_after}s.")
        self.retry_after = retry_after


class UnavailableError(DarkroomError):
    """A required service does not answer; the same request may succeed later."""


class UnreadableRecordError(DarkroomError):
    """A stored record or row cannot be read until someone repairs it.

    `tenant` is its owner, if that can be read. `reason` names a field, but never its value.
    """

    def __init__(self, id_: str, tenant: str | None = None, reason: str = "") -> None:
        super().__init__(f"the record {id_} cannot be read: {reason}")
        self.id = id_
        self.tenant = tenant
        self.reason = reason


class NoThumbnailError(DarkroomError):
    """The file is gone, is no picture, or is one that would take too much to read."""


class NotServedError(DarkroomError):
    """A part of the provider's API that Darkroom leaves out on purpose."""


class WebhookRefusedError(DarkroomError):
    """Unsigned, forged, stale, or not linked to its record. The reason is for metrics only."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConflictError(DarkroomError):
    """A conditional write failed. `current` is the stored item, or None if it is gone."""

    def __init__(self, current: Prediction | None) -> None:
        super().__init__("the record changed meanwhile")
        self.current = current


class ProviderIdTakenError(ConflictError):
    """The provider id already belongs to the record `owner`."""

    def __init__(self, current: Prediction | None, owner: str) -> None:
        super().__init__(current)
        self.owner = owner


class AlreadyExistsError(DarkroomError):
    """An insert found its key in use."""


class IdempotencyKeyUsedError(DarkroomError):
    """The idempotency key has made `prediction` before, for a request with `fingerprint`."""

    def __init__(self, prediction: str, fingerprint: str) -> None:
        super().__init__("the idempotency key was used before")
        self.prediction = prediction
        self.fingerprint = fingerprint


class LimitReachedError(DarkroomError):
    """The month of `entry` has no room for another prediction. Has the row's values."""

    def __init__(self, entry: LedgerEntry, committed: int, spent: int, in_flight: int) -> None:
        super().__init__("a month's limit is reached")
        self.entry = entry
        self.committed = committed
        self.spent = spent
        self.in_flight = in_flight


class ProviderUnavailableError(DarkroomError):
    """The provider gave no usable answer to a read. Nothing was changed."""


class ProviderSilentError(ProviderUnavailableError):
    """No answer came in time, and each further request may take as long."""


class PageTooLargeError(ProviderUnavailableError):
    """The answer exceeds the size limit; a list may be requested in smaller parts."""


class TransferFailedError(DarkroomError):
    """An output could not be copied, or a callback got no answer. `code` names a permanent failure;
    None if a retry may succeed."""

    def __init__(self, reason: str, code: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
