"""Mutations of the operations of clients, applications and operators other than submit."""

from __future__ import annotations

from tests.proof.edit import Edit, Mutant

CROWD_MUTANTS: dict[str, Mutant] = {
    "tasks behind callbacks": Mutant(
        Edit(
            "services.predictions.run_effects",
            "RunEffects._one",
            "self.tasks_queue.send(message, group=record.tenant)",
            "self.deliver.send(message, group=record.tenant)",
        ),
    ),
    "no share for an endpoint": Mutant(
        Edit(
            "domain.receivers",
            "Receivers.shares",
            "self._of(url).shares or slow >= CROWD",
            "slow >= CROWD",
        ),
    ),
    "no share for a tenant": Mutant(
        Edit(
            "domain.receivers",
            "Receivers.shares",
            "self._of(url).shares or slow >= CROWD",
            "self._of(url).shares",
        ),
    ),
    "a dead endpoint is called on": Mutant(
        Edit(
            "services.callbacks.deliver",
            "DeliverCallback._in_turn",
            "now < receivers.next_at(url)",
            "now < 0",
        ),
    ),
}
"""Mutations that have an effect only with many pending callbacks and with time passing:
tests/unit/services/test_isolation.py catches each. The proof does not hunt them, because no attempt
takes time in its world."""

CLIENT_MUTANTS: dict[str, Mutant] = {
    "a silent repetition is a new request": Mutant(
        Edit(
            "services.predictions.repeats",
            "enter",
            "request.idempotency_key is not None or (count is None and not dedupe_s)",
            "True",
        ),
    ),
    "a callback promised again, and not written down": Mutant(
        Edit(
            "services.callbacks.deliveries",
            "Deliveries._again",
            "not self.deliveries.write(again, seen=row)",
            "row != self.deliveries.get(row.prediction, row.event)",
        ),
    ),
    "webhook secret never read again": Mutant(
        Edit(
            "services.predictions.handle_webhook",
            "HandleWebhook._verify",
            "self.secrets.webhook_keys(refresh=True)",
            "self.secrets.webhook_keys()",
        ),
    ),
    "the link key before is no longer taken": Mutant(
        Edit(
            "services.predictions.handle_webhook",
            "HandleWebhook.__call__",
            "self.secrets.link_keys()",
            "self.secrets.link_keys()[:1]",
        ),
    ),
    "an event without a key": Mutant(
        Edit(
            "api.requests",
            "ReadCreate.event",
            """f"event:{_event_key(body.get('id'), token, envelope.id)}" """,
            "None",
        ),
    ),
    "a request rejected without a word": Mutant(
        Edit(
            "services.doors.intake",
            "RetryOrReject._reject",
            "self.bus.publish(events.REJECTED, told)",
            "None",
        ),
    ),
    "a task told before the end": Mutant(
        Edit(
            "services.predictions.tasks",
            "TellTask.__call__",
            "not record.state.terminal",
            "record.state is State.ACCEPTED",
        ),
    ),
    "a task not told of the end": Mutant(
        Edit(
            "domain.lifecycle",
            "effects",
            "new.task_token and (old is None or not old.state.terminal)",
            "new.task_token and not new.state.terminal",
        ),
    ),
    "no growth callback ever": Mutant(
        Edit("domain.lifecycle", "_should_notify", "grew", "False"),
        where="grows",
    ),
    "an older status after `completed`": Mutant(
        Edit(
            "domain.callback",
            "superseded",
            'over and "completed" in record.webhook_events',
            "False",
        ),
    ),
}
