"""docs/events: up to date with the code, and valid for every published event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from darkroom.api.events import DETAILS, file_name, schema
from darkroom.domain import events as domain
from darkroom.domain.lifecycle import MAX_OUTPUTS, Event
from darkroom.domain.prediction import File, State
from darkroom.ports import Answered

from tests.support import events
from tests.support.records import accepted
from tests.support.world import SCHNELL
from tests.unit.handlers.published import DOCS, envelope, published

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

    from tests.support.app import App

ASKED = {"model": SCHNELL, "input": {"prompt": "a corgi"}}


def settled(app: App, record: Prediction, *, ends: bool = True) -> None:
    if ends:
        app.world.webhook(record.id, str(record.provider_id))
    app.world.settle()


def test_the_written_schemas_are_up_to_date() -> None:
    written = {path.name: json.loads(path.read_text()) for path in DOCS.glob("*.json")}
    made = {file_name(kind): schema(kind) for kind in DETAILS}
    assert written == made, "run: PYTHONPATH=functions python -m darkroom.api.events docs/events"


def test_every_event_has_a_schema_and_every_end_an_event() -> None:
    assert {event.detail_type for event in Event} <= DETAILS.keys()
    assert {state.value for state in State if state.terminal} <= {event.value for event in Event}


def test_a_success_and_its_start(app: App) -> None:
    record = app.world.accept({"prompt": "a corgi", "seed": 7})
    app.world.succeed(str(record.provider_id), "0.png", "1.png")
    settled(app, record)
    started, succeeded = published(app)
    assert started["detail-type"] == "Prediction Started"
    assert succeeded["detail-type"] == "Prediction Succeeded"
    detail = succeeded["detail"]
    assert detail["input"] == {"prompt": "a corgi", "seed": 7}
    assert detail["input_files"] == {}
    assert [file["key"] for file in detail["darkroom"]["files"]] == list(app.world.outputs.objects)


def test_a_failure(app: App) -> None:
    record = app.world.accept()
    app.world.provider.finish(str(record.provider_id), status="failed")
    settled(app, record)
    assert [event["detail-type"] for event in published(app)] == ["Prediction Failed"]


def test_what_the_provider_refuses(app: App) -> None:
    app.world.provider.answers = [Answered(422, {"detail": "no"})]
    settled(app, app.world.accept(), ends=False)
    (event,) = published(app)
    assert event["detail"]["darkroom"]["code"] == "rejected"


def test_a_cancel(app: App) -> None:
    record = app.world.accept()
    app.world.cancel("acme", record.id)
    app.world.settle()
    (event,) = published(app)
    assert event["detail-type"] == "Prediction Canceled"
    assert event["detail"]["darkroom"]["code"] == "canceled"


def test_a_deadline_before_the_start_is_a_cancel_as_on_the_wire(app: App) -> None:
    app.world.provider.answers = [Answered(429, None, 600.0)]
    record = app.world.accept(cancel_after_s=60)
    app.world.clock.advance(90)
    app.world.sweep(seconds=3600)
    app.world.settle()
    assert app.world.record(record.id).state is State.ABORTED
    (event,) = published(app)
    assert event["detail-type"] == "Prediction Canceled"
    assert event["detail"]["status"] == "canceled"
    assert event["detail"]["darkroom"]["code"] == "deadline_exceeded"


def test_a_rejection(app: App) -> None:
    for body in ("x", {"tenant": "acme", "detail": {"model": SCHNELL, "input": {"prompt": 1}}}):
        app.call("intake", events.sqs(body))
    first, second = published(app)
    assert first["detail"]["tenant"] is None
    assert second["detail"]["invalid_fields"]


def test_events_come_after_the_commit_and_again_under_the_same_id(app: App) -> None:
    app.world.provider.answers = [Answered(422, {"detail": "no"})]
    record = app.world.accept()
    assert not app.world.bus.events
    (change,) = [new for _, new in app.world.store.stream if new["state"] == {"S": "failed"}]
    for _ in range(2):
        app.call("relay", events.stream((None, change)))
    first, second = published(app)
    assert first == second
    assert first["detail"]["event_id"] == f"{record.id}:failed"


def test_the_largest_event_fits() -> None:
    """A record with the maximum outputs, the longest error, and the maximum shown input."""
    file = File("t" * 63 + "/2027/01/" + "a" * 26 + "/99.webp", "f" * 64, 10**9, "image/webp", 1, 1)
    for number in (5_300, 15_900):
        given = {"prompt": "\U0001f5bc" * number}
        error = "\U0001f5bc" * 1000
        record = accepted(state=State.FAILED, input=given, files=(file,) * MAX_OUTPUTS, error=error)
        detail = envelope("Prediction Failed", domain.detail(record, "failed"))["detail"]
        assert (detail["input"] is None) == (number > 10_000)


def test_a_large_input_is_left_to_be_read_by_its_id() -> None:
    record = accepted(input={"prompt": "x" * domain.INPUT_SHOWN})
    detail = domain.detail(record, "started")
    assert detail["input"] is detail["input_files"] is None


def test_an_inputs_files_are_named_by_their_keys() -> None:
    record = accepted(uploads={"/image": "acme/files/abc"})
    assert domain.detail(record, "started")["input_files"] == {"/image": "acme/files/abc"}


@pytest.mark.parametrize(
    ("detail", "fits"),
    [
        (ASKED, True),
        (ASKED | {"taskToken": "t", "id": "order-7", "cancel_after": "5m"}, True),
        (ASKED | {"tenant": "other"}, False),
        ({"model": SCHNELL}, False),
    ],
)
def test_the_schema_of_a_request_says_what_intake_takes(
    app: App, detail: dict[str, Any], fits: bool
) -> None:
    event = envelope(domain.REQUESTED, detail, source="shop")
    written = json.loads((DOCS / file_name(domain.REQUESTED)).read_text())
    assert jsonschema_rs.Draft202012Validator(written).is_valid(event) is fits
    app.call("intake", events.sqs({"tenant": "acme", "id": event["id"], "detail": detail}))
    assert bool(app.world.store.items) is fits
