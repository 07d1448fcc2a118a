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
        25,
        (
            Edit(
                "services.sweep",
                "    turns = zip_longest(*by_tenant.values())\n",
                "    turns = iter(by_tenant.values())\n",
            ),
        ),
    ),
    "one page only": Mutant(
        FAIR,
        25,
        (
            Edit(
                "services.listing",
                "            if not older or not window.more:\n",
                "            if times or not older or not window.more:\n",
            ),
        ),
    ),
    "read whole before it is claimed": Mutant(
        "records of 250 kB, one tick",
        1,
        (
            Edit(
                "services.sweep",
                "        due = self.changes.store.look(keys)\n",
                "        due = self.changes.store.look(keys)\n"
                "        whole = self.changes.store.get_many(key.id for key in keys)\n",
            ),
        ),
    ),
    "one record a tick": Mutant(
        "no webhooks at 10/s",
        50,
        (
            Edit(
                "services.sweep",
                "[:LIMIT] for kind in URGENCIES\n",
                "[:1] for kind in URGENCIES\n",
            ),
        ),
    ),
    "readings without an end": Mutant(
        "the provider is silent for 10 minutes",
        50,
        (
            Edit(
                "services.listing",
                "        if self._patience.spare_ms() < self._least_ms:\n",
                "        if self._patience.spare_ms() < -100_000:\n",
            ),
            Edit(
                "services.listing",
                "self._silences < SILENCES and self.spare_ms() >= 0",
                "self._silences < SILENCES",
            ),
        ),
    ),
    "a silent provider is asked on": Mutant(
        "the provider is silent for 10 minutes",
        50,
        (Edit("services.listing", "\nSILENCES = 3\n", "\nSILENCES = 3_000\n"),),
    ),
    "no progress kept": Mutant(
        "12 files of 45 s each",
        1,
        (
            Edit(
                "services.persist",
                "        return StoreDelayed(reason, files)\n",
                "        return StoreDelayed(reason, ())\n",
            ),
            Edit(
                "services.persist",
                "        if self._urls and not _is_first(record, persist.changes.clock()):\n",
                "        if not self._urls:\n",
            ),
        ),
    ),
    "the stream's filter drops what is to be stored": Mutant(
        "a dead endpoint of one tenant",
        25,
        (
            Edit(
                "domain.lifecycle",
                "    return bool(effects(None, record))\n",
                "    return bool(effects(None, record)) and record.state is not State.STORING\n",
            ),
        ),
    ),
}
