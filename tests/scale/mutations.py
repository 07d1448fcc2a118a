"""Faults that show in a crowd alone: each must be caught by one small scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.proof.edit import Edit

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mutant(NamedTuple):
    """A fault, and where it must show."""

    scenario: str
    scale: int
    edits: tuple[Edit, ...]


FAIR = "one tenant has 5,000 due, 499 one each"
MUTANTS: Mapping[str, Mutant] = {
    "no share of a tenant": Mutant(
        FAIR,
        50,
        (
            Edit(
                "services.sweep",
                "    turns = zip_longest(*by_tenant.values())\n",
                "    turns = by_tenant.values()\n",
            ),
        ),
    ),
    "one page only": Mutant(
        "no webhooks at 100/s",
        50,
        (
            Edit(
                "services.listing",
                "            if cursor is None or not older:\n",
                "            if times or not older:\n",
            ),
        ),
    ),
}
