"""Predictions requested by events: the tenant, repetitions, and rejections."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import TooManyRequestsError, UnavailableError
from darkroom.domain.money import Limits
from darkroom.domain.prediction import State
from darkroom.services.doors.intake import LONGEST_PAUSE_S, MOST_RECEIVES
from darkroom.services.predictions.submit import Submit

from tests.support import events
from tests.support.world import SCHNELL
from tests.unit.handlers.intaking import DETAIL, ID, intake, message, told

if TYPE_CHECKING:
    from tests.support.app import App


def test_an_event_makes_a_prediction_for_the_tenant_of_its_rule(app: App) -> None:
    assert intake(app, message()) == []
    (record,) = (app.world.record(id_) for id_ in app.world.store.items)
    assert (record.tenant, record.state) == ("acme", State.SUBMITTED)
    assert record.input["prompt"] == "a corgi"
    assert not app.world.rejected.parked


def test_all_that_a_request_may_say_an_event_may_say(app: App) -> None:
    detail = {
        "version": SCHNELL,
        "input": {"prompt": "x"},
        "webhook": "https://client.example/hook",
        "webhook_events_filter": ["completed", "completed"],
        "cancel_after": "5m",
    }
    assert intake(app, message(detail)) == []
    (record,) = (app.world.record(id_) for id_ in app.world.store.items)
    assert record.webhook == "https://client.example/hook"
    assert record.webhook_events == ("completed",)
    assert record.deadline == record.created_at + 300_000


def test_one_event_makes_one_prediction_however_often_it_comes(app: App) -> None:
    for body in (message(), message(), message(id="another")):
        assert intake(app, body) == []
    assert len(app.world.store) == 2
    assert len(app.world.provider.creates) == 2


def test_an_id_in_the_detail_outlives_the_events_own(app: App) -> None:
    for event_id in ("one", "two"):
        assert intake(app, message(DETAIL | {"id": "order-7"}, id=event_id)) == []
    assert len(app.world.store) == 1


def test_the_ids_of_two_tenants_have_nothing_to_do_with_each_other(app: App) -> None:
    assert intake(app, message(), message(tenant="other")) == []
    assert {app.world.record(id_).tenant for id_ in app.world.store.items} == {"acme", "other"}


def test_without_an_id_the_messages_own_stands_for_it(app: App) -> None:
    body = {"tenant": "acme", "detail": DETAIL}
    assert intake(app, body) == intake(app, body) == []
    assert len(app.world.store) == 1


@pytest.mark.parametrize(
    "detail",
    [
        DETAIL | {"tenant": "other"},
        DETAIL | {"darkroom": {"tenant": "other"}},
        DETAIL | {"stream": True},
    ],
)
def test_an_event_cannot_say_whose_it_is(app: App, detail: dict[str, Any]) -> None:
    assert intake(app, message(detail)) == []
    assert not app.world.store.items
    assert told(app)["tenant"] == "acme"
    assert told(app)["status"] == 422


@pytest.mark.parametrize(
    ("detail", "status"),
    [
        ({"model": SCHNELL, "input": {}}, 422),
        ({"model": "nobody/nothing", "input": {}}, 422),
        ({"input": {"prompt": "x"}}, 422),
        (DETAIL | {"version": SCHNELL}, 422),
        (DETAIL | {"input": "x"}, 422),
        (DETAIL | {"input": {"prompt": "a\0b"}}, 422),
        (DETAIL | {"input": {"prompt": "x" * 300_000}}, 413),
        (DETAIL | {"webhook": "http://169.254.169.254/"}, 422),
        (DETAIL | {"cancel_after": "soon"}, 400),
        (DETAIL | {"id": "a\nb"}, 400),
        (DETAIL | {"taskToken": ""}, 422),
        (DETAIL | {"taskToken": "t" * 2049}, 422),
        ([], 422),
        (None, 422),
        ("CANARY", 422),
    ],
    ids=str,
)
def test_what_will_never_be_taken_is_kept_with_the_reason_and_told(
    app: App, detail: Any, status: int
) -> None:
    body = json.dumps(message() | {"detail": detail})
    assert intake(app, body) == []
    assert not app.world.store.items
    ((kept, reason),) = app.world.rejected.parked
    assert kept == body
    event = told(app)
    assert reason == f"{event['title']}: {event['detail']}"
    assert (event["request_id"], event["event_id"]) == (ID, f"{ID}:rejected")
    assert (event["tenant"], event["status"]) == ("acme", status)


@pytest.mark.parametrize(
    "body",
    [
        "CANARY",
        "",
        "[]",
        "null",
        '{"tenant":"acme","tenant":"other","detail":{}}',
        {"id": ID, "detail": DETAIL},
        message(tenant=None),
        message(tenant=7),
        message(tenant="../other"),
        message(tenant="a" * 64),
        message(more=True),
    ],
    ids=str,
)
def test_a_message_that_no_rule_has_written_is_rejected(
    app: App, body: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert intake(app, body) == []
    assert not app.world.store.items
    assert len(app.world.rejected.parked) == 1
    assert told(app)["request_id"] in {ID, "m0"}
    assert "CANARY" not in app.logs.getvalue() + capsys.readouterr().out


def test_the_same_id_with_another_request_is_rejected(app: App) -> None:
    assert intake(app, message()) == []
    assert intake(app, message(DETAIL | {"input": {"prompt": "another"}})) == []
    assert len(app.world.store) == 1
    assert told(app)["title"] == "Idempotency key already used"


class Failing:
    """Let submit fail with this error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        def fail(_self: Submit, _request: Any) -> None:
            raise error

        monkeypatch.setattr(Submit, "__call__", fail)


