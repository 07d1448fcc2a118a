"""Reads for clients: one prediction, or a page of them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.domain import correlation, link
from darkroom.domain.details import STATUS
from darkroom.domain.errors import BadRequestError, NotFoundError, UnreadableRecordError
from darkroom.domain.values import immutable
from darkroom.ports import LATEST, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from darkroom.domain.prediction import Prediction
    from darkroom.ports import PredictionStore

PAGE = 100
PAGE_BYTES = 2_500_000
"""Maximum size of a page. Lambda accepts answers of 6 MB, and escapes JSON once more to pass it
on."""
READ_AT_ONCE = 25
"""Records in memory at a time, as they are stored."""
MOST_SIFTED = 300
"""Maximum keys that a filtered page reads; it ends there, however few predictions it found."""
_NOT_SHOWN = (LookupError, TypeError)
"""Errors of a file's damaged place in an input when it is shown; an outage raises others."""


SOURCE = "api"
"""The `source` of every prediction here; the provider's other one is its website."""


@immutable
class Wanted:
    """Filter of a list; None accepts any value."""

    created_after: int | None = None
    """Inclusive, in milliseconds since the epoch."""
    created_before: int | None = None
    """Exclusive."""
    source: str | None = None
    tag: str | None = None
    end_user: str | None = None
    model: str | None = None
    status: str | None = None
    """As on the wire."""

    @property
    def name(self) -> str | None:
        """The shortest list that contains all matches; None for the tenant's own."""
        if self.tag is not None:
            return correlation.tag_list(self.tag)
        return None if self.end_user is None else correlation.end_user_list(self.end_user)

    @property
    def sifts(self) -> bool:
        """Whether that list may contain others."""
        both = self.tag is not None and self.end_user is not None
        return both or self.model is not None or self.status is not None

    def __contains__(self, record: Prediction) -> bool:
        """Whether a record of that list matches."""
        return (
            self.end_user in {None, record.end_user}
            and self.model in {None, record.model}
            and self.status in {None, STATUS[record.state]}
        )

    @property
    def nothing(self) -> bool:
        """Whether no prediction can match."""
        return self.source not in {None, SOURCE} or self.first >= self.end

    @property
    def first(self) -> int:
        """The earliest matching time."""
        return max(0, self.created_after or 0)

    @property
    def end(self) -> int:
        """The end of the matching times, exclusive."""
        return LATEST if self.created_before is None else min(self.created_before, LATEST)


EVERYTHING = Wanted()


@dataclass(slots=True)
class ListPage:
    """Content of a page, newest first, and the cursors of its neighbors."""

    results: list[dict[str, Any]] = field(default_factory=list)
    next_cursor: str | None = None
    previous_cursor: str | None = None
    unreadable: list[UnreadableRecordError] = field(default_factory=list)
    """Records that are left out, since they cannot be read or shown."""

    @property
    def cursors(self) -> tuple[str | None, str | None]:
        """Cursors of the next page and of the previous one."""
        return self.next_cursor, self.previous_cursor


