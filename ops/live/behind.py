"""Rows about the work behind the API: webhooks, stream, callbacks, events, tasks, sweep."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.domain.events import REQUESTED

from ops.deployment import predictions
from ops.live import calls
from ops.live.logs import WEBHOOK_REFUSED
from ops.live.run import RUNNING, RefusedError
from ops.live.verdict import Verdict, fail, ok

if TYPE_CHECKING:
    from collections.abc import Iterable

    from darkroom.domain.prediction import Prediction

    from ops.live.run import Run

LOGGED_WITHIN_S = 60.0
STOPPED_WITHIN_S = 15.0
"""Time for a message or an event to become a prediction when a run ends early."""
QUIET = ("accepted", "submitted")
"""States of a plain prediction whose changes have no effects."""
RECENT = 50


# Replicate's webhooks


@dataclass(frozen=True, slots=True)
class Hooks:
    """Replicate's webhooks about one prediction, as the log shows them."""

    taken: int
    refused: tuple[str, ...] = ()
    """Reasons of the refusals."""


def see_hooks(run: Run) -> Hooks:
    """Read what the webhook function logged about the first prediction."""
    id_ = calls.main_id(run)
    calls.main(run)

    def lines() -> list[dict[str, Any]]:
        said = run.logs.about("Webhook", id_)
        return [one for one in said if "received" in one or one.get("message") == WEBHOOK_REFUSED]

    said = run.seen(lines, _within(run))
    refused = {str(line.get("reason")) for line in said if line.get("message") == WEBHOOK_REFUSED}
    return Hooks(sum("received" in line for line in said), tuple(sorted(refused)))


def judge_hooks(seen: Hooks) -> Verdict:
    """Pass if all webhooks were signed with the known secret and had the link token of their
    record."""
    if seen.refused:
        text = f"{seen.taken} were taken, others refused: {', '.join(seen.refused)}"
        return fail(text, "`ops doctor`, then `ops rotate webhook-secret`")
    if not seen.taken:
        return fail("none came: results are polled for", "see whether PUBLIC_URL can be reached")
    return ok(f"{seen.taken} were signed and linked, none was refused")


def _within(run: Run) -> float:
    return LOGGED_WITHIN_S / (6 if run.facts.embedded else 1)


# The stream's filter


@dataclass(frozen=True, slots=True)
class Relayed:
    """Changes of one prediction, and those that invoked the relay."""

    revisions: int
    relayed: int
    states: tuple[str, ...]


def see_relay(run: Run) -> Relayed:
    """Count what the relay logged about the first prediction, once its end is relayed."""
    id_ = calls.main_id(run)
    calls.main(run)
    done = run.until(lambda: _handed_on(run, id_), "the end is handed on by the relay")
    run.comes(lambda: any(line.get("state") == done.state for line in _lines(run)), _within(run))
    lines = _lines(run)
    states = dict.fromkeys(str(line["state"]) for line in lines)
    return Relayed(done.revision, len({line["revision"] for line in lines}), tuple(states))


def _handed_on(run: Run, id_: str) -> Prediction | None:
    found = run.record(id_)
    return found if found.effects_done else None


def _lines(run: Run) -> list[dict[str, Any]]:
    said = run.logs.about("Relay", calls.main_id(run))
    return [line for line in said if line.get("message") == "relayed"]


def judge_relay(seen: Relayed) -> Verdict:
    """Pass if the relay was invoked for changes with effects, and for no others."""
    text = f"{seen.relayed} of {seen.revisions} changes were relayed: {', '.join(seen.states)}"
    if not seen.relayed:
        return fail(text, "the stream's mapping is off or filters all: see its state in Lambda")
    loud = [state for state in seen.states if state in QUIET]
    if loud or seen.relayed >= seen.revisions:
        return fail(text, "the mapping's filter lets all through: more is paid for than need be")
    return ok(text)


# Callbacks


@dataclass(frozen=True, slots=True)
class Called:
    """The callback about one prediction's end."""

    state: str
    status: int | None
    listens: bool
    signed: int = 0
    unsigned: int = 0


def see_callback(run: Run) -> Called:
    """Read its history, and what arrived if this run runs the receiver."""
    id_ = calls.main_id(run)
    calls.main(run)

    def row() -> dict[str, Any] | None:
        rows = run.api.read("GET", f"/v1/predictions/{id_}/deliveries")["results"]
        ends = (r for r in rows if r["event"] == "completed" and r["attempts"])
        return next(ends, None)

    found = run.until(row, "an attempt of the callback")
    receiver = run.receiver
    if receiver is None or not receiver.listens:
        return Called(found["state"], found["last_status"], listens=False)
    run.comes(lambda: receiver.got, _within(run))
    secret = str(run.api.read("GET", "/v1/webhooks/default/secret")["key"])
    signed, unsigned = receiver.signed(id_, secret)
    return Called(found["state"], found["last_status"], True, signed, unsigned)


def judge_callback(seen: Called) -> Verdict:
    """Pass if it was delivered and, where that can be seen, signed with the tenant's secret."""
    text = f"{seen.state}, answered {seen.status}"
    if seen.listens:
        text += f"; {seen.signed} signed, {seen.unsigned} not"
    good = not seen.listens or (seen.signed > 0 and not seen.unsigned)
    if seen.state == "delivered" and good:
        return ok(text)
    return fail(text, "see the log of Deliver, and whether the receiver can be reached")


# Requests that come as events, messages, tasks


@dataclass(frozen=True, slots=True)
class Requested:
    """Result of a request that was not sent over HTTP."""

    status: str
    """Empty if it created no prediction."""


