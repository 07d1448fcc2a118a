"""The body of a create, checked as Replicate checks it.

What a body may hold is declared in api/bodies.py, and checked by what is written from there.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn
from urllib.parse import urlsplit

from darkroom.api.media_types import media_type, parameters
from darkroom.domain import strict_json
from darkroom.domain.callback import EVENTS, LOOPBACK
from darkroom.domain.checker import InvalidField, invalid, validate_body
from darkroom.domain.correlation import METADATA_KEPT, MOST_TAGS, is_end_user, is_tag
from darkroom.domain.errors import (
    BadRequestError,
    InvalidInputError,
    TooLargeError,
    UnsupportedMediaError,
)
from darkroom.domain.values import immutable
from darkroom.services.files.prepare_input import INPUT_KEPT
from darkroom.services.predictions.create import SHORTEST_CANCEL_AFTER_S
from darkroom.services.predictions.submit import NewPrediction

if TYPE_CHECKING:
    from darkroom.api.http import Request
    from darkroom.services.doors.intake import Envelope

BODIES = Path(__file__).with_name("bodies.json")
"""The schemas of bodies, written by api/bodies.py."""
LONGEST_KEY = 255
LONGEST_REFERENCE = 300
"""Characters of a reference to a model, in any of its forms."""
IDEMPOTENCY_KEY = "[ -~]*[!-~][ -~]*"
"""Pattern of an Idempotency-Key."""
_SOME = "[0-9]{1,6}"
CANCEL_AFTER = f"{_SOME}h({_SOME}m)?({_SOME}s)?|{_SOME}m({_SOME}s)?|{_SOME}s?"
"""Pattern of a Cancel-After."""
Cache = Literal["reuse", "bypass"]
"""What the header Darkroom-Cache may say."""
SHORTEST_TOKEN = 20
"""A shorter token could be found in a text by chance."""
LONGEST_CANCEL_AFTER_S = 24 * 3600
LARGEST_METADATA = 4000
"""Maximum bytes of a file's metadata."""
MOST_TOKENS = INPUT_KEPT
"""No accepted input has more than two tokens in three bytes, besides those around a few files. The
rest is for the other fields."""

# The last label of a name begins with a letter, so that no spelling of an IP address is a name.
_HOST = re.compile(r"(?=.{4,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{1,62}")
_PRIVATE = (".localhost", ".internal", ".local", ".home.arpa")
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", ""})
"""JSON is UTF-8; clients that declare these charsets send it so."""
_NAME = "Must be printable, without a space at either end"
_CANCEL_AFTER = re.compile(CANCEL_AFTER)
_PARTS = re.compile("([0-9]+)([hms]?)")
_SECONDS = {"h": 3600, "m": 60, "s": 1, "": 1}
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY)


def read_upload(request: Request) -> tuple[str | None, str]:
    """Return file name and content type of POST /v1/uploads; without a body, a file of any type.

    Raises UnsupportedMediaError, TooLargeError, BadRequestError or InvalidInputError.
    """
    body = checked("NewUploadBody", json_body(request)) if request.body else {}
    return body.get("filename"), body.get("content_type", "application/octet-stream")


def read_metadata(text: bytes | None) -> dict[str, Any]:
    """Parse a form's field `metadata`. Raises BadRequestError."""
    if not text:
        return {}
    try:
        said = strict_json.loads(text) if len(text) <= LARGEST_METADATA else None
    except strict_json.StrictJSONError:
        said = None
    if not isinstance(said, dict):
        raise BadRequestError(f"metadata is a JSON object of at most {LARGEST_METADATA} bytes.")
    return said


