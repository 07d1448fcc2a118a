"""What clients may see: one prediction, or a page of them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.domain import link
from darkroom.domain.errors import BadRequest, NotFound, UnreadableRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from darkroom.domain.prediction import Prediction
    from darkroom.ports import PredictionStore

PAGE = 100
PAGE_BYTES = 2_500_000
"""A page ends before it is larger: Lambda takes answers of 6 MB, and escapes what is JSON once more
to hand it on."""
READ_AT_ONCE = 25
"""Records in memory at a time: one may hold a megabyte."""
_NOT_SHOWN = (json.JSONDecodeError, LookupError, TypeError)
"""What a damaged text in a record raises where it is shown; an outage raises something else."""


@dataclass(slots=True)
class Listed:
    """What a page shows, newest first, and the cursor of the next page."""

    results: list[dict[str, Any]] = field(default_factory=list)
    next_cursor: str | None = None
    unreadable: list[UnreadableRecord] = field(default_factory=list)
    """Records that are left out, since they cannot be read or shown."""


@dataclass(frozen=True, slots=True)
class Read:
    """Reads within one tenant: another tenant's id costs and answers what an unknown one does."""

    store: PredictionStore

    def get(self, tenant: str, id_: str) -> Prediction:
        """One record, strongly consistent. Raises NotFound, or UnreadableRecord."""
        try:
            record = self.store.get(id_) if link.is_id(id_) else None
        except UnreadableRecord as error:
            if error.tenant == tenant:
                raise
            record = None
        if record is None or record.tenant != tenant:
            raise NotFound("Not found")
        return record

    def page(
        self,
        tenant: str,
        cursor: str | None,
        limit: str | None,
        show: Callable[[Prediction], dict[str, Any]],
    ) -> Listed:
        """Up to a hundred records or up to `limit`, but no more than are 2.5 MB once shown.

        Raises BadRequest for a cursor that we did not make, or a limit that is not from 1 to 100.
        """
        most = PAGE if limit is None else _limit(limit)
        after = _open_cursor(cursor, tenant) if cursor else None
        page = self.store.list_ids(tenant, after, most)
        listed, size, following = Listed(), 0, page.next
        shown_last: tuple[int, str] | None = None
        for record in self._read(page.ids, listed.unreadable):
            try:
                shown = show(record)
            except _NOT_SHOWN as error:
                reason = f"not shown: {type(error).__name__}"
                listed.unreadable.append(UnreadableRecord(record.id, tenant, reason))
                continue
            # In ASCII: Lambda hands other characters on in up to three times as many bytes.
            size += len(json.dumps(shown))
            if shown_last and size > PAGE_BYTES:
                following = shown_last
                break
            listed.results.append(shown)
            shown_last = record.created_at, record.id
        listed.next_cursor = _cursor(following, tenant) if following else None
        return listed

    def _read(self, ids: list[str], unreadable: list[UnreadableRecord]) -> Iterator[Prediction]:
        for start in range(0, len(ids), READ_AT_ONCE):
            yield from self.store.get_many(ids[start : start + READ_AT_ONCE], unreadable)


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= PAGE:
        return int(text)
    raise BadRequest(f"limit is a whole number from 1 to {PAGE}.")


def _cursor(after: tuple[int, str], tenant: str) -> str:
    text = json.dumps([after[0], after[1], tenant], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _open_cursor(cursor: str, tenant: str) -> tuple[int, str]:
    """A cursor only says where to go on: the query itself is always for the caller's tenant."""
    try:
        if len(cursor) > 400:
            raise BadRequest("The cursor is not one of ours.")
        padded = cursor + "=" * (-len(cursor) % 4)
        at, id_, owner = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise BadRequest("The cursor is not one of ours.") from None
    ours = type(at) is int and 0 < at < 10**14 and isinstance(id_, str) and link.is_id(id_)
    if not ours or owner != tenant:
        raise BadRequest("The cursor is not one of ours.")
    return at, id_
