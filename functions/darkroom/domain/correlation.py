"""A client's own fields of a prediction: metadata, tags, an end user, its request's id.

They affect no result, and none of them is sent to the provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

METADATA_KEPT = 2000
"""Bytes of metadata, as compact JSON."""
MOST_TAGS = 8
LONGEST_TAG = 64
LONGEST_END_USER = 128


def is_tag(text: str) -> bool:
    """Whether this may be a tag. A comma is excluded, because the gateway splits parameters at
    it."""
    return _is_name(text, LONGEST_TAG) and "," not in text


def is_end_user(text: str) -> bool:
    """Whether this may be an end user's name."""
    return _is_name(text, LONGEST_END_USER)


def _is_name(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isprintable() and text == text.strip()


def shown(record: Prediction) -> dict[str, Any]:
    """Return the given fields by their names in answers and events; absent fields are left out."""
    given = {
        "metadata": record.metadata,
        "tags": list(record.tags),
        "end_user": record.end_user,
        "request_id": record.request_id,
    }
    return {name: value for name, value in given.items() if value}


def tag_list(tag: str) -> str:
    """Return the name of the list of predictions with this tag."""
    return f"tag#{tag}"


def end_user_list(end_user: str) -> str:
    """Return the name of the list of one end user's predictions."""
    return f"user#{end_user}"


def lists(record: Prediction) -> list[str]:
    """Return the names of the lists that contain the prediction besides the tenant's own."""
    of_user = [end_user_list(record.end_user)] if record.end_user else []
    return [*map(tag_list, record.tags), *of_user]
