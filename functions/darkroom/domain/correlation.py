"""What a client says of a prediction for itself: metadata, tags, an end user, its request's id.

None of it decides what is made, and none of it goes to the provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

METADATA_KEPT = 2000
"""Bytes of metadata, as JSON in its shortest form."""
MOST_TAGS = 8
LONGEST_TAG = 64
LONGEST_END_USER = 128


def is_tag(text: str) -> bool:
    """Whether this may be a tag. Of a comma the gateway makes two values of one parameter."""
    return _is_name(text, LONGEST_TAG) and "," not in text


def is_end_user(text: str) -> bool:
    """Whether this may be an end user."""
    return _is_name(text, LONGEST_END_USER)


def _is_name(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isprintable() and text == text.strip()


def shown(record: Prediction) -> dict[str, Any]:
    """What was given, by the names of answers and events; what was not given is left out."""
    given = {
        "metadata": record.metadata,
        "tags": list(record.tags),
        "end_user": record.end_user,
        "request_id": record.request_id,
    }
    return {name: value for name, value in given.items() if value}


def tag_list(tag: str) -> str:
    """The list of the tenant's predictions that have the tag."""
    return f"tag#{tag}"


def end_user_list(end_user: str) -> str:
    """The list of the tenant's predictions of one end user."""
    return f"user#{end_user}"


def lists(record: Prediction) -> list[str]:
    """The lists that the prediction is in beside the tenant's own: none where nothing is given."""
    of_user = [end_user_list(record.end_user)] if record.end_user else []
    return [*map(tag_list, record.tags), *of_user]
