"""Errors in OpenAI's form, with what its clients go by: status, `x-should-retry`, `retry-after`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from darkroom.api.http import Response, answer, problem
from darkroom.domain import errors

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

INVALID = "invalid_request_error"
LONGEST_RETRY_S = 60
"""A client that is told to wait for longer does not come again."""

_CODES: dict[type[Exception], tuple[int, str, str | None]] = {
    errors.NotAuthenticatedError: (401, INVALID, "invalid_api_key"),
    errors.OutOfScopeError: (403, INVALID, "insufficient_permissions"),
    # Theirs for what a 402 says: no second try will find more money.
    errors.PaymentRequiredError: (429, "insufficient_quota", "insufficient_quota"),
    errors.TooManyRequestsError: (429, "rate_limit_error", "rate_limit_exceeded"),
    errors.InvalidInputError: (400, INVALID, None),
}
"""Status, type and code, where they are not those of any refusal with the status of its problem."""
_RETRIED = (errors.TooManyRequestsError, errors.UnavailableError, errors.UnreadableRecordError)
"""What another try may mend; and whatever was not foreseen."""
_TOO_LARGE = (
    " Larger pictures: send them to the form that POST /v1/uploads answers with, and name them in "
    "the JSON form of the request by their URLs or ids."
)


class OpenAIError(errors.DarkroomError):
    """A refusal that only this API knows. Another try would end in the same way."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = INVALID,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param


def refusal(error: Exception) -> Response:
    """The answer to an error. What was not foreseen says nothing of itself."""
    if isinstance(error, OpenAIError):
        return _answer(error.status, str(error), error.kind, error.code, error.param)
    told = problem(error)
    shown = json.loads(told["body"])
    status = told["statusCode"]
    kind = INVALID if status < 500 else "server_error"
    code: str | None = None
    param: str | None = None
    if type(error) in _CODES:
        status, kind, code = _CODES[type(error)]
    if isinstance(error, errors.InvalidInputError):
        param = param_of(error)
    message = shown["detail"].strip()
    if isinstance(error, errors.TooLargeError):
        message += _TOO_LARGE
    headers = {name: text for name, text in told["headers"].items() if name != "content-type"}
    if "retry-after" in headers:
        headers["retry-after"] = str(min(int(headers["retry-after"]), LONGEST_RETRY_S))
    retries = isinstance(error, _RETRIED) or not isinstance(error, errors.DarkroomError)
    return _answer(status, message, kind, code, param, headers, retries=retries)


def param_of(error: errors.InvalidInputError) -> str | None:
    """The first field that is wrong, or that is missing; None where no field is."""
    for kind, field, description in error.fields[:1]:
        named = field.removeprefix("input").removeprefix(".")
        # Replicate's form names what is missing in its words alone.
        return named or (description.split(" ")[0] if kind == "required" else None)
    return None


def _answer(
    status: int,
    message: str,
    kind: str,
    code: str | None,
    param: str | None,
    headers: dict[str, str] | None = None,
    *,
    retries: bool = False,
) -> Response:
    body: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    should = {"x-should-retry": "true" if retries else "false"}
    return answer(status, {"error": body}, {**(headers or {}), **should})


MODERATED = ("nsfw", "sensitive", "moderat", "safety", "content policy")
"""What models say, in many words, of a picture or a prompt that their filters keep back."""


def ended(record: Prediction) -> OpenAIError:
    """Why a prediction that is over has no pictures.

    Not a 5xx where a model or a client ended it: the service did as it was asked.
    """
    code = record.code.value if record.code else None
    text = record.error or f"The prediction ended as {record.state.value}."
    message = f"{text} (prediction {record.id})"
    if any(word in text.lower() for word in MODERATED):
        return OpenAIError(message, kind="image_generation_user_error", code="moderation_blocked")
    match code:
        case "rejected":
            return OpenAIError(message, code=code)
        case "canceled":
            return OpenAIError(message, status=409, kind="image_generation_error", code=code)
        case "provider_failed" | "deadline_exceeded" | "output_missing" | "output_refused":
            return OpenAIError(message, status=422, kind="image_generation_error", code=code)
    return OpenAIError(message, status=500, kind="server_error", code=code)


def still_running(record: Prediction) -> OpenAIError:
    """What is said at the end of the last wait: nothing is lost, and another try would only begin
    to wait again."""
    return OpenAIError(
        f"The prediction {record.id} still runs, and no client follows more redirects. It goes on: "
        f"GET /v1/predictions/{record.id} shows its pictures once they are there.",
        status=504,
        kind="server_error",
        code="still_running",
    )


def identified(response: Response, event: dict[str, Any], context: Any) -> Response:
    """The answer with the request's id, which clients show with what goes wrong."""
    gateways = (event.get("requestContext") or {}).get("requestId")
    response["headers"]["x-request-id"] = str(gateways or context.aws_request_id)
    return response
