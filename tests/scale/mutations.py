"""Mutations that only load reveals: each must be caught by one small scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.proof.edit import Edit
from tests.proof.mutations_clients import CROWD_MUTANTS

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mutant(NamedTuple):
    """A mutation, and the scenario that must reveal it."""

    scenario: str
    scale: int
    edits: tuple[Edit, ...]


DEAD = "a dead endpoint of one tenant"
FAIR = "one tenant has 5,000 due, 499 one each"
WATCH = "500 watch their logs grow"
MUTANTS: Mapping[str, Mutant] = {
    "no share of a tenant": Mutant(
        FAIR,
        25,
        (
            Edit(
                "services.predictions.sweep",
                "_fairly",
                "zip_longest(*by_tenant.values())",
                "iter(by_tenant.values())",
            ),
        ),
    ),
    "one page only": Mutant(
        FAIR,
        25,
        (
            Edit(
                "services.predictions.listing",
                "Listing._read_wanted",
                "not older or not window.more",
                "times or not older or not window.more",
            ),
        ),
    ),
    "read whole before it is claimed": Mutant(
        "records of 250 kB, one tick",
        1,
        (
            Edit(
                "services.predictions.sweep",
                "Sweep.__call__",
                "due = self._due(now, part, parts)",
                """
                due = self._due(now, part, parts)
                whole = list(self.changes.store.get_many(each.key.id for each in due))
                """,
            ),
        ),
    ),
    "one record a tick": Mutant(
        "no webhooks at 10/s",
        50,
        (Edit("services.predictions.sweep", "", "LIMIT = 2_000", "LIMIT = 1"),),
    ),
    "readings without an end": Mutant(
        "the provider is silent for 10 minutes",
        50,
        (
            Edit(
                "services.predictions.listing",
                "Listing._page",
                "self._patience.spare_ms() < self._least_ms",
                "self._patience.spare_ms() < -100_000",
            ),
            Edit(
                "services.predictions.listing",
                "Patience.usable",
                "self.left > 0 and self._silences < SILENCES and self.spare_ms() >= 0",
                "self.left > 0 and self._silences < SILENCES",
            ),
        ),
    ),
    "a silent provider is asked on": Mutant(
        "the provider is silent for 10 minutes",
        50,
        (Edit("services.predictions.listing", "", "SILENCES = 3", "SILENCES = 3_000"),),
    ),
    "no progress kept": Mutant(
        "12 files of 45 s each",
        1,
        (
            Edit(
                "services.predictions.persist",
                "_Run.news",
                "StoreDelayed(reason, files)",
                "StoreDelayed(reason, ())",
            ),
            Edit(
                "services.predictions.persist",
                "_Run.__init__",
                "self._missing and not _is_first(record, persist.changes.clock())",
                "not self._urls",
            ),
        ),
    ),
    "the stream's filter drops what is to be stored": Mutant(
        DEAD,
        50,
        (
            Edit(
                "domain.lifecycle",
                "has_effects",
                "bool(effects(None, record))",
                "bool(effects(None, record)) and record.state is not State.STORING",
            ),
        ),
    ),
    "the stream's filter lets all through": Mutant(
        DEAD,
        50,
        (Edit("aws.items", "prediction_item", "has_effects(record)", "True"),),
    ),
    "tasks behind callbacks": Mutant(DEAD, 50, CROWD_MUTANTS["tasks behind callbacks"].edits),
    "looks without a bound": Mutant(
        WATCH,
        25,
        (
            Edit(
                "services.predictions.look",
                "Look.__call__",
                "self._admitted(record.tenant, now)",
                "True",
            ),
        ),
    ),
    "every GET writes": Mutant(
        WATCH,
        25,
        (
            Edit(
                "services.predictions.look",
                "AskForLook.__call__",
                "now < max(record.watched_until, record.updated_at + LOOK_MS)",
                "False",
            ),
        ),
    ),
    "no share of looks": Mutant(
        WATCH,
        10,
        (
            Edit(
                "services.predictions.look",
                "Look._admitted",
                "taken(share, SHARE_INTERVAL_US, SHARE_AT_ONCE)",
                "False",
            ),
        ),
    ),
    "no bound of a form's head, and the standard library's parser": Mutant(
        "hostile uploads and schemas",
        1,
        (
            Edit(
                "api.multipart",
                "parser",
                "LONGEST_HEADER",
                "10**9",
            ),
            Edit(
                "api.multipart",
                "_part",
                'parameters(header(segment, "content-disposition"))',
                """
                dict.fromkeys(
                    __import__("email.message").message._parseparam(
                        f";{header(segment, 'content-disposition')}"
                    )
                )
                """,
            ),
        ),
    ),
    "no bound of a check": Mutant(
        "hostile uploads and schemas",
        1,
        (Edit("domain.checker", "", "MAX_STEPS = 30_000", "MAX_STEPS = 10**12"),),
    ),
}
