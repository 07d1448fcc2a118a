"""Times: RFC 3339 on the wire, milliseconds since the epoch within."""

from __future__ import annotations

import re
from datetime import UTC, datetime


def milliseconds(text: str | None) -> int | None:
    """RFC 3339 to milliseconds since the epoch, with any number of fraction digits; else None."""
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
    """The time, or the nearest one from `first` to `last`; `last` where there is none.

    Another's clock may be anywhere: no time of ours must follow it.
    """
    return last if at is None else max(first, min(at, last))


def rfc3339(at: int) -> str:
    """Milliseconds since the epoch as RFC 3339: UTC, three digits, Z."""
    whole = datetime.fromtimestamp(at // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"
