"""The seeded faults of what clients, applications and operators do beside submitting."""

from __future__ import annotations

from tests.proof.edit import Edit, Mutant

CLIENT_MUTANTS: dict[str, Mutant] = {
    "a silent repetition is a new request": Mutant(
        Edit(
            "services.repeats",
            "enter",
            "request.idempotency_key is not None or (count is None and not dedupe_s)",
            "True",
        ),
    ),
    "a callback promised again, and not written down": Mutant(
        Edit(
            "services.deliveries",
            "Deliveries.redeliver",
            "not self.deliveries.write(again, seen=row)",
            "row != self.deliveries.get(row.prediction, row.event)",
        ),
    ),
    "webhook secret never read again": Mutant(
        Edit(
            "services.receive",
            "Receive._verify",
            "self.secrets.webhook_keys(refresh=True)",
            "self.secrets.webhook_keys()",
        ),
    ),
    "the link key before is no longer taken": Mutant(
        Edit(
            "services.receive",
            "Receive.__call__",
            "self.secrets.link_keys()",
            "self.secrets.link_keys()[:1]",
        ),
    ),
    "an event without a key": Mutant(
        Edit(
            "api.requests",
            "ReadCreate.event",
            """f"event:{_event_key(body.get('id'), token, event_id)}" """,
            "None",
        ),
    ),
    "a request rejected without a word": Mutant(
        Edit(
            "services.intake",
            "NotTaken._reject",
            "self.bus.publish(events.REJECTED, told)",
            "None",
        ),
    ),
    "a task told before the end": Mutant(
        Edit(
            "services.tasks",
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
        Edit("domain.lifecycle", "_tells", "grew", "False"),
        where="grows",
    ),
    "an older status after `completed`": Mutant(
        Edit(
            "domain.callbacks",
            "superseded",
            'over and "completed" in record.webhook_events',
            "False",
        ),
    ),
}
