"""What can go wrong, drawn whole.

DarkroomError
├── BadRequest            400  not HTTP or JSON as we read them
├── NotAuthenticated      401  no API key, or not one of ours
├── PaymentRequired       402  what is spent of a monthly cap leaves no room
├── OutOfScope            403  the key may not do this
├── NotFound              404  unknown, or another tenant's
├── MethodNotAllowed      405
├── TooLarge              413
├── UnsupportedMedia      415
├── InvalidInput          422  well formed, but the model or the API refuses it
├── TooManyRequests       429  above a limit; says in how many seconds to try again
├── Unavailable           503  something that we need does not answer; try again
├── UnreadableRecord      503  a record that this release cannot read: damaged, or a newer one's
├── NotServed             404  a part of Replicate's API that Darkroom leaves out on purpose
├── WebhookRefused        401  unsigned, forged, stale, or not linked to its record
├── Conflict                   a conditional write lost; carries the item that won
│   └── ProviderIdTaken        the provider's id already belongs to another record
├── AlreadyExists              an insert found its key taken
├── IdempotencyKeyUsed         the key has made a prediction before
├── LimitReached               a month, the tenant's or an end user's, has no room
├── ProviderUnavailable        the provider gave no usable answer to a read
│   ├── ProviderSilent         no answer at all came in time
│   └── PageTooLarge           the answer is larger than is read
└── DownloadFailed             an output could not be copied; says whether to try again
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkroom.domain.money import Entry
    from darkroom.domain.prediction import Prediction


class DarkroomError(Exception):
    """Base of every error that Darkroom raises on purpose."""


class BadRequest(DarkroomError):
    """The request is not HTTP or JSON as we read them."""


class NotAuthenticated(DarkroomError):
    """No API key was given, or it is not one of ours."""


class PaymentRequired(DarkroomError):
    """What is spent of a monthly cap, the tenant's or an end user's, leaves no room for what the
    prediction may cost."""


class OutOfScope(DarkroomError):
    """The API key is ours, but not for this."""


class NotFound(DarkroomError):
    """Unknown, or another tenant's: the two are told apart nowhere."""


class MethodNotAllowed(DarkroomError):
    """The path exists, the method on it does not; those of `allowed` do."""

    def __init__(self, detail: str, allowed: list[str]) -> None:
        super().__init__(detail)
        self.allowed = allowed


class TooLarge(DarkroomError):
    """The body, or the input in it, is above its limit."""


class UnsupportedMedia(DarkroomError):
    """The body is of a type or encoding that this route does not take."""


class InvalidInput(DarkroomError):
    """Well formed, but refused. `fields` are Replicate's `(type, field, description)`."""

    def __init__(
        self,
        detail: str,
        fields: list[tuple[str, str, str]] | None = None,
        title: str = "Input validation failed",
    ) -> None:
        super().__init__(detail)
        self.fields = fields or []
        self.title = title


class TooManyRequests(DarkroomError):
    """Above a limit of the tenant's, or of an end user's; `retry_after` are whole seconds."""

    def __init__(self, retry_after: int, whose: str = "Your") -> None:
        # Replicate's text.
        super().__init__(f"Request was throttled. {whose} rate limit resets in ~{retry_after}s.")
        self.retry_after = retry_after


class Unavailable(DarkroomError):
    """Something that we need does not answer; the same request may succeed later."""


class UnreadableRecord(DarkroomError):
    """One stored record or row cannot be read, now and for as long as nobody mends it.

    `tenant` is its owner as far as that can be read. `reason` names a field, and no value of it.
    """

    def __init__(self, id_: str, tenant: str | None = None, reason: str = "") -> None:
        super().__init__(f"the record {id_} cannot be read: {reason}")
        self.id = id_
        self.tenant = tenant
        self.reason = reason


class NotServed(DarkroomError):
    """A part of Replicate's API that Darkroom leaves out on purpose."""


class WebhookRefused(DarkroomError):
    """Unsigned, forged, stale, or not linked to its record. The reason is for metrics only."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Conflict(DarkroomError):
    """A conditional write lost. `current` is the item that won, or None if it is gone."""

    def __init__(self, current: Prediction | None) -> None:
        super().__init__("the record changed meanwhile")
        self.current = current


class ProviderIdTaken(Conflict):
    """The provider's id already belongs to the record `owner`."""

    def __init__(self, current: Prediction | None, owner: str) -> None:
        super().__init__(current)
        self.owner = owner


class AlreadyExists(DarkroomError):
    """An insert found its key taken."""


class IdempotencyKeyUsed(DarkroomError):
    """The idempotency key has made `prediction` before, of a request with `fingerprint`."""

    def __init__(self, prediction: str, fingerprint: str) -> None:
        super().__init__("the idempotency key was used before")
        self.prediction = prediction
        self.fingerprint = fingerprint


class LimitReached(DarkroomError):
    """The month of `entry` has no room for another prediction; what stands in it."""

    def __init__(self, entry: Entry, committed: int, spent: int, in_flight: int) -> None:
        super().__init__("a month's limit is reached")
        self.entry = entry
        self.committed = committed
        self.spent = spent
        self.in_flight = in_flight


class ProviderUnavailable(DarkroomError):
    """The provider gave no usable answer to a read. Nothing was changed."""


class ProviderSilent(ProviderUnavailable):
    """No answer came in time: each further question may take as long."""


class PageTooLarge(ProviderUnavailable):
    """The answer is larger than is read: a list may be asked for in smaller parts."""


class DownloadFailed(DarkroomError):
    """An output could not be copied. `code` names a failure that no retry will mend, else None."""

    def __init__(self, reason: str, code: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