@pytest.mark.parametrize(
    ("error", "least"),
    [(TooManyRequestsError(40), 40), (UnavailableError("no"), 2), (OSError("CANARY"), 2)],
)
def test_what_may_pass_is_put_off(
    app: App, monkeypatch: pytest.MonkeyPatch, error: Exception, least: int
) -> None:
    Failing(monkeypatch, error)
    assert intake(app, message(), message()) == ["m0", "m1"]
    assert not app.world.rejected.parked
    assert not app.world.bus.events
    pauses = dict(app.world.intake_queue.visibility_changes)
    assert set(pauses) == {"handle0", "handle1"}
    assert all(least <= pause <= 1.25 * least + 1 for pause in pauses.values())


def test_an_event_waits_for_money_that_is_only_reserved(app: App) -> None:
    app.world.controls.tenants["acme"] = Limits(monthly_cap=5000)
    running = app.world.accept()
    assert intake(app, message()) == ["m0"]
    assert app.world.bus.events == []
    app.world.cancel("acme", running.id)
    assert intake(app, message()) == []
    assert len(app.world.store) == 2
    assert not app.world.rejected.parked


def test_an_event_of_an_end_user_waits_for_its_money_and_its_rate(app: App) -> None:
    app.world.controls.tenants["acme"] = Limits(
        end_user_monthly_cap=5000, end_user_rate_interval_us=60_000_000, end_user_rate_burst=2
    )
    of_ann = {**DETAIL, "end_user": "ann"}
    running = app.world.accept(end_user="ann")
    assert intake(app, message(of_ann)) == ["m0"], "only reservations are in the way"
    app.world.cancel("acme", running.id)
    assert intake(app, message(of_ann)) == ["m0"], "its bucket is empty"
    assert app.world.intake_queue.visibility_changes[-1][1] >= 60
    assert intake(app, message({**DETAIL, "end_user": "bob"}, id="b")) == []
    app.world.clock.advance(60)
    assert intake(app, message(of_ann)) == []
    assert not app.world.rejected.parked


def test_an_event_of_an_end_user_without_money_is_refused(app: App) -> None:
    app.world.controls.tenants["acme"] = Limits(end_user_monthly_cap=1)
    assert intake(app, message({**DETAIL, "end_user": "ann"})) == []
    assert told(app)["status"] == 402
    assert "this end user's monthly cap" in told(app)["detail"]


