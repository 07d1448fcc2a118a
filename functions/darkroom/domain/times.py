"""Times: RFC 3339 on the wire, milliseconds since the epoch inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime


def milliseconds(text: str | None) -> int | None:
    """Convert RFC 3339 with any number of fraction digits to milliseconds since the epoch; else
    None."""
    if text is None:
        return None
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:?\d\d)", text
    )
    if match is None:
        return None
    whole, fraction, zone = match.groups()
    try:
        at = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone))
        return int(at.timestamp()) * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    except ValueError:
        return None


def within(at: int | None, first: int, last: int) -> int:
    """Return the time limited to `first` and `last`; `last` if it is None.

    A foreign clock may be wrong, and no time of ours may depend on it.
    """
    return last if at is None else max(first, min(at, last))


def rfc3339(at: int) -> str:
    """Format milliseconds since the epoch as RFC 3339: UTC, three digits, Z."""
    whole = datetime.fromtimestamp(at // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"
