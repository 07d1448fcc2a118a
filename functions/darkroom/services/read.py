"""What clients may see: one prediction, or a page of them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.domain import link
from darkroom.domain.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import PredictionStore

PAGE = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """Records newest first, and the cursor of the next page."""

    records: list[Prediction]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Read:
    """Reads within one tenant: another tenant's id costs and answers what an unknown one does."""

    store: PredictionStore

    def get(self, tenant: str, id_: str) -> Prediction:
        """One record, strongly consistent. Raises NotFound."""
        record = self.store.get(id_) if link.is_id(id_) else None
        if record is None or record.tenant != tenant:
            raise NotFound("Not found")
        return record

    def page(self, tenant: str, cursor: str | None, limit: str | None = None) -> Listed:
        """Up to a hundred records, or up to `limit`.

        Raises BadRequest for a cursor that we did not make, or a limit that is not from 1 to 100.
        """
        most = PAGE if limit is None else _limit(limit)
        after = _open_cursor(cursor, tenant) if cursor else None
        page = self.store.list_ids(tenant, after, most)
        records = self.store.get_many(page.ids)
        return Listed(records, _cursor(page.next, tenant) if page.next else None)

    def cursor_after(self, record: Prediction) -> str:
        """The cursor of the page after one that ends with this record."""
        return _cursor((record.created_at, record.id), record.tenant)


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