def test_pauses_grow_to_a_quarter_of_an_hour(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    Failing(monkeypatch, TooManyRequestsError(1))
    for receives in (1, 5, 9, 60):
        intake(app, message(), receives=receives)
    pauses = [seconds for _, seconds in app.world.intake_queue.visibility_changes]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


def test_patience_ends(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    Failing(monkeypatch, TooManyRequestsError(1))
    assert intake(app, message(), receives=MOST_RECEIVES) == []
    assert told(app)["status"] == 429
    assert len(app.world.rejected.parked) == 1


def test_of_a_batch_the_good_ones_are_taken(app: App) -> None:
    assert intake(app, message({}), message(), "x", message(id="b")) == []
    assert len(app.world.store) == 2
    assert len(app.world.rejected.parked) == 2


def test_a_rejection_that_cannot_be_told_comes_again(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OSError("the queue is away")

    with monkeypatch.context() as patch:
        patch.setattr(app.world.rejected, "park", away)
        assert intake(app, message({})) == ["m0"]
    assert intake(app, message({})) == []
    first, second = (detail for _, detail in app.world.bus.events)
    assert first == second


# Step Functions


def test_a_task_is_told_of_a_rejection(app: App) -> None:
    app.world.tasks.waiting.add("token-1")
    assert intake(app, message({"model": SCHNELL, "input": {}, "taskToken": "token-1"})) == []
    ((token, error, cause),) = app.world.tasks.answers
    assert (token, error) == ("token-1", "Darkroom.request_rejected")
    assert "prompt" in json.loads(cause)["detail"]


def test_a_deployment_that_answers_no_task_refuses_what_names_one(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function may not answer tasks; an attempt would cause a redelivery."""
    monkeypatch.setattr(
        app.world, "retry_or_reject", replace(app.world.retry_or_reject, tasks=None)
    )
    assert intake(app, message({"model": SCHNELL, "input": {}, "taskToken": "token-1"})) == []
    assert told(app)["status"] == 422
    assert len(app.world.rejected.parked) == 1


def test_a_token_is_one_request_by_events_of_any_id(app: App) -> None:
    detail = DETAIL | {"taskToken": "token-1"}
    assert intake(app, message(detail, id="one"), message(detail, id="two")) == []
    assert len(app.world.store) == 1


def test_a_second_task_under_one_id_does_not_wait_for_ever(app: App) -> None:
    app.world.tasks.waiting |= {"token-1", "token-2"}
    for token in ("token-1", "token-2"):
        assert intake(app, message(DETAIL | {"id": "order-7", "taskToken": token})) == []
    ((token, error, _),) = app.world.tasks.answers
    assert (token, error) == ("token-2", "Darkroom.request_rejected")


def test_the_token_is_shown_and_logged_nowhere(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "CANARY-token"
    app.world.tasks.waiting.add(token)
    detail = DETAIL | {"taskToken": token, "webhook": "https://client.example/hook"}
    assert intake(app, message(detail)) == []
    (id_,) = app.world.store.items
    record = app.world.record(id_)
    assert record.task_token == token
    app.world.succeed(str(record.provider_id))
    app.world.webhook(id_, str(record.provider_id))
    app.world.settle()
    seen = [
        app.get(f"/v1/predictions/{id_}").text,
        app.get("/v1/predictions").text,
        repr(app.world.bus.events),
        repr(app.world.callbacks.posts),
        repr(record),
        app.logs.getvalue(),
        capsys.readouterr().out,
    ]
    assert "CANARY" not in "".join(seen)
    assert app.world.callbacks.posts


def test_deliver_tells_the_task(app: App) -> None:
    app.world.tasks.waiting.add("token-1")
    intake(app, message(DETAIL | {"taskToken": "token-1"}))
    app.world.run_stream()
    (id_,) = app.world.store.items
    (sent, *_) = app.world.tasks_queue.take()
    assert sent == {"prediction": id_, "event": "task"}
    answer = app.call("deliver", events.sqs(sent))
    assert answer == {"batchItemFailures": []}
    assert app.world.tasks.beats == ["token-1"]
    assert '"TaskTold"' in app.logs.getvalue()