@immutable
class Read:
    """Reads within one tenant. Another tenant's id costs and answers the same as an unknown one."""

    store: PredictionStore

    def get(self, tenant: str, id_: str) -> Prediction:
        """Read one record, strongly consistent. Raises NotFoundError, or UnreadableRecordError."""
        try:
            record = self.store.get(id_) if link.is_id(id_) else None
        except UnreadableRecordError as error:
            if error.tenant == tenant:
                raise
            record = None
        if record is None or record.tenant != tenant:
            raise NotFoundError("Not found")
        return record

    def opened(self, id_: str) -> Prediction:
        """Read one record for a caller whose permission is already proven. Raises NotFoundError, or
        UnreadableRecordError."""
        record = self.store.get(id_)
        if record is None:
            raise NotFoundError("Not found")
        return record

    def page(
        self,
        tenant: str,
        cursor: str | None,
        limit: str | None,
        show: Callable[[Prediction], dict[str, Any]],
        wanted: Wanted = EVERYTHING,
    ) -> ListPage:
        """Return up to a hundred records or up to `limit`, but at most 2.5 MB as shown, or the
        matches among 300 filtered records: a filtered page may be empty and still have a next one.

        Raises BadRequestError for an invalid cursor, or a limit that is not from 1 to 100.
        """
        most = PAGE if limit is None else _limit(limit)
        place = _open_cursor(cursor, tenant) if cursor else None
        listed = ListPage()
        if (span := _span(wanted, place)) is None:
            return listed
        # In reverse order one more is read, to know whether a previous page exists.
        more = int(span.oldest_first and not wanted.sifts)
        left = MOST_SIFTED if wanted.sifts else most
        following = _after(place, span)
        size, shown = 0, list[tuple[int, str]]()
        while left:
            keys = min(left, PAGE)
            page = self.store.list_ids(tenant, following, keys + more, span, wanted.name)
            ids = page.ids[:keys]
            following = page.next if not more or len(page.ids) > keys else None
            left = left - keys if following else 0
            for record in self._read(ids, listed.unreadable):
                if record not in wanted:
                    continue
                try:
                    body = show(record)
                except _NOT_SHOWN as error:
                    reason = f"not shown: {type(error).__name__}"
                    listed.unreadable.append(UnreadableRecordError(record.id, tenant, reason))
                    continue
                # In ASCII, since Lambda passes other characters on in up to three times as many
                # bytes.
                size += len(json.dumps(body))
                full = bool(shown) and size > PAGE_BYTES
                if not full:
                    listed.results.append(body)
                    shown.append((record.created_at, record.id))
                    full = len(shown) == most and record.id != ids[-1]
                if full:
                    left, following = 0, shown[-1]
                    break
            if len(shown) == most:
                break
        if more and following:
            # Not after the additional one, which is not shown.
            following = shown[-1] if shown else None
        _link(listed, place, shown, following, tenant)
        return listed

    def _read(
        self, ids: list[str], unreadable: list[UnreadableRecordError]
    ) -> Iterator[Prediction]:
        for start in range(0, len(ids), READ_AT_ONCE):
            yield from self.store.get_many(ids[start : start + READ_AT_ONCE], unreadable)


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= PAGE:
        return int(text)
    raise BadRequestError(f"limit is a whole number from 1 to {PAGE}.")


@immutable
class _Place:
    """Start of a page: after a record, in the order of the list or in reverse."""

    at: int
    id: str
    back: bool = False


def _span(wanted: Wanted, place: _Place | None) -> Span | None:
    """Return the period to query; None if it is empty, which the index rejects."""
    span = Span(wanted.first, wanted.end - 1, oldest_first=place is not None and place.back)
    if wanted.nothing:
        return None
    if place is None:
        return span
    over = place.at > span.last if place.back else place.at < span.first
    return None if over else span


def _after(place: _Place | None, span: Span) -> tuple[int, str] | None:
    """Return the record to continue after. The index rejects one outside of the period."""
    within = place is not None and span.first <= place.at <= span.last
    return (place.at, place.id) if place is not None and within else None


def _link(
    listed: ListPage,
    place: _Place | None,
    shown: list[tuple[int, str]],
    following: tuple[int, str] | None,
    tenant: str,
) -> None:
    """Set the cursors, and restore the order of a page that was read in reverse."""
    if place is None or not place.back:
        listed.next_cursor = _cursor(following, tenant) if following else None
        if place is not None and shown:
            listed.previous_cursor = _cursor(shown[0], tenant, back=True)
        return
    listed.results.reverse()
    if following:
        listed.previous_cursor = _cursor(following, tenant, back=True)
    if shown:
        listed.next_cursor = _cursor(shown[0], tenant)


def _cursor(after: tuple[int, str], tenant: str, *, back: bool = False) -> str:
    parts = [after[0], after[1], tenant, *(["back"] if back else [])]
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _open_cursor(cursor: str, tenant: str) -> _Place:
    """Parse a cursor. It only tells the position; the query itself is always for the caller's
    tenant."""
    try:
        if len(cursor) > 400:
            raise BadRequestError("The cursor is not one of ours.")
        padded = cursor + "=" * (-len(cursor) % 4)
        at, id_, owner, *back = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise BadRequestError("The cursor is not one of ours.") from None
    ours = type(at) is int and 0 < at < LATEST and isinstance(id_, str) and link.is_id(id_)
    if not ours or owner != tenant or back not in ([], ["back"]):
        raise BadRequestError("The cursor is not one of ours.")
    return _Place(at, id_, back=bool(back))
