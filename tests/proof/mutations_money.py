"""Mutations of the ledger, of costs, and of the result cache."""

from __future__ import annotations

from tests.proof.edit import Edit, Mutant

_MONEY = "domain.money"
_REUSE = "services.predictions.reuse"
_ACCEPT = (
    "services.predictions.submit",
    "Submit._accept",
    "self.changes.store.insert(record, key, entries)",
)

MONEY_MUTANTS: dict[str, Mutant] = {
    "settled again after its end": Mutant(
        Edit(
            _MONEY,
            "settlement",
            "old.state.terminal or not new.state.terminal",
            "not new.state.terminal",
        ),
    ),
    "settlement forgotten": Mutant(
        Edit("services.predictions.changes", "Changes.apply", "settlement(current, changed)", "()"),
    ),
    "the end user's month is not settled": Mutant(
        Edit(_MONEY, "settlement", "months(new)", "months(new)[:1]"),
    ),
    "reservation forgotten": Mutant(
        Edit(*_ACCEPT, "self.changes.store.insert(record, key)"),
    ),
    "reservation outside of the transaction": Mutant(
        Edit(
            *_ACCEPT,
            """
            self.changes.store.insert(record, key)
            if entries:
                self.changes.store.insert(record, None, entries)
            """,
        ),
    ),
    "released though the outcome is unknown": Mutant(
        Edit(
            _MONEY,
            "_units",
            "if record.code in _UNTOLD:\n    return None",
            "if record.code in _UNTOLD:\n    return 0.0",
        ),
    ),
    "released though a create may exist": Mutant(
        Edit(_MONEY, "nothing_ran", "record.create.state is CreateState.REFUSED", "True"),
    ),
    "the cap is no condition": Mutant(
        Edit(_MONEY, "reservation", "limits.monthly_cap", "None"),
    ),
    "usage counted twice": Mutant(
        Edit(
            "domain.lifecycle",
            "_apply_snapshot",
            "replace(record, extra_provider_ids=extra, effects_done=False)",
            "replace(record, extra_provider_ids=extra, effects_done=False, counted=False)",
        ),
    ),
    "a success costs a millionth of a dollar": Mutant(
        Edit(_MONEY, "cost_of", "Cost(math.ceil(micro) + record.price_base * made)", "Cost(1)"),
    ),
    "unpriced models run under a cap": Mutant(
        Edit("services.tenants.limits", "check", "record.price is None", "False"),
        where="price=none",
    ),
    "more than was reserved is not charged": Mutant(
        Edit(
            _MONEY,
            "cost_of",
            "Cost(math.ceil(micro) + record.price_base * made)",
            "Cost(min(math.ceil(micro), terms.most))",
        ),
        where="surplus",
    ),
    "predict_time is believed": Mutant(
        Edit(_MONEY, "_seconds", "number and 0 <= measured <= longest", "number"),
        where="metrics=endless-price=second",
    ),
    "a run that was seen is charged nothing": Mutant(
        Edit(_MONEY, "_seconds", "ran or record.finished_at or record.code in _MADE", "False"),
        where="metrics=bare-price=second",
    ),
    "a hit is shown before its copy": Mutant(
        Edit(
            _REUSE,
            "ReuseResult._copied",
            "pool = ThreadPoolExecutor(min(len(files), COPIES_AT_ONCE))",
            "return CachedResult(source, files)",
        ),
    ),
    "a copy that failed counts as done": Mutant(
        Edit(
            _REUSE,
            "ReuseResult._copied",
            "copy.result() not in {file.sha256, None}",
            "copy.exception() is None and copy.result() not in {file.sha256, None}",
        ),
    ),
    "another tenant's result": Mutant(
        Edit(_REUSE, "cache_key", '"tenant"', '"whose"'),
        Edit(_REUSE, "cache_key", "tenant", '""'),
        Edit(_REUSE, "ReuseResult._source", "source.tenant == tenant", "True"),
    ),
    "a copy where the output belongs": Mutant(
        Edit(_REUSE, "_copy_key", "return f'{folder}/copy-{name}'", "return key"),
    ),
}