def queue_request(run: Run) -> str:
    """Send a request to the intake queue, like a state machine does. Returns its own id."""

    def send() -> str:
        id_ = f"live-{secrets.token_hex(8)}"
        detail = {"id": id_, "model": run.model, "input": {"prompt": calls.PROMPT}}
        message = {"tenant": run.tenant, "id": id_, "detail": detail}
        run.deployment.client("sqs").send_message(
            QueueUrl=run.deployment.outputs["IntakeQueue"], MessageBody=json.dumps(message)
        )
        run.endings.append(lambda: _stop_request(run, id_))
        return id_

    return run.once("queue request", send)


def _stop_request(run: Run, request_id: str) -> None:
    """Cancel the prediction of a message once it exists."""

    def made() -> dict[str, Any] | None:
        return next((one for one in run.api.mine() if one.get("request_id") == request_id), None)

    found = run.until(made, "what was asked for by the queue", STOPPED_WITHIN_S)
    if found["status"] in RUNNING:
        run.api.cancel(found["id"])


def see_queue(run: Run) -> Requested:
    """Find the message's prediction in the run's own tenant."""
    id_ = queue_request(run)

    def status() -> str | None:
        for one in run.api.read("GET", "/v1/predictions")["results"]:
            if one.get("request_id") == id_ and one["status"] not in RUNNING:
                return str(one["status"])
        return None

    return Requested(run.until(status, "the end of what was asked for by the queue"))


def event_request(run: Run) -> str:
    """Put a request on the bus. Returns its own id."""

    def put() -> str:
        id_ = f"live-{secrets.token_hex(8)}"
        source, _ = run.event_source or ("", "")
        detail = {"id": id_, "model": run.model, "input": {"prompt": calls.PROMPT}}
        entry = {
            "EventBusName": run.deployment.outputs["EventBus"],
            "Source": source,
            "DetailType": REQUESTED,
            "Detail": json.dumps(detail),
        }
        answer = run.deployment.client("events").put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise RefusedError(f"PutEvents: {answer['Entries'][0].get('ErrorCode')}")
        run.spent += run.picture_usd
        run.endings.append(lambda: _stop_event(run, id_))
        return id_

    return run.once("event", put)


def see_event(run: Run) -> Requested:
    """Find the event's prediction among the records of the source's tenant."""
    id_ = event_request(run)

    def state() -> str | None:
        found = _of_event(run, id_)
        return found.state.value if found and found.state.terminal else None

    return Requested(run.until(state, "the end of what was asked for by an event"))


def _of_event(run: Run, request_id: str) -> Prediction | None:
    """Return the record created by an event; None until it exists."""
    _, tenant = run.event_source or ("", "")
    store = predictions(run.deployment)
    ids = store.recent_ids(tenant, int(run.began * 1000), RECENT)
    ours = [one for one in store.get_many(ids) if one.request_id == request_id] if ids else []
    return ours[0] if ours else None


def _stop_event(run: Run, request_id: str) -> None:
    """Cancel at Replicate, because the run's API key belongs to another tenant. Replicate's webhook
    then tells Darkroom."""

    def made() -> Prediction | None:
        found = _of_event(run, request_id)
        return found if found and (found.provider_id or found.state.terminal) else None

    found = run.until(made, "what was asked for by the event", STOPPED_WITHIN_S)
    if found.provider_id and not found.state.terminal:
        api, token = run.replicate()
        api.cancel(token, found.provider_id)


def judge_requested(seen: Requested) -> Verdict:
    """Pass if the request became a picture."""
    if seen.status == "succeeded":
        return ok("became a prediction, which succeeded")
    return fail(f"ended as {seen.status or 'nothing'}", "see the log of Intake, and IntakeDlq")


def event_sources(rules: Iterable[tuple[dict[str, Any], str]]) -> list[tuple[str, str]]:
    """Return source and tenant of each rule that accepts requests, from its pattern and its
    template."""
    found = []
    for pattern, template in rules:
        if pattern.get("detail-type") != [REQUESTED] or len(pattern.get("source", [])) != 1:
            continue
        _, _, rest = template.partition('"tenant":"')
        if tenant := rest.partition('"')[0]:
            found.append((str(pattern["source"][0]), tenant))
    return found


@dataclass(frozen=True, slots=True)
class Task:
    """How an execution of the state machine ended."""

    status: str
    error: str | None = None


def see_task(run: Run) -> Task:
    """Run the state machine with the input that examples/pictures expects."""
    steps = run.deployment.client("stepfunctions")

    def start() -> str:
        given = json.dumps({"prompt": calls.PROMPT})
        started = steps.start_execution(stateMachineArn=run.state_machine, input=given)
        return str(started["executionArn"])

    arn = run.once("task", start)

    def ended() -> dict[str, Any] | None:
        found = dict(steps.describe_execution(executionArn=arn))
        return None if found["status"] == "RUNNING" else found

    found = run.until(ended, "the end of the state machine's execution")
    return Task(found["status"], found.get("error"))


def judge_task(seen: Task) -> Verdict:
    """Pass if the task was answered."""
    if seen.status == "SUCCEEDED":
        return ok("the task was answered, the execution succeeded")
    text = f"the execution is {seen.status} ({seen.error})"
    return fail(text, "see the log of Deliver, TasksDlq, and state_machines in the stage")


# The sweep


@dataclass(frozen=True, slots=True)
class Ticks:
    """Runs of the sweep since the run began."""

    number: int


def see_sweep(run: Run) -> Ticks:
    """Wait for one sweep; it runs every minute."""

    def swept() -> int:
        return sum('"swept"' in line for line in run.logs.lines("Sweep"))

    return Ticks(run.seen(swept, 2 * LOGGED_WITHIN_S))


def judge_sweep(seen: Ticks) -> Verdict:
    """Pass if the sweep runs."""
    if seen.number:
        return ok("it runs")
    return fail("it has not run", "see the schedule, and the log of Sweep")
