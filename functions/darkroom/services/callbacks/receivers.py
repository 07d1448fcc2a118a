"""The one way in which what is known of a tenant's receivers changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.receivers import Receivers
    from darkroom.ports import ReceiverStore

TRIES = 3
"""Then others were faster each time: they have written how the same endpoints do."""


def change(
    controls: ReceiverStore,
    tenant: str,
    seen: Receivers,
    make: Callable[[Receivers], Receivers | None],
) -> Receivers | None:
    """Write what `make` makes of them, beginning with what was `seen`, if it is anything new.

    None where it makes nothing of them, or where others were faster each time.
    """
    for _ in range(TRIES):
        made = make(seen)
        if made is None or made == seen:
            return made
        made = replace(made, revision=seen.revision + 1)
        if controls.put_receivers(tenant, made):
            return made
        seen = controls.receivers(tenant)
    return None
