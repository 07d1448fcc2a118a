"""The seeded faults of what clients, applications and operators do beside submitting."""

from __future__ import annotations

from tests.proof.edit import Edit

CROWD_MUTANTS: dict[str, tuple[Edit, ...]] = {
    "tasks behind callbacks": (
        Edit(
            "services.carry_out",
            "                self.tasks_queue.send(message, group=record.tenant)\n",
            "                self.deliver.send(message, group=record.tenant)\n",
        ),
    ),
    "no share for an endpoint": (
        Edit(
            "domain.receivers",
            "        return self._of(url).shares or slow >= CROWD\n",
            "        return slow >= CROWD\n",
        ),
    ),
    "no share for a tenant": (
        Edit(
            "domain.receivers",
            "        return self._of(url).shares or slow >= CROWD\n",
            "        return self._of(url).shares\n",
        ),
    ),
    "a dead endpoint is called on": (
        Edit(
            "services.deliver",
            "        if now < receivers.next_at(url):\n",
            "        if now < 0:\n",
        ),
    ),
}
"""Faults that show only where many are owed and time passes: tests/unit/services/test_isolation.py
catches each. The proof, in whose world no attempt takes time, does not hunt them."""

CLIENT_MUTANTS: dict[str, tuple[Edit, ...]] = {
    "a silent repetition is a new request": (
        Edit(
            "services.submit",
            "        if not request.replay_window_s or request.idempotency_key is not None:\n",
            "        if request.replay_window_s or request.idempotency_key is not None:\n",
        ),
    ),
    "a callback promised again, and not written down": (
        Edit(
            "services.deliveries",
            "        if not self.deliveries.write(again, seen=row):\n",
            "        if row != self.deliveries.get(row.prediction, row.event):\n",
        ),
    ),
    "webhook secret never read again": (
        Edit(
            "services.receive",
            "            keys = self.secrets.webhook_keys(refresh=True)\n",
            "            keys = self.secrets.webhook_keys()\n",
        ),
    ),
    "the link key before is no longer taken": (
        Edit(
            "services.receive",
            "        keys = self.secrets.link_keys()\n",
            "        keys = self.secrets.link_keys()[:1]\n",
        ),
    ),
    "an event without a key": (
        Edit(
            "api.requests",
            """idempotency_key=f"event:{_event_key(body.get('id'), token, event_id)}",""",
            "idempotency_key=None,",
        ),
    ),
    "a request rejected without a word": (
        Edit("services.intake", "        self.bus.publish(events.REJECTED, told)\n", ""),
    ),
    "a task told before the end": (
        Edit(
            "services.tasks",
            "        if not record.state.terminal:\n",
            "        if record.state is State.ACCEPTED:\n",
        ),
    ),
    "a task not told of the end": (
        Edit(
            "domain.lifecycle",
            "    if new.task_token and (old is None or not old.state.terminal):\n",
            "    if new.task_token and not new.state.terminal:\n",
        ),
    ),
}
