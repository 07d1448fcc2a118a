"""Step Functions tasks: heartbeats while a prediction runs, and its end, at least once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from darkroom.ports import Answered
from darkroom.services.predictions.shown import Shown
from darkroom.services.predictions.tasks import OUTPUT_SHOWN

from tests.support.world import PUBLIC_URL, World

TOKEN = "token-1"


@pytest.fixture
def world() -> World:
    made = World()
    made.tasks.waiting.add(TOKEN)
    return made


def test_a_success_brings_the_event_and_urls_to_read_the_output_by(world: World) -> None:
    record = world.accept(task_token=TOKEN)
    world.succeed(str(record.provider_id), "0.png")
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    ((token, error, output),) = world.tasks.answers
    assert (token, error) == (TOKEN, "")
    told = json.loads(output)
    (_, published) = world.bus.events[-1]
    assert {name: told[name] for name in published} == published
    assert told["output"] == [f"https://outputs.test/{told['darkroom']['files'][0]['key']}?signed"]


@pytest.mark.parametrize(
    ("status", "code"), [("failed", "provider_failed"), ("canceled", "canceled")]
)
def test_an_end_without_a_result_is_a_failure_by_its_code(
    world: World, status: str, code: str
) -> None:
    record = world.accept(task_token=TOKEN)
    world.provider.finish(str(record.provider_id), status=status)
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    ((_, error, cause),) = world.tasks.answers
    assert error == f"Darkroom.{code}"
    assert json.loads(cause)["id"] == record.id


def test_whatever_is_written_meanwhile_is_a_heartbeat(world: World) -> None:
    world.accept(task_token=TOKEN)
    world.settle()
    beats = len(world.tasks.beats)
    for _ in range(3):
        world.sweep(seconds=300)
        world.settle()
        assert len(world.tasks.beats) > beats
        beats = len(world.tasks.beats)
    assert not world.tasks.answers


def test_an_outage_of_the_provider_stops_no_heartbeat(world: World) -> None:
    world.accept(task_token=TOKEN)
    world.settle()
    world.provider.down = True
    for _ in range(3):
        beats = len(world.tasks.beats)
        world.sweep(seconds=120)
        world.settle()
        assert len(world.tasks.beats) > beats


def test_a_lost_message_is_made_up_for_by_the_sweep(world: World) -> None:
    world.provider.answers = [Answered(422, {"detail": "no"})]
    world.accept(task_token=TOKEN)
    world.store.stream.clear()
    world.sweep(seconds=120)
    world.settle()
    assert [error for _, error, _ in world.tasks.answers] == ["Darkroom.rejected"]


def test_a_doubled_or_late_message_tells_nothing_twice(world: World) -> None:
    world.provider.answers = [Answered(422, {"detail": "no"})]
    record = world.accept(task_token=TOKEN)
    world.settle()
    assert world.tell_task(record.id) is False
    assert len(world.tasks.answers) == 1


def test_after_the_end_nothing_more_is_sent(world: World) -> None:
    world.provider.answers = [Answered(422, {"detail": "no"})]
    world.accept(task_token=TOKEN)
    world.run_stream()
    assert len(world.tasks_queue.take()) == 2  # Of the intent, and of the end.
    world.run_stream()
    assert not world.tasks_queue.take()
    assert set(world.tasks_queue.groups) == {"acme"}
    assert not world.deliver_queue.groups


def test_without_a_task_nobody_is_told(world: World) -> None:
    record = world.accept()
    assert world.tell_task(record.id) is False
    assert world.tell_task("0" * 26) is False
    world.settle()
    assert not world.tasks.beats


def test_an_output_that_is_too_large_is_read_by_its_id(world: World) -> None:
    class Long:
        def output_url(self, key: str) -> str:
            return f"https://outputs.test/{key}?{'x' * OUTPUT_SHOWN}"

        def upload_url(self, key: str) -> str:
            return key

    record = world.accept(task_token=TOKEN)
    world.succeed(str(record.provider_id))
    world.webhook(record.id, str(record.provider_id))
    world.tell_task = replace(world.tell_task, shown=Shown(Long(), PUBLIC_URL))
    world.settle()
    ((_, error, output),) = world.tasks.answers
    assert (error, json.loads(output)["output"]) == ("", None)