@immutable
class ReadCreate:
    """Parses create requests."""

    local_callbacks: bool | None = None
    """Whether a callback may go to this machine; None outside of the embedded cloud."""
    tasks: bool = False
    """Whether events may name a waiting Step Functions task."""

    def __call__(self, request: Request, tenant: str, dedupe_window_s: int = 0) -> NewPrediction:
        """Parse the request to a NewPrediction. The window is that of the caller's API key.

        Raises UnsupportedMediaError, TooLargeError, BadRequestError or InvalidInputError. Their
        texts contain no value of the body, since a broken client may send its own token as the
        input.
        """
        _refuse_own_token(request)
        body = json_body(request)
        owner, name = request.parameters.get("owner"), request.parameters.get("name")
        if owner and name:
            checked("NewModelPredictionBody", body)
            return self._made(request, tenant, dedupe_window_s, f"{owner}/{name}", body)
        checked("NewPredictionBody", body)
        return self._made(request, tenant, dedupe_window_s, body["version"], body)

    def of(
        self,
        request: Request,
        tenant: str,
        dedupe_window_s: int,
        reference: str,
        body: dict[str, Any],
    ) -> NewPrediction:
        """Make a create of a body that another API's door composed, and of the request's headers.

        Raises BadRequestError or InvalidInputError.
        """
        _refuse_own_token(request)
        checked("NewModelPredictionBody", body)
        return self._made(request, tenant, dedupe_window_s, reference, body)

    def _made(
        self,
        request: Request,
        tenant: str,
        dedupe_window_s: int,
        reference: str,
        body: dict[str, Any],
    ) -> NewPrediction:
        return NewPrediction(
            tenant=tenant,
            reference=reference,
            input=body["input"],
            **self._callback(body),
            **_said(body),
            cancel_after_s=_cancel_after(request.header("cancel-after")),
            received_at=request.received_at,
            idempotency_key=_idempotency_key(request.header("idempotency-key")),
            retry_count=_retry_count(request),
            dedupe_s=dedupe_window_s,
            cache=_cache(request.header("darkroom-cache")),
        )

    def _callback(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the callback's URL and events; without a URL the filter has no effect.

        `webhook_completed` is the older name of a webhook that is called only at the end. An empty
        filter counts as none, because a webhook that is never called is useless.
        """
        url = _callback_url("webhook", body.get("webhook"), local=self.local_callbacks)
        chosen = tuple(dict.fromkeys(body.get("webhook_events_filter") or EVENTS))
        if url is None:
            at_end = body.get("webhook_completed")
            url = _callback_url("webhook_completed", at_end, local=self.local_callbacks)
            chosen = ("completed",)
        return {"webhook": url, "webhook_events": chosen} if url else {}

    def event(self, detail: object, tenant: str, envelope: Envelope) -> NewPrediction:
        """Parse the detail of a `Prediction Requested` event to a NewPrediction.

        Raises BadRequestError or InvalidInputError, as for a request.
        """
        body = checked("RequestedBody", detail)
        model, version, token = body.get("model"), body.get("version"), body.get("taskToken")
        if (model is None) == (version is None):
            _refuse([InvalidField("required", "", "either model or version is required")])
        if token and not self.tasks:
            raise InvalidInputError("This deployment answers no Step Functions task.")
        return NewPrediction(
            tenant=tenant,
            reference=model or version or "",
            input=body["input"],
            **self._callback(body),
            **_said(body),
            cancel_after_s=_cancel_after(body.get("cancel_after")),
            idempotency_key=f"event:{_event_key(body.get('id'), token, envelope.id)}",
            task_token=token,
            request_id=envelope.request_id,
        )


def is_dry_run(request: Request) -> bool:
    """Whether a create is only validated and priced. Raises BadRequestError."""
    text = request.query.get("dry_run")
    if text not in {"true", None}:
        raise BadRequestError("dry_run is true, or is left out.")
    return text is not None


PATIENT = "ai-sdk/replicate/"
"""User-Agent of a client that follows a 303 and in some versions never polls."""


def goes_to_wait(request: Request) -> bool:
    """Whether to redirect the client to a wait. Raises BadRequestError.

    A client that only prefers to wait gets no 303, since most clients poll, and some follow no
    redirects.
    """
    asked = request.header("darkroom-wait")
    if asked not in {"redirect", None}:
        raise BadRequestError("Darkroom-Wait is redirect, or is left out.")
    patient = PATIENT in (request.header("user-agent") or "").lower()
    return asked is not None or (patient and prefers(request, "wait"))


def prefers(request: Request, preference: str) -> bool:
    """Whether the client names the preference, with a value or without. Raises BadRequestError."""
    given = (request.header("prefer") or "").lower().split(",")
    return any(re.split("[=;]", one, maxsplit=1)[0].strip() == preference for one in given)


def _event_key(id_: str | None, token: str | None, event_id: str) -> str:
    """Return the key that repetitions of an event share. A task's token is one attempt of one task,
    so everything with the same token is a repetition, whatever the event's id."""
    named = _idempotency_key(id_)
    if named is not None:
        return named
    if token is not None:
        return hashlib.sha256(token.encode()).hexdigest()
    return event_id


def _said(body: dict[str, Any]) -> dict[str, Any]:
    """Return the client's own fields of the prediction; duplicate tags count once."""
    metadata, tags = body.get("metadata") or {}, body.get("tags") or []
    end_user = body.get("end_user")
    problems = [
        InvalidField("format", f"tags.{number}", f"{_NAME}, and without a comma")
        for number, tag in enumerate(tags[: MOST_TAGS + 1])
        if not is_tag(tag)
    ]
    if len(tags) > MOST_TAGS:
        problems.append(InvalidField("array_lte", "tags", f"At most {MOST_TAGS} tags"))
    if end_user is not None and not is_end_user(end_user):
        problems.append(InvalidField("format", "end_user", _NAME))
    if not all(isinstance(value, str) for value in metadata.values()):
        problems.append(InvalidField("invalid_type", "metadata", "Every value must be a string"))
    elif "" in metadata or strict_json.has_nul(metadata):
        text = "Keys must not be empty, and nothing may contain NUL characters"
        problems.append(InvalidField("format", "metadata", text))
    elif len(strict_json.canonical(metadata).encode()) > METADATA_KEPT:
        text = f"At most {METADATA_KEPT} bytes as JSON"
        problems.append(InvalidField("object_lte", "metadata", text))
    if problems:
        _refuse(problems)
    return {"metadata": metadata, "tags": tuple(dict.fromkeys(tags)), "end_user": end_user}


def _refuse_own_token(request: Request) -> None:
    """Reject a body that contains the caller's token. Replicate's JS client 1.4.0 sends itself as
    the input if it is configured to encode files as data URIs.

    A model without required inputs would accept that, and the token would be stored and passed on.
    """
    token = (request.header("authorization") or "").partition(" ")[2].strip().encode()
    if len(token) >= SHORTEST_TOKEN and token in request.body:
        raise InvalidInputError(
            "The body holds the API token: replicate-javascript 1.4.0 sends it with "
            'fileEncodingStrategy "data-uri". Leave that option out, so that files are uploaded.',
            title="API token in the body",
        )


def _idempotency_key(key: str | None) -> str | None:
    if key is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(key) or len(key) > LONGEST_KEY:
        raise BadRequestError(f"Idempotency-Key is 1 to {LONGEST_KEY} printable ASCII characters.")
    return key


def _cache(text: str | None) -> Cache | None:
    match text:
        case "reuse" | "bypass" | None:
            return text
    raise BadRequestError("Darkroom-Cache is reuse or bypass.")


def _retry_count(request: Request) -> int | None:
    """Return the retry count. Replicate's Python client 2.x repeats a POST silently, and this
    header is the only sign."""
    count = request.header("x-stainless-retry-count") or ""
    return int(count) if count.isascii() and count.isdigit() and len(count) < 4 else None


def json_body(request: Request) -> dict[str, Any]:
    """Parse a JSON object. Raises UnsupportedMediaError, TooLargeError or BadRequestError."""
    try:
        body = json_in(request)
    except strict_json.StrictJSONError as error:
        raise BadRequestError(f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequestError("The body is not a JSON object.")
    return body


def json_in(request: Request) -> object:
    """Parse a JSON body. Raises UnsupportedMediaError, TooLargeError or StrictJSONError."""
    content_type = request.header("content-type")
    charset = parameters(content_type).get("charset", "").lower()
    if media_type(content_type) != "application/json" or charset not in _CHARSETS:
        raise UnsupportedMediaError("Send the body as application/json, in UTF-8.")
    if request.header("content-encoding") not in {None, "identity"}:
        raise UnsupportedMediaError("Send the body without a content encoding.")
    if strict_json.has_more_tokens(request.body, MOST_TOKENS):
        raise TooLargeError(f"The body without its files must be below {INPUT_KEPT // 1000} kB.")
    return strict_json.loads(request.body)


def checked(name: str, body: object) -> dict[str, Any]:
    """The body, once it is what the class of this name in api/bodies.py says.

    Raises InvalidInputError.
    """
    problems = validate_body(schema_of(name), body)
    if problems or not isinstance(body, dict):
        _refuse(problems)
    return body


def schema_of(name: str) -> dict[str, Any]:
    """The schema of the class of this name in api/bodies.py."""
    found: dict[str, Any] = _schemas()[name]
    return found


@lru_cache(maxsize=1)
def _schemas() -> dict[str, Any]:
    """Read when the first body comes: most that a function is asked for has none."""
    schemas: dict[str, Any] = json.loads(BODIES.read_bytes())
    return schemas


def _callback_url(field: str, url: str | None, *, local: bool | None) -> str | None:
    """Check the syntax of a callback's URL. Its addresses are checked at each call."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        _refuse([_bad_webhook(field, local=local)])
    odd = any(c <= " " or c == "\\" or c > "~" for c in url)
    plain = not odd and parts.username is None and parts.password is None and bool(parts.hostname)
    name = (parts.hostname or "").lower()
    public = _HOST.fullmatch(name) is not None and not name.endswith(_PRIVATE)
    https = parts.scheme == "https" and port in {None, 443} and public
    loopback = local and parts.scheme == "http" and parts.hostname in LOOPBACK
    if not plain or not (https or loopback):
        _refuse([_bad_webhook(field, local=local)])
    return url


def _bad_webhook(field: str, *, local: bool | None) -> InvalidField:
    wanted = f"{field} must be an https URL of a public host name, on port 443"
    if local is not None:
        start = "" if local else " where it was started with DARKROOM_LOCAL_CALLBACKS=1"
        wanted += f"; the embedded cloud also calls http://127.0.0.1:PORT and localhost{start}"
    return InvalidField("format", field, wanted)


def _cancel_after(text: str | None) -> int | None:
    """Parse `30s`, `5m`, `2h30m`, or a bare number of seconds; at least 5 seconds, like the
    provider."""
    if text is None:
        return None
    if not _CANCEL_AFTER.fullmatch(text):
        raise BadRequestError("Cancel-After is a duration such as 30s, 5m or 2h30m.")
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in _PARTS.findall(text))
    if not SHORTEST_CANCEL_AFTER_S <= seconds <= LONGEST_CANCEL_AFTER_S:
        raise BadRequestError("Cancel-After is between 5 seconds and 24 hours.")
    return seconds


def _refuse(fields: list[InvalidField]) -> NoReturn:
    raise invalid(fields)
