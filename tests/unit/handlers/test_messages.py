"""The functions behind queues: partial failures, and messages that are not ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import ProviderUnavailableError
from darkroom.domain.prediction import State
from darkroom.ports import Answered

from tests.support import events, versions
from tests.support.storing import storing

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction

    from tests.support.app import App

FUNCTIONS = ["dispatch", "persist", "deliver"]


def failed(answer: dict[str, Any]) -> list[str]:
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


# All three


BAD = {
    "not-json": "hello",
    "empty": "",
    "list": "[]",
    "null": "null",
    "number": "7",
    "empty-object": "{}",
    "numbers-for-text": '{"id": 1, "action": 2, "prediction": 3, "event": 4}',
    "object-for-text": '{"id": {}, "action": {}, "prediction": {}, "event": {}}',
    "deep": "[" * 100_000,
    "nul": "\0",
    "another-queues": '{"x": "y"}',
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("body", BAD.values(), ids=list(BAD))
def test_a72_a_message_that_is_none_fails_and_touches_nothing(
    app: App, function: str, body: str
) -> None:
    assert failed(app.call(function, events.sqs(body))) == ["m0"]
    assert app.untouched
    assert not app.calls


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_message_of_an_unknown_record_is_done_with(app: App, function: str) -> None:
    message = {"action": "create", "id": "0" * 26, "prediction": "0" * 26, "event": "completed"}
    assert failed(app.call(function, events.sqs(message))) == []
    assert app.untouched
    assert not app.world.callbacks.posts


def test_all_messages_failing_is_an_answer_and_not_an_error(app: App) -> None:
    assert failed(app.call("persist", events.sqs("x", "y"))) == ["m0", "m1"]


def test_the_body_of_a_bad_message_is_not_logged(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    app.call("dispatch", events.sqs("CANARY", {"CANARY": 1}, {"action": "CANARY", "id": "a"}))
    printed = capsys.readouterr()
    assert "CANARY" not in app.logs.getvalue() + printed.out + printed.err
    assert app.logs.getvalue().count("message failed") == 3
    assert '"m2"' in app.logs.getvalue()
    assert '"MessageFailed":[1.0,1.0,1.0]' in app.logs.getvalue()


# dispatch


def test_dispatch_creates_what_was_refused(app: App) -> None:
    app.world.provider.answers = [Answered(429, None, 1.0)]
    record = app.world.accept()
    app.world.clock.advance(5)
    message = {"action": "create", "id": record.id}
    assert failed(app.call("dispatch", events.sqs(message, message))) == []
    assert len(app.world.provider.creates) == 2
    assert app.world.record(record.id).state is State.SUBMITTED


def test_dispatch_cancels_upstream(app: App) -> None:
    record = app.world.accept()
    message = {"action": "cancel", "id": record.id, "provider_id": str(record.provider_id)}
    assert failed(app.call("dispatch", events.sqs(message))) == []
    assert app.world.record(record.id).state is State.CANCELED


@pytest.mark.parametrize("message", [{"action": "delete"}, {"action": "cancel"}, {"action": ""}])
def test_dispatch_knows_two_actions(app: App, message: dict[str, str]) -> None:
    record = app.world.accept()
    assert failed(app.call("dispatch", events.sqs({**message, "id": record.id}))) == ["m0"]
    assert app.world.record(record.id) == record


def test_dispatch_cancels_nothing_that_is_not_the_records(app: App) -> None:
    record, other = app.world.accept(), app.world.accept()
    message = {"action": "cancel", "id": record.id, "provider_id": str(other.provider_id)}
    assert failed(app.call("dispatch", events.sqs(message))) == []
    assert app.world.provider.cancels == []


def test_of_a_batch_only_what_failed_comes_again(app: App) -> None:
    record = app.world.accept()
    app.world.provider.down = True
    cancel = {"action": "cancel", "id": record.id, "provider_id": str(record.provider_id)}
    unknown = {"action": "create", "id": "0" * 26}
    answer = app.call("dispatch", events.sqs(unknown, cancel, "x", unknown))
    assert failed(answer) == ["m1", "m2"]


# persist


def test_persist_stores_and_reports_the_one_whose_write_failed(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [storing(app.world) for _ in range(3)]
    write_once = type(app.world.outputs).write_once

    def full(self: Any, key: str, *args: Any) -> Any:
        if records[1].id in key:
            raise OSError("no space")
        return write_once(self, key, *args)

    monkeypatch.setattr(type(app.world.outputs), "write_once", full)
    answer = app.call("persist", events.sqs(*({"id": record.id} for record in records)))
    assert failed(answer) == ["m1"]
    states = [app.world.record(record.id).state for record in records]
    assert states == [State.SUCCEEDED, State.STORING, State.SUCCEEDED]


def test_persist_does_nothing_twice(app: App) -> None:
    record = storing(app.world)
    for _ in range(2):
        assert failed(app.call("persist", events.sqs({"id": record.id}))) == []
    assert len(app.world.fetcher.fetched) == 1


# deliver


def owed(app: App) -> Prediction:
    record = app.world.accept(webhook="https://client.example/hook")
    app.world.succeed(str(record.provider_id))
    app.world.webhook(record.id, str(record.provider_id))
    app.world.run_stream()
    app.call("persist", events.sqs({"id": record.id}))
    app.world.run_stream()
    return app.world.record(record.id)


def test_deliver_posts_the_signed_prediction(app: App) -> None:
    record = owed(app)
    (message,) = app.world.deliver_queue.take()
    assert failed(app.call("deliver", events.sqs(message))) == []
    ((url, headers, body),) = app.world.callbacks.posts
    assert url == "https://client.example/hook"
    assert json.loads(body)["id"] == record.id
    assert headers["webhook-signature"].startswith("v1,")


def test_a_client_that_does_not_answer_is_no_failure_of_the_message(app: App) -> None:
    owed(app)
    app.world.callbacks.status = None
    (message,) = app.world.deliver_queue.take()
    assert failed(app.call("deliver", events.sqs(message))) == []
    assert '"CallbackNotDelivered"' in app.logs.getvalue()


# relay


def image(app: App, id_: str) -> dict[str, Any]:
    return app.world.store.items[id_]


def test_relay_hands_a_change_on(app: App) -> None:
    record = storing(app.world)
    answer = app.call("relay", events.stream(*app.world.store.stream))
    assert failed(answer) == []
    assert app.world.persist_queue.take() == [{"id": record.id}]
    assert "Prediction Started" in app.world.bus.types


def test_relay_marks_the_end_as_handed_on(app: App) -> None:
    app.world.provider.answers = [Answered(422, {"detail": "no"})]
    record = app.world.accept()
    assert app.world.record(record.id).due_at is not None
    app.call("relay", events.stream(*app.world.store.stream))
    assert app.world.record(record.id).effects_done
    assert app.world.record(record.id).due_at is None
    assert app.world.bus.types == ["Prediction Failed"]


def test_relay_ignores_what_the_tables_ttl_removes(app: App) -> None:
    record = app.world.accept()
    app.world.store.stream.clear()
    assert failed(app.call("relay", events.stream((image(app, record.id), None)))) == []
    assert not app.world.store.stream
    assert not app.world.bus.events


def test_relay_reports_the_record_that_failed_and_does_the_others(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [storing(app.world) for _ in range(3)]
    changes = [(None, image(app, record.id)) for record in records]
    send = type(app.world.persist_queue).send

    def away(self: Any, message: dict[str, str], delay_s: int = 0, *, group: str = "") -> None:
        if message["id"] == records[1].id:
            raise ProviderUnavailableError("the queue is away")
        send(self, message, delay_s, group=group)

    monkeypatch.setattr(type(app.world.persist_queue), "send", away)
    assert failed(app.call("relay", events.stream(*changes))) == ["101"]
    ids = [message["id"] for message in app.world.persist_queue.take()]
    assert ids == [records[0].id, records[2].id]


@pytest.mark.parametrize("change", versions.UNREADABLE.values(), ids=versions.UNREADABLE)
def test_relay_tells_of_an_image_that_it_cannot_read_and_goes_on(
    app: App, change: Callable[[Any], Any]
) -> None:
    """A reported failure would be retried and block its shard, for each claim of the sweep
    again."""
    bad, good = storing(app.world), storing(app.world)
    after = image(app, bad.id)
    changes = [(None, change(after)), (change(after), after), (None, image(app, good.id))]
    assert failed(app.call("relay", events.stream(*changes))) == []
    assert app.world.persist_queue.take() == [{"id": good.id}]
    lines = [json.loads(line) for line in app.logs.getvalue().splitlines()]
    told = [line for line in lines if line.get("message") == "unreadable"]
    assert [(line["level"], line["prediction"]) for line in told] == [("ERROR", bad.id)] * 2
    assert lines[-1]["RelayFailed"] == [1, 1]


@pytest.mark.parametrize("change", versions.READABLE.values(), ids=versions.READABLE)
def test_relay_ignores_attributes_of_other_versions(app: App, change: Callable[[Any], Any]) -> None:
    record = storing(app.world)
    newer = change(image(app, record.id))
    assert failed(app.call("relay", events.stream((None, newer)))) == []
    assert app.world.persist_queue.take() == [{"id": record.id}]


# sweep


def test_sweep_says_what_it_did(app: App) -> None:
    storing(app.world)
    app.world.accept()
    app.world.clock.advance(600)
    answer = app.call("sweep", events.schedule())
    assert answer == {"done": {"storing": 1, "poll": 1}, "left": 0}
    assert '"SweptStoring":[1.0]' in app.logs.getvalue()


def test_sweep_with_nothing_due(app: App) -> None:
    assert app.call("sweep", events.schedule()) == {"done": {}, "left": 0}


def test_sweep_fails_aloud_after_it_has_done_the_rest(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = app.world.accept(), app.world.accept()
    app.world.clock.advance(600)
    get = type(app.world.provider).get

    def broken(self: Any, provider_id: str) -> Any:
        if provider_id == bad.provider_id:
            raise RuntimeError("a bug")
        return get(self, provider_id)

    monkeypatch.setattr(type(app.world.provider), "get", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        app.call("sweep", events.schedule())
    assert app.world.record(good.id).polls == 1


def test_relay_counts_a_second_upstream_prediction(app: App) -> None:
    record = app.world.accept()
    plain = image(app, record.id)
    doubled = {**plain, "extra_provider_ids": {"L": [{"S": "another"}]}}
    app.call("relay", events.stream((plain, doubled)))
    assert '"DoubleCreate":[1.0]' in app.logs.getvalue()
    assert app.world.dispatch_queue.take() == [
        {"action": "cancel", "id": record.id, "provider_id": "another"}
    ]
