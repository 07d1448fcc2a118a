"""Metrics and logs of the functions: for the alarms, and to trace one prediction."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import TransferFailedError
from darkroom.domain.money import Limits
from darkroom.ports import Answered

from tests.support import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction

    from tests.support.app import App

Metrics = dict[str, list[float]]
REQUEST_ID = events.Context.aws_request_id


@pytest.fixture
def measured(app: App) -> Callable[[], Metrics]:
    """Return the values of each metric written since the last call."""
    asked = 0

    def read() -> Metrics:
        nonlocal asked
        found: Metrics = defaultdict(list)
        written = lines(app)
        fresh, asked = written[asked:], len(written)
        for record in (line for line in fresh if "_aws" in line):
            (stated,) = record["_aws"]["CloudWatchMetrics"]
            assert stated["Namespace"] == "Darkroom"
            assert stated["Dimensions"] == [["service"]], "what a tenant did is nobody's metric"
            assert record["service"] == "darkroom"
            for metric in stated["Metrics"]:
                found[metric["Name"]] += record[metric["Name"]]
        return found

    return read


def lines(app: App) -> list[dict[str, Any]]:
    return [json.loads(line) for line in app.logs.getvalue().splitlines()]


def messages(app: App) -> list[dict[str, Any]]:
    """Return the lines with a message besides metrics."""
    return [line for line in lines(app) if "message" in line]


def told(app: App, record_id: str) -> set[str]:
    """Return the messages of the lines about the prediction."""
    return {line["message"] for line in messages(app) if line.get("prediction") == record_id}


def stream(app: App) -> None:
    """Pass all pending changes to relay, in one batch."""
    changes, app.world.store.stream[:] = list(app.world.store.stream), []
    app.call("relay", events.stream(*changes))


def storing(app: App) -> Prediction:
    record = app.world.accept()
    app.world.succeed(str(record.provider_id))
    app.world.webhook(record.id, str(record.provider_id))
    return app.world.record(record.id)


# Requests


def test_what_is_accepted_and_what_is_refused_by_class(
    app: App, measured: Callable[[], Metrics]
) -> None:
    assert app.submit().status == 201
    assert app.submit({"version": "nobody/nothing", "input": {}}).status == 422
    assert app.submit(token=None).status == 401
    found = measured()
    assert found["Accepted"] == [1]
    assert found["Refused4xx"] == [1, 1]
    assert not {"Refused402", "Refused429", "Refused5xx"} & found.keys()


def test_what_a_limit_refused_is_told_apart(app: App, measured: Callable[[], Metrics]) -> None:
    app.world.controls.tenants["acme"] = Limits(monthly_cap=0)
    assert app.submit().status == 402
    app.world.controls.tenants["acme"] = Limits(in_flight=1)
    app.world.clock.advance(60)
    assert [app.submit().status for _ in range(2)] == [201, 429]
    found = measured()
    assert (found["Refused402"], found["Refused429"]) == ([1], [1])
    assert found["Refused4xx"] == [1, 1]


def test_an_outage_is_a_refusal_of_ours(
    app: App, measured: Callable[[], Metrics], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(type(app.world.store), "insert", away)
    assert app.submit().status == 500
    assert measured()["Refused5xx"] == [1]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_create_is_counted_as_parked_each_time_that_it_is(
    app: App, measured: Callable[[], Metrics], status: int
) -> None:
    app.world.provider.answers = [Answered(status)] * 2
    app.world.provider.token_good = False
    id_ = app.submit().json["id"]
    stream(app)
    assert measured().get("CreateParked", []) == ([] if status == 403 else [1])
    app.world.clock.advance(61)
    app.call("dispatch", events.sqs({"action": "create", "id": id_}))
    app.world.clock.advance(61)
    app.call("dispatch", events.sqs({"action": "create", "id": id_}))
    stream(app)
    assert measured()["CreateParked"] == [1]


# Webhooks


def test_a_signature_of_another_secret_is_told_from_noise(
    app: App, measured: Callable[[], Metrics]
) -> None:
    record = app.world.accept()
    body = json.dumps(app.world.provider.body(str(record.provider_id)))
    assert app.webhook(app.hook(record.id, body, key=b"x" * 32)).status == 401
    assert app.webhook(app.hook(record.id, body, {"webhook-signature": ""})).status == 401
    assert app.webhook(app.hook(record.id, body, token="A" * 32)).status == 401
    assert app.webhook(app.hook(record.id, body)).status == 200
    found = measured()
    assert found["WebhookRefused"] == [1, 1, 1]
    assert found["SignatureFailed"] == [1]
    assert messages(app)[-1]["received"] == "nothing_new"
    assert told(app, record.id) == {"webhook refused", "refused", "answered"}


def test_a_refused_webhook_says_whom_it_named_only_where_that_is_an_id(app: App) -> None:
    app.webhook(app.hook("no id", "{}"))
    assert lines(app)
    assert not [line for line in lines(app) if "prediction" in line]


# Delay of storing


def test_a_copy_that_fails_tells_how_old_the_result_is(
    app: App, measured: Callable[[], Metrics], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = storing(app)

    def away(*_: Any) -> None:
        raise TransferFailedError("away")

    with monkeypatch.context() as patch:
        patch.setattr(type(app.world.fetcher), "open", away)
        app.world.clock.advance(700)
        app.call("persist", events.sqs({"id": record.id}))
    found = measured()
    assert found["StoringAge"] == [700]
    app.world.clock.advance(100)
    app.call("persist", events.sqs({"id": record.id}))
    assert "StoringAge" not in measured()
    stream(app)
    assert measured()["StoringTime"] == [800]


def test_the_sweep_tells_the_ages_of_what_waits(app: App, measured: Callable[[], Metrics]) -> None:
    app.call("sweep", events.schedule())
    # No other metric, because one written every minute is billed for the whole month.
    assert measured() == {"Ticks": [1]}
    first = storing(app)
    app.world.clock.advance(60)
    storing(app)
    app.world.clock.advance(600)
    late_ms = app.world.clock() - int(app.world.record(first.id).due_at or 0)
    assert late_ms > 0
    app.call("sweep", events.schedule())
    found = measured()
    assert found["StoringAge"] == [660]
    assert found["OldestDue"] == [late_ms // 1000]
    assert found["SweptStoring"] == [2]
    assert "sweep" in told(app, first.id)
    # A claimed record no longer waits for a tick.
    app.call("sweep", events.schedule())
    assert "OldestDue" not in measured()


def test_a_failing_record_is_named_and_hides_no_metric(
    app: App, measured: Callable[[], Metrics], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, other = storing(app), storing(app)

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("no queue")

    monkeypatch.setattr(type(app.world.persist_queue), "send", away)
    app.world.clock.advance(700)
    with pytest.raises(ConnectionError):
        app.call("sweep", events.schedule())
    found = measured()
    assert (found["Ticks"], found["StoringAge"], found["SweptStoring"]) == ([1], [700], [2])
    for record in (bad, other):
        assert "sweep failed" in told(app, record.id)


# Costs


def test_a_predictions_cost_and_end_are_counted_once(
    app: App, measured: Callable[[], Metrics]
) -> None:
    record = storing(app)
    app.call("persist", events.sqs({"id": record.id}))
    stream(app)
    ended = measured()
    assert ended["EndedSucceeded"] == [1]
    assert ended["CostMicroUsd"] == [app.world.record(record.id).cost] == [3000]
    # The mark that the effects of its end are done.
    stream(app)
    app.world.clock.advance(3600)
    app.call("sweep", events.schedule())
    assert not app.world.store.stream
    assert not {"CostMicroUsd", "EndedSucceeded"} & measured().keys()


def test_an_end_that_the_sweep_marked_costs_as_much(
    app: App, measured: Callable[[], Metrics]
) -> None:
    record = storing(app)
    app.call("persist", events.sqs({"id": record.id}))
    app.world.clock.advance(600)
    app.call("sweep", events.schedule())
    stream(app)
    assert measured()["CostMicroUsd"] == [3000]


# Tracing by id


def test_a_message_that_fails_names_its_prediction(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = storing(app)

    def away(*_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(type(app.world.store), "get", away)
    for function, message in {
        "persist": {"id": record.id},
        "dispatch": {"id": record.id, "action": "create"},
        "deliver": {"prediction": record.id, "event": "completed"},
    }.items():
        app.call(function, events.sqs(message))
        assert messages(app)[-1]["message"] == "message failed", function
        assert messages(app)[-1]["prediction"] == record.id, function


def test_one_predictions_lines_do_not_name_it_in_the_next_ones(app: App) -> None:
    first = app.submit().json["id"]
    before = len(lines(app))
    app.submit(token=None)
    assert all("prediction" not in line for line in lines(app)[before:])
    assert told(app, first) == {"answered"}
    app.get(f"/v1/predictions/{first}")
    assert lines(app)[-1]["prediction"] == first


# Log volume


def test_an_invocation_that_went_well_is_one_line_with_its_metrics(app: App) -> None:
    id_ = app.submit().json["id"]
    line, counted = lines(app)
    assert (line["level"], line["message"], line["prediction"]) == ("INFO", "answered", id_)
    assert (line["route"], line["status"]) == ("POST /v1/predictions", 201)
    assert counted["Accepted"] == [1]
    for _ in range(2):
        # The first line of a process says that it was a cold start.
        app.get(f"/v1/predictions/{id_}")
    assert lines(app)[-1] == {
        "level": "INFO",
        "message": "answered",
        "prediction": id_,
        "route": "GET /v1/predictions/{id}",
        "status": 200,
    }


def test_in_a_batch_each_record_keeps_its_line(app: App) -> None:
    first, second = storing(app), storing(app)
    app.call("persist", events.sqs({"id": first.id}, {"id": second.id}))
    stream(app)
    *said, counted = lines(app)
    assert [line["prediction"] for line in said[:2]] == [first.id, second.id]
    assert {line["message"] for line in said[2:]} == {"relayed"}
    assert len(said) > 4
    assert counted["EndedSucceeded"] == [1, 1]


def test_a_line_is_written_before_its_invocation_ends(app: App) -> None:
    """The process may run out of time or memory at the next record."""
    first, second = storing(app), storing(app)
    persist, seen = app.world.persist, []

    def watched(*message: Any) -> Any:
        seen.append(len(lines(app)))
        return persist(*message)

    app.world.functions["persist"] = watched
    app.call("persist", events.sqs({"id": first.id}, {"id": second.id}))
    assert seen == [0, 1]


def test_what_came_before_a_failure_is_written_before_it(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = storing(app)
    app.call("persist", events.sqs({"id": record.id}, {"id": 1}))
    assert [line.get("message") for line in lines(app)] == ["persist", "message failed", None]
    assert lines(app)[-1]["MessageFailed"] == [1]
    failed = messages(app)[-1]
    assert (failed["request_id"], "request_id" in lines(app)[0]) == (REQUEST_ID, False)

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("no queue")

    bad = storing(app)
    monkeypatch.setattr(type(app.world.persist_queue), "send", away)
    app.world.clock.advance(700)
    with pytest.raises(ConnectionError):
        app.call("sweep", events.schedule())
    failed, swept, counted = lines(app)[-3:]
    assert (failed["message"], failed["prediction"]) == ("sweep failed", bad.id)
    assert failed["request_id"] == REQUEST_ID
    assert (swept["message"], swept["failed"], counted["Ticks"]) == ("swept", 1, [1])


def test_only_a_first_invocation_says_that_it_was_cold(app: App) -> None:
    app.get("/v1/models")
    app.get("/v1/models")
    assert "cold_start" not in lines(app)[-1]
