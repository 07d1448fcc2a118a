"""The seeded faults of the ledger and of the result cache."""

from __future__ import annotations

from tests.proof.edit import Edit

_MONEY = "domain.money"
_REUSE = "services.reuse"

MONEY_MUTANTS: dict[str, tuple[Edit, ...]] = {
    "settled again after its end": (
        Edit(
            _MONEY,
            "    if new.ledger is None or old.state.terminal or not new.state.terminal:\n",
            "    if new.ledger is None or not new.state.terminal:\n",
        ),
    ),
    "settlement forgotten": (
        Edit("services.changes", "entry=settlement(current, changed)", "entry=None"),
    ),
    "reservation forgotten": (
        Edit(
            "services.submit",
            "self.changes.store.insert(record, _stored_key(request, now), entry)",
            "self.changes.store.insert(record, _stored_key(request, now))",
        ),
    ),
    "reservation outside of the transaction": (
        Edit(
            "services.submit",
            "            self.changes.store.insert(record, _stored_key(request, now), entry)\n",
            "            self.changes.store.insert(record, _stored_key(request, now))\n"
            "            if entry:\n"
            "                self.changes.store.insert(record, None, entry)\n",
        ),
    ),
    "released though the outcome is unknown": (
        Edit(
            _MONEY,
            "    if record.code in _UNTOLD:\n        return None\n",
            "    if record.code in _UNTOLD:\n        return 0.0\n",
        ),
    ),
    "released though a create may exist": (
        Edit(
            _MONEY,
            "        return record.create.state is CreateState.REFUSED or "
            "record.code is Code.REJECTED\n",
            "        return True\n",
        ),
    ),
    "the cap is no condition": (
        Edit(
            _MONEY,
            "most, 0, 1, limits.monthly_cap, limits.in_flight)",
            "most, 0, 1, None, limits.in_flight)",
        ),
    ),
    "usage counted twice": (
        Edit(
            "domain.lifecycle",
            "extra_provider_ids=extra, effects_done=False)",
            "extra_provider_ids=extra, effects_done=False, counted=False)",
        ),
    ),
    "a hit is shown before its copy": (
        Edit(
            _REUSE,
            "        pool = ThreadPoolExecutor(",
            "        return Reused(source, files)\n        pool = ThreadPoolExecutor(",
        ),
    ),
    "a copy that failed counts as done": (
        Edit(
            _REUSE,
            "                if copy.result() not in {file.sha256, None}:\n",
            "                if copy.exception() is None and "
            "copy.result() not in {file.sha256, None}:\n",
        ),
    ),
    "another tenant's result": (
        Edit(_REUSE, '    body = {"tenant": tenant, "model"', '    body = {"model"'),
        Edit(_REUSE, "            and source.tenant == tenant\n", ""),
    ),
    "a copy where the output belongs": (
        Edit(_REUSE, '    return f"{folder}/copy-{name}"\n', "    return key\n"),
    ),
}
