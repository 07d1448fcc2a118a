"""Parsers for the queries of lists, by the names that routes declare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, get_args

from darkroom.domain import correlation
from darkroom.domain.details import STATUS
from darkroom.domain.errors import BadRequestError
from darkroom.services.predictions.read import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

Source = Literal["api", "web"]
Sort = Literal["model_created_at", "latest_version_created_at"]
Direction = Literal["asc", "desc"]
STATUSES = tuple(dict.fromkeys(STATUS.values()))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_TIME = 40


def wanted(query: Mapping[str, str]) -> Wanted:
    """Return the filter of a list. Raises BadRequestError."""
    return Wanted(
        created_after=_time(query, "created_after"),
        created_before=_time(query, "created_before"),
        source=_one_of(query, "source", get_args(Source)),
        tag=tag(query),
        end_user=_end_user(query),
        model=query.get("model"),
        status=_one_of(query, "status", STATUSES),
    )


def tag(query: Mapping[str, str]) -> str | None:
    """Return the requested tag. Raises BadRequestError for an invalid tag."""
    text = query.get("tag")
    if text is not None and not correlation.is_tag(text):
        raise BadRequestError("tag is one tag, as a create takes it.")
    return text


def _end_user(query: Mapping[str, str]) -> str | None:
    text = query.get("end_user")
    if text is not None and not correlation.is_end_user(text):
        raise BadRequestError("end_user is an end user, as a create takes it.")
    return text


def descending(query: Mapping[str, str]) -> bool:
    """Whether a list of models begins at its end. All were created at one time, as far as is known,
    so that either order is one of names. Raises BadRequestError."""
    _one_of(query, "sort_by", get_args(Sort))
    return _one_of(query, "sort_direction", get_args(Direction)) == "desc"


def _time(query: Mapping[str, str], name: str) -> int | None:
    """Return milliseconds since the epoch, rounded up, since records have whole ones."""
    text = query.get(name)
    if text is None:
        return None
    # A plus sign that was not encoded has become a space.
    spelt = text[:11] + text[11:].replace(" ", "+")
    try:
        at = datetime.fromisoformat(spelt if len(text) <= _LONGEST_TIME else "")
    except ValueError:
        raise BadRequestError(f"{name} is a time in ISO 8601, as 2026-01-31T12:00:00Z.") from None
    return -((_EPOCH - (at if at.tzinfo else at.replace(tzinfo=UTC))) // timedelta(milliseconds=1))


def _one_of(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    text = query.get(name)
    if text is not None and text not in choices:
        raise BadRequestError(f"{name} is {' or '.join(choices)}.")
    return text
