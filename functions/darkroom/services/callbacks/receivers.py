"""The only way to change the state of a tenant's receivers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.receivers import Receivers
    from darkroom.ports import ReceiverStore

TRIES = 3
"""Attempts until others were faster each time; they have recorded the same endpoints."""


def change(
    controls: ReceiverStore,
    tenant: str,
    seen: Receivers,
    make: Callable[[Receivers], Receivers | None],
) -> Receivers | None:
    """Apply `make` to the state, starting from `seen`, and write the result if it differs.

    Returns None if `make` does, or if others were faster each time.
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
