"""Mutations of creates, of the sweep and of the effects of an end."""

from __future__ import annotations

from tests.proof.edit import Edit, Mutant
from tests.proof.mutations_clients import CLIENT_MUTANTS
from tests.proof.mutations_money import MONEY_MUTANTS
from tests.proof.mutations_odd import ODD_MUTANTS

_SUBMIT, _ACCEPT = "services.predictions.submit", "Submit._accept"
_LIFE = "domain.lifecycle"
_SWEEP = "services.predictions.sweep"

MUTANTS: dict[str, Mutant] = {
    "row after POST": Mutant(
        Edit(_SUBMIT, _ACCEPT, "if reused is None:\n    record = self._send(record, budget)", ""),
        Edit(
            _SUBMIT,
            _ACCEPT,
            "self.prepare_input.write_files(prepared)",
            """
            self.prepare_input.write_files(prepared)
            if reused is None:
                record = self._send(record, budget)
            """,
        ),
    ),
    "answer before the row": Mutant(
        Edit(
            _SUBMIT,
            _ACCEPT,
            "self.changes.store.insert(record, key, entries)",
            """
            try:
                self.changes.store.insert(record, key, entries)
            except (IdempotencyKeyUsedError, LimitReachedError):
                raise
            except Exception:
                return Accepted(record, warning, expected=expected)
            """,
        ),
    ),
    "idempotency key unchecked": Mutant(
        Edit(
            _SUBMIT,
            _ACCEPT,
            "self.changes.store.insert(record, key, entries)",
            "self.changes.store.insert(record, None, entries)",
        ),
    ),
    "blind repetition of an unknown create": Mutant(
        Edit(
            _LIFE,
            "_create_answered",
            """
            asked = replace(create, state=CreateState.UNKNOWN, not_before=now)
            return replace(record, create=asked)
            """,
            "return _refused(record, now, now, parked=False)",
        ),
    ),
    "unconditional write": Mutant(
        Edit(
            "services.predictions.changes",
            "Changes.apply",
            "current = lost.current\ncontinue",
            """
            stolen = replace(changed, revision=lost.current.revision + 1)
            self.store.commit(stolen)
            return Applied(stolen, changed=True)
            """,
        ),
        Edit(
            "services.predictions.changes",
            "",
            "from darkroom.domain.values import immutable",
            "from dataclasses import replace\nfrom darkroom.domain.values import immutable",
        ),
    ),
    "adoption by input alone": Mutant(
        Edit(_SWEEP, "Sweep._settle", "self.changes.dedicated_account", "True"),
    ),
    "no sweep of polls": Mutant(Edit(_SWEEP, "Sweep._one", "self._poll(record, look)", "None")),
    "no sweep of storing": Mutant(
        Edit(
            _LIFE,
            "effects",
            "entered = old is None or old.state is not State.STORING",
            "entered = old is not None and old.state is not State.STORING",
        ),
    ),
    "no sweep of ends": Mutant(
        Edit(
            _SWEEP,
            "Sweep._one",
            """
            self.run_effects(record, effects(None, record))
            self.changes.store.mark_effects_done(record)
            """,
            "self.changes.store.mark_effects_done(record)",
        ),
    ),
    "effects marked done before they are": Mutant(
        Edit(
            "services.predictions.relay",
            "Relay.__call__",
            "self.run_effects(new, effects(old, new))",
            """
            if new.state.terminal and not new.effects_done:
                self.store.mark_effects_done(new)
            self.run_effects(new, effects(old, new))
            """,
        ),
    ),
    "end marked done before it is handed on": Mutant(
        Edit(
            _SWEEP,
            "Sweep._one",
            """
            self.run_effects(record, effects(None, record))
            self.changes.store.mark_effects_done(record)
            """,
            """
            self.changes.store.mark_effects_done(record)
            self.run_effects(record, effects(None, record))
            """,
        ),
    ),
    "message deleted before its work": Mutant(
        Edit("runtime.batches", "run_messages.record_handler", "raise", "return"),
    ),
    "stream record dropped when it fails": Mutant(
        Edit("handlers.relay", "_one", 'count("RelayFailed")\nraise', "return"),
    ),
    "claim of a create ignored": Mutant(
        Edit(
            "services.predictions.dispatch",
            "Dispatch.create_upstream",
            "not started.changed",
            "started.record.state.terminal",
        ),
    ),
    "terminal overwritten": Mutant(
        Edit(_LIFE, "_cancel", "record.state.rank >= State.STORING.rank", "False"),
    ),
    "provider id unchecked": Mutant(
        Edit(_LIFE, "_apply_snapshot", "record.provider_id in {None, said.provider_id}", "True"),
    ),
    "told before it is stored": Mutant(
        Edit(
            _LIFE,
            "_announcements",
            "new.state.terminal and (old is None or not old.state.terminal)",
            """
            new.state is State.STORING or (
                new.state.terminal and (old is None or not old.state.terminal)
            )
            """,
        ),
    ),
    "a create in flight never becomes unknown": Mutant(
        Edit(_LIFE, "create_state", "now >= create.until", "now < 0"),
    ),
    "silence not waited for": Mutant(
        Edit(
            _LIFE,
            "_apply_search",
            "news.begun_at >= create.until + int(timings.create_silence_s * 1000)",
            "True",
        ),
    ),
    "extra prediction not canceled": Mutant(
        Edit(
            _LIFE,
            "_cancels",
            "wanted = [pid for pid in new.extra_provider_ids if pid not in known]",
            "wanted = []",
        ),
    ),
    "part of the output counts as success": Mutant(
        Edit(
            "services.predictions.persist",
            "_Run.news",
            "len(files) == len(self._urls)",
            "len(files) == len(self._urls) or self._failed",
        ),
    ),
    "cut file counts as whole": Mutant(
        Edit(
            "services.predictions.persist",
            "_Seen.checked",
            "announced is None and not self._walk.ended",
            "self.length == 0",
        ),
    ),
    "wish to cancel forgotten when bound": Mutant(
        Edit(
            _LIFE,
            "_apply_snapshot",
            """
            replace(
                record,
                provider_id=said.provider_id,
                adopted=news.adopted,
                next_poll_at=_first_poll(record, now, timings),
            )
            """,
            """
            replace(
                record,
                provider_id=said.provider_id,
                adopted=news.adopted,
                cancel_requested_at=None,
                next_poll_at=_first_poll(record, now, timings),
            )
            """,
        ),
    ),
    "canceled though a create may exist": Mutant(
        Edit(
            _LIFE,
            "_cancel",
            "record.create.state is CreateState.REFUSED",
            "record.create.attempt",
        ),
    ),
    "retry_after ignored": Mutant(
        Edit(
            "replicate.creates",
            "classify",
            "return CreateRefused(attempt, now + int(wait) + 1 + int(1000 * jitter))",
            "return CreateRefused(attempt, now)",
        ),
    ),
    "a webhook makes it succeeded": Mutant(
        Edit(
            _LIFE,
            "_apply_status",
            "_NEXT[said.status]",
            '{**_NEXT, "succeeded": State.SUCCEEDED}[said.status]',
        ),
    ),
    "2xx though the write failed": Mutant(
        Edit(
            "services.predictions.handle_webhook",
            "HandleWebhook.__call__",
            "return self._apply(self._owner(record, snapshot), snapshot)",
            """
            try:
                return self._apply(self._owner(record, snapshot), snapshot)
            except ProviderIdTakenError:
                raise
            except Exception:
                return WebhookOutcome.NOTHING_NEW
            """,
        ),
    ),
    "link token unchecked": Mutant(
        Edit(
            "services.predictions.handle_webhook",
            "HandleWebhook.__call__",
            "record is None or not link.check(token, record.id, record.created_at, keys=keys)",
            "record is None",
        ),
    ),
    "expired while it still exists": Mutant(
        Edit(_LIFE, "_delayed", "now >= lives_until", "now >= lives_until - 3_500_000"),
    ),
    **MONEY_MUTANTS,
    **CLIENT_MUTANTS,
    **ODD_MUTANTS,
}
