"""The query of a wait, and the URL at which a client continues to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from darkroom.domain.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_S = 25
"""The gateway times out after 30."""
MOST_HOPS = 18
"""Clients follow 20 redirects in all."""
LATEST = 10**12
"""More than the revisions of any record."""


class Asked(NamedTuple):
    """The parsed query of a wait."""

    seconds: int | None
    revision: int | None
    """The revision that the client has; None waits for the end."""
    hop: int
    """The number of this wait in a chain of redirects; 0 outside of one."""

    def seconds_of(self, longest: int) -> int:
        """Return the duration of the wait on a stage with this maximum."""
        return longest if self.seconds is None else min(self.seconds, longest)


def asked(query: Mapping[str, str]) -> Asked:
    """Parse the query. Raises BadRequestError."""
    return Asked(
        seconds=_number(query, "seconds", 1, LONGEST_S),
        revision=_number(query, "revision", 0, LATEST),
        hop=_number(query, "hop", 1, MOST_HOPS) or 0,
    )


def waiting_place(id_: str, query: Mapping[str, str] | None = None, hop: int = 1) -> str:
    """Return the Location for a wait. It contains no host, so a client stays on its host and keeps
    its token."""
    return f"/v1/predictions/{id_}/wait?{urlencode({**(query or {}), 'hop': hop})}"


def _number(query: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not plain or not least <= int(text) <= most:
        raise BadRequestError(f"{name} is a whole number from {least} to {most}.")
    return int(text)
