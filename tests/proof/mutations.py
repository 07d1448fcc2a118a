"""The seeded faults of the product, as exact changes of its source text."""

from __future__ import annotations

from tests.proof.edit import Edit
from tests.proof.mutations_clients import CLIENT_MUTANTS
from tests.proof.mutations_money import MONEY_MUTANTS

_SUBMIT = "services.submit"
_LIFE = "domain.lifecycle"
_SWEEP = "services.sweep"
_PERSIST = "services.persist"

MUTANTS: dict[str, tuple[Edit, ...]] = {
    "row after POST": (
        Edit(
            _SUBMIT,
            "        if reused is None:\n            record = self._send(record, budget)\n",
            "",
        ),
        Edit(
            _SUBMIT,
            "        try:\n            self.changes.store.insert(",
            "        if reused is None:\n            record = self._send(record, budget)\n"
            "        try:\n            self.changes.store.insert(",
        ),
    ),
    "answer before the row": (
        Edit(
            _SUBMIT,
            "        if reused is None:\n            record = self._send(",
            "        except Exception:\n"
            "            return Accepted(record, warning, expected=expected)\n"
            "        if reused is None:\n            record = self._send(",
        ),
    ),
    "idempotency key unchecked": (
        Edit(
            _SUBMIT,
            "self.changes.store.insert(record, _stored_key(request, now), entry)",
            "self.changes.store.insert(record, None, entry)",
        ),
    ),
    "blind repetition of an unknown create": (
        Edit(
            _LIFE,
            "            asked = replace(create, state=CreateState.UNKNOWN, not_before=now)\n"
            "            return replace(record, create=asked)\n",
            "            return _refused(record, now, now, parked=False)\n",
        ),
    ),
    "unconditional write": (
        Edit(
            "services.changes",
            "                current = lost.current\n                continue\n",
            "                stolen = replace(changed, revision=lost.current.revision + 1)\n"
            "                self.store.commit(stolen)\n"
            "                return Applied(stolen, changed=True)\n",
        ),
        Edit(
            "services.changes",
            "from dataclasses import dataclass\n",
            "from dataclasses import dataclass, replace\n",
        ),
    ),
    "adoption by input alone": (
        Edit(
            _SWEEP,
            "self.changes.dedicated_account and found.complete and same_input(only, record)",
            "found.complete and same_input(only, record)",
        ),
    ),
    "no sweep of polls": (
        Edit(
            _SWEEP,
            "                self._poll(record, look)\n",
            "                pass\n",
        ),
    ),
    "no sweep of storing": (
        Edit(
            _SWEEP,
            "            case Urgency.STORING:\n"
            "                self.carry_out(record, effects(None, record))\n",
            "            case Urgency.STORING:\n                pass\n",
        ),
    ),
    "no sweep of ends": (
        Edit(
            _SWEEP,
            "            case Urgency.EFFECTS:\n"
            "                self.carry_out(record, effects(None, record))\n",
            "            case Urgency.EFFECTS:\n                pass\n",
        ),
    ),
    "effects marked done before they are": (
        Edit(
            "services.relay",
            "        self.carry_out(new, effects(old, new))\n",
            "        if new.state.terminal and not new.effects_done:\n"
            "            self.store.mark_effects_done(new)\n"
            "        self.carry_out(new, effects(old, new))\n",
        ),
    ),
    "end marked done before it is handed on": (
        Edit(
            _SWEEP,
            "                self.carry_out(record, effects(None, record))\n"
            "                self.changes.store.mark_effects_done(record)\n",
            "                self.changes.store.mark_effects_done(record)\n"
            "                self.carry_out(record, effects(None, record))\n",
        ),
    ),
    "message deleted before its work": (
        Edit(
            "runtime.batches",
            '            count("MessageFailed")\n            raise\n',
            '            count("MessageFailed")\n            return\n',
        ),
    ),
    "stream record dropped when it fails": (
        Edit(
            "handlers.relay",
            '        count("RelayFailed")\n        raise\n',
            '        count("RelayFailed")\n        return\n',
        ),
    ),
    "claim of a create ignored": (
        Edit(
            "services.dispatch",
            "        if not started.changed:\n            return False\n",
            "        if started.record.state.terminal:\n            return False\n",
        ),
    ),
    "terminal overwritten": (
        Edit(
            _LIFE,
            "    if record.state.rank >= State.STORING.rank or "
            "record.cancel_requested_at is not None:"
            "\n        return None\n",
            "    if record.cancel_requested_at is not None:\n        return None\n",
        ),
    ),
    "provider id unchecked": (
        Edit(
            _LIFE,
            "    ours = record.provider_id in {None, said.provider_id}\n",
            "    ours = True\n",
        ),
    ),
    "told before it is stored": (
        Edit(
            _LIFE,
            "    if new.state.terminal and (old is None or not old.state.terminal):\n"
            "        caused.append(Publish(new.state.value))\n",
            "    if new.state is State.STORING or (\n"
            "        new.state.terminal and (old is None or not old.state.terminal)\n"
            "    ):\n"
            "        caused.append(Publish(new.state.value))\n",
        ),
    ),
    "a create in flight never becomes unknown": (
        Edit(
            _LIFE,
            "    if create.state is CreateState.IN_FLIGHT and now >= create.until:\n",
            "    if create.state is CreateState.IN_FLIGHT and now < 0:\n",
        ),
    ),
    "silence not waited for": (
        Edit(
            _LIFE,
            "    if news.silent and now >= create.until + int(timings.create_silence_s * 1000):\n",
            "    if news.silent:\n",
        ),
    ),
    "extra prediction not canceled": (
        Edit(
            _LIFE,
            "    wanted = [pid for pid in new.extra_provider_ids if pid not in known]\n",
            "    wanted: list[str] = []\n",
        ),
    ),
    "part of the output counts as success": (
        Edit(
            _PERSIST,
            "        if len(files) == len(self._urls):\n",
            "        if len(files) == len(self._urls) or self._failed:\n",
        ),
    ),
    "cut file counts as whole": (
        Edit(
            _PERSIST,
            "        if announced is None and not self._walk.ended:\n",
            "        if self.length == 0:\n",
        ),
    ),
    "wish to cancel forgotten when bound": (
        Edit(
            _LIFE,
            "            adopted=news.adopted,\n",
            "            adopted=news.adopted,\n            cancel_requested_at=None,\n",
        ),
    ),
    "canceled though a create may exist": (
        Edit(
            _LIFE,
            "        if record.create.state is CreateState.REFUSED:\n"
            "            state = State.ABORTED if by_deadline else State.CANCELED\n",
            "        if record.create.attempt:\n"
            "            state = State.ABORTED if by_deadline else State.CANCELED\n",
        ),
    ),
    "retry_after ignored": (
        Edit(
            _LIFE,
            "            return Refused(attempt, now + int(wait) + 1 + int(1000 * jitter))\n",
            "            return Refused(attempt, now)\n",
        ),
    ),
    "a webhook makes it succeeded": (
        Edit(_LIFE, '    "succeeded": State.STORING,\n', '    "succeeded": State.SUCCEEDED,\n'),
    ),
    "2xx though the write failed": (
        Edit(
            "services.receive",
            "        except ProviderIdTaken as taken:\n",
            "        except Exception as taken:\n"
            "            if not isinstance(taken, ProviderIdTaken):\n"
            "                return Received.NOTHING_NEW\n",
        ),
    ),
    "link token unchecked": (
        Edit(
            "services.receive",
            "        if record is None or not link.check("
            "token, record.id, record.created_at, keys=keys):\n",
            "        if record is None:\n",
        ),
    ),
    "expired while it still exists": (
        Edit(
            _LIFE,
            "            if now >= lives_until:\n",
            "            if now >= lives_until - 3_500_000:\n",
        ),
    ),
    **MONEY_MUTANTS,
    **CLIENT_MUTANTS,
}
