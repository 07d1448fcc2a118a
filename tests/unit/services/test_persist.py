"""Persist: `succeeded` means that every byte is in our bucket."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import TransferFailedError
from darkroom.domain.lifecycle import MAX_OUTPUTS
from darkroom.domain.prediction import Code, State

from tests.support.fakes import ContendedPredictions, Crash, FakeDownload, FakePredictions
from tests.support.storing import Dying, storing, urls
from tests.support.world import PNG, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.domain.prediction import Prediction

HOST = "https://replicate.delivery"


def test_every_output_is_copied_and_described() -> None:
    world = World()
    record = storing(world, "0.png", "1.png")
    world.settle()
    after = world.record(record.id)
    assert after.state is State.SUCCEEDED
    assert [file.key for file in after.files] == [
        f"acme/2027/01/{record.id}/0.png",
        f"acme/2027/01/{record.id}/1.png",
    ]
    for file in after.files:
        assert world.outputs.objects[file.key] == ("image/png", PNG)
        assert file.sha256 == hashlib.sha256(PNG).hexdigest()
        assert (file.bytes, file.content_type) == (len(PNG), "image/png")
        assert (file.width, file.height) == (2, 3)
    assert world.bus.types[-1] == "Prediction Succeeded"


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (f"{HOST}/a", "https://outputs.test/{}0.png?signed"),
        ({"image": f"{HOST}/a", "n": 3}, {"image": "https://outputs.test/{}0.png?signed", "n": 3}),
        (
            [[f"{HOST}/a"], [f"{HOST}/a"]],
            [["https://outputs.test/{}0.png?signed"], ["https://outputs.test/{}1.png?signed"]],
        ),
    ],
    ids=["string", "object", "nested"],
)
def test_the_output_keeps_its_shape_on_our_own_host(output: Any, shown: Any) -> None:
    world = World()
    world.fetcher.pages[f"{HOST}/a"] = PNG
    record = storing(world, output=output)
    assert world.shown(record)["output"] is None
    world.settle()
    body = world.shown(world.record(record.id))
    assert body["status"] == "succeeded"
    prefix = f"acme/2027/01/{record.id}/"
    assert json.dumps(body["output"]) == json.dumps(shown).replace("{}", prefix)


LICENSE = "https://example.com/license"


@pytest.mark.parametrize(
    "beside",
    [
        {"source": LICENSE},
        {"meta": {"source": LICENSE, "more": ["HTTP://example.com/a.png"]}},
        {"text": "data:city,night", "data": "data:image/png;base64,AAAA"},
        {"links": [f"{LICENSE}/{n}" for n in range(MAX_OUTPUTS + 1)]},
        {"prompt": f"see {HOST}/a", "n": [1, None, True]},
    ],
)
def test_f12_text_beside_a_file_stays_text(beside: dict[str, Any]) -> None:
    world = World()
    world.fetcher.pages[f"{HOST}/a"] = PNG
    record = storing(world, output={"image": f"{HOST}/a", **beside})
    world.settle()
    after = world.record(record.id)
    assert after.state is State.SUCCEEDED
    assert (len(after.files), after.cost) == (1, 3000)
    image = f"https://outputs.test/acme/2027/01/{record.id}/0.png?signed"
    assert world.shown(after)["output"] == {"image": image, **beside}
    assert world.fetcher.fetched == [f"{HOST}/a"]


def test_f12_what_stands_beside_a_file_may_be_of_any_size() -> None:
    world = World()
    world.fetcher.pages[f"{HOST}/a"] = PNG
    record = storing(world, output={"image": f"{HOST}/a", "embedding": [0.123456] * 20_000})
    world.settle()
    image = f"https://outputs.test/acme/2027/01/{record.id}/0.png?signed"
    assert world.shown(world.record(record.id))["output"] == {"image": image}


@pytest.mark.parametrize(
    "output",
    [
        [LICENSE],
        [f"{HOST}/a", LICENSE],
        ["data:image/png;base64,AAAA"],
        {"image": LICENSE},
        {"images": [f"{HOST}/{n}" for n in range(MAX_OUTPUTS + 1)]},
    ],
    ids=["elsewhere", "one elsewhere", "inside", "nothing but elsewhere", "too many"],
)
def test_f12_files_that_cannot_be_fetched_are_refused(output: Any) -> None:
    world = World()
    world.fetcher.pages[f"{HOST}/a"] = PNG
    refused = TransferFailedError("elsewhere", Code.OUTPUT_REFUSED)
    world.fetcher.pages |= {LICENSE: refused, "data:image/png;base64,AAAA": refused}
    record = storing(world, output=output)
    world.settle()
    after = world.record(record.id)
    assert (after.state, after.code) == (State.FAILED, Code.OUTPUT_REFUSED)


OPEN = f"somebody/some-model:{'a' * 64}"


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        (None, 2),
        ({"type": "object"}, 2),
        ({"properties": {"image": {"format": "uri"}}}, 2),
        ({"properties": {"image": {"format": "uri"}, "note": {"type": "string"}}}, 1),
        ({"additionalProperties": {"type": "string"}}, 0),
    ],
)
def test_f12_the_schema_of_an_open_model_says_what_is_a_file(schema: object, files: int) -> None:
    world = World(open_models=True)
    world.provider.schemas[OPEN] = {"components": {"schemas": {"Input": {}, "Output": schema}}}
    world.fetcher.pages |= {f"{HOST}/a": PNG, f"{HOST}/b": PNG}
    record = world.accept({"text": "x"}, reference=OPEN)
    given = {"image": f"{HOST}/a", "note": f"{HOST}/b", "source": LICENSE}
    world.provider.finish(str(record.provider_id), output=given)
    world.webhook(record.id, str(record.provider_id))
    world.settle()
    after = world.record(record.id)
    assert (after.state, len(after.files)) == (State.SUCCEEDED, files)
    shown = world.shown(after)["output"]
    assert shown["source"] == LICENSE
    assert sum("outputs.test" in url for url in shown.values()) == files


def test_success_is_never_visible_before_every_object_exists() -> None:
    class Checking(FakePredictions):
        def commit(self, record: Prediction, **more: Any) -> None:
            if record.state is State.SUCCEEDED:
                missing = [file.key for file in record.files if file.key not in world.outputs]
                assert (missing, len(record.files)) == ([], 3)
            super().commit(record, **more)

    world = World(store=Checking())
    record = storing(world, "0", "1", "2")
    world.settle()
    assert world.record(record.id).state is State.SUCCEEDED


def test_a_crash_in_the_middle_leaves_nothing_half_done_after_redelivery() -> None:
    world = World()
    record = storing(world, "0.png", "1.png")
    second = urls(record)[1]
    world.fetcher.pages[second] = Dying(PNG, len(PNG))
    with pytest.raises(Crash):
        world.persist(record.id)
    assert world.record(record.id) == record
    assert list(world.outputs.objects) == [f"acme/2027/01/{record.id}/0.png"]
    world.fetcher.pages[second] = PNG
    world.persist(record.id)
    after = world.record(record.id)
    assert after.state is State.SUCCEEDED
    assert sorted(world.outputs.objects) == sorted(file.key for file in after.files)


def test_two_runs_at_once_store_each_output_once() -> None:
    store = ContendedPredictions()
    world = World(store=store)
    record = storing(world, "0.png", "1.png")
    store.rivals = [lambda: world.persist(record.id)]
    after = world.persist(record.id)
    assert after == world.record(record.id)
    assert after.state is State.SUCCEEDED
    assert sorted(world.outputs.objects) == sorted(file.key for file in after.files)


def test_what_was_stored_first_is_what_is_described() -> None:
    world = World()
    record = storing(world, "0.png")
    first = PNG[:-12] + b"tEXt" + PNG[-12:]
    key = f"acme/2027/01/{record.id}/0.png"
    world.outputs.objects[key] = ("image/png", first)
    world.persist(record.id)
    (file,) = world.record(record.id).files
    assert (file.sha256, file.bytes) == (hashlib.sha256(first).hexdigest(), len(first))


def test_a_repeated_message_after_the_end_fetches_nothing() -> None:
    world = World()
    record = storing(world)
    world.settle()
    fetched = len(world.fetcher.fetched)
    world.persist(record.id)
    assert len(world.fetcher.fetched) == fetched
    assert world.persist("0" * 26) is None


DELAYS = {
    "404": TransferFailedError("status 404"),
    "html": b"<html>sorry</html>",
    "cut short": FakeDownload(PNG[:-10], None),
    "shorter than announced": FakeDownload(PNG, len(PNG) + 1),
    "longer than announced": FakeDownload(PNG, len(PNG) - 1),
    "unknown and shorter than announced": FakeDownload(b"\0\0", 3),
    "message": FakeDownload(b'{"detail": "not ready"}', 23, content_type="application/json"),
    "broken off": FakeDownload(PNG, len(PNG), breaks=True),
    "empty": b"",
}


@pytest.mark.parametrize("page", DELAYS.values(), ids=DELAYS)
def test_a_copy_that_another_try_may_mend_is_tried_again(page: Any) -> None:
    world = World()
    record = storing(world)
    (url,) = urls(record)
    good, world.fetcher.pages[url] = world.fetcher.pages[url], page
    delayed = world.persist(record.id)
    assert delayed is not None
    assert (delayed.state, delayed.store_attempts) == (State.STORING, 1)
    assert delayed.next_store_at == world.clock.now + 15_000
    assert world.outputs.objects == {}
    world.fetcher.pages[url] = good
    world.store.stream[:-1] = []
    world.run_stream()
    assert world.persist_queue.messages == [({"id": record.id}, 15)]
    world.settle()
    assert world.record(record.id).state is State.SUCCEEDED


@pytest.mark.parametrize("page", [DELAYS["404"], DELAYS["html"]], ids=["404", "html"])
def test_after_an_hour_of_trying_the_output_has_expired(page: Any) -> None:
    world = World()
    record = storing(world)
    (url,) = urls(record)
    world.fetcher.pages[url] = page
    tries = []
    while world.clock.now < int(record.finished_at or 0) + 3_600_000:
        assert world.record(record.id).state is State.STORING
        world.persist(record.id)
        tries.append(world.clock.now)
        world.clock.now = world.record(record.id).next_store_at
    after = world.persist(record.id)
    assert after is not None
    assert (after.state, after.code) == (State.FAILED, Code.OUTPUT_EXPIRED)
    pauses = [(later - earlier) / 1000 for earlier, later in pairwise(tries)]
    assert pauses[:4] == [15, 30, 60, 90]
    assert max(pauses) == 90
    world.settle()
    assert world.bus.types[-1] == "Prediction Failed"


@pytest.mark.parametrize("code", [Code.OUTPUT_TOO_LARGE, Code.OUTPUT_REFUSED])
def test_a_copy_that_no_retry_will_mend_fails_at_once(code: Code) -> None:
    world = World()
    record = storing(world)
    world.fetcher.pages[urls(record)[0]] = TransferFailedError("a foreign host", code)
    world.persist(record.id)
    after = world.record(record.id)
    assert (after.state, after.code, after.error) == (State.FAILED, code, "a foreign host")
    assert world.outputs.objects == {}
    assert world.shown(after)["output"] is None


def test_an_outage_of_our_own_is_left_to_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    record = storing(world)

    def outage(*_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(world.outputs, "write_once", outage)
    with pytest.raises(ConnectionError):
        world.persist(record.id)
    assert world.record(record.id) == record


def test_a_file_larger_than_what_is_looked_at_is_stored_whole() -> None:
    world = World()
    record = storing(world)
    large = PNG[:-12] + b"x" * 300_000 + PNG[-12:]
    world.fetcher.pages[urls(record)[0]] = large
    world.persist(record.id)
    (file,) = world.record(record.id).files
    assert world.outputs.objects[file.key][1] == large


def test_a_large_file_is_read_through_to_its_end() -> None:
    world = World()
    record = storing(world)
    world.fetcher.pages[urls(record)[0]] = FakeDownload(PNG[:-12] + b"x" * 300_000, None)
    after = world.persist(record.id)
    assert after is not None
    assert after.store_attempts == 1


def test_a_type_without_a_known_size_has_none() -> None:
    world = World()
    record = storing(world)
    movie = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"x" * 100
    world.fetcher.pages[urls(record)[0]] = movie
    world.persist(record.id)
    (file,) = world.record(record.id).files
    assert (file.content_type, file.width, file.height) == ("video/mp4", None, None)
    assert file.key.endswith(".mp4")


def test_what_ended_long_ago_upstream_has_no_more_time() -> None:
    world = World()
    record = world.accept()
    world.succeed(str(record.provider_id))
    world.clock.advance(3600)
    world.webhook(record.id, str(record.provider_id))
    world.fetcher.pages.clear()
    world.persist(record.id)
    assert world.record(record.id).code is Code.OUTPUT_EXPIRED


def test_an_output_that_the_provider_deleted_is_expired_at_once() -> None:
    world = World()
    record = world.accept()
    provider_id = str(record.provider_id)
    world.provider.finish(provider_id)
    world.provider.upstream[provider_id]["data_removed"] = True
    world.sweep(100)
    assert world.record(record.id).code is Code.OUTPUT_EXPIRED


@dataclass
class Waiting(FakeDownload):
    """A download that ends only when all of `meeting` have begun."""

    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def chunks(self) -> Iterator[bytes]:
        self.meeting.wait(60)
        yield self.data


def test_several_outputs_are_copied_at_once_and_described_in_their_order() -> None:
    world = World()
    world.persist = replace(world.persist, at_once=3)
    record = storing(world, "0", "1", "2", "3")
    meeting = threading.Barrier(3)
    for number, url in enumerate(urls(record)[:3]):
        picture = PNG[:-12] + bytes([number]) + PNG[-12:]
        world.fetcher.pages[url] = Waiting(picture, len(picture), meeting=meeting)
    after = world.persist(record.id)
    assert after is not None
    assert after.state is State.SUCCEEDED
    assert [file.key[-5:] for file in after.files] == ["0.png", "1.png", "2.png", "3.png"]
    stored = [
        hashlib.sha256(world.outputs.objects[file.key][1]).hexdigest() for file in after.files
    ]
    assert [file.sha256 for file in after.files] == stored
    assert len(set(stored)) == 4


@pytest.mark.parametrize("failing", [0, 2])
def test_one_copy_of_several_that_fails_leaves_no_thread_and_loses_no_file(failing: int) -> None:
    world = World()
    world.persist = replace(world.persist, at_once=3)
    record = storing(world, "0", "1", "2")
    before = threading.active_count()
    world.fetcher.pages[urls(record)[failing]] = TransferFailedError("status 500")
    after = world.persist(record.id)
    assert after is not None
    assert (after.state, len(after.files)) == (State.STORING, 2)
    assert threading.active_count() == before
    world.fetcher.pages[urls(record)[failing]] = PNG
    world.persist(record.id)
    assert len(world.record(record.id).files) == 3


def test_a_crash_in_the_middle_of_several_copies_starts_again_cleanly() -> None:
    world = World()
    world.persist = replace(world.persist, at_once=3)
    record = storing(world, "0", "1", "2")
    second = urls(record)[1]
    world.fetcher.pages[second] = Dying(PNG, len(PNG))
    with pytest.raises(Crash):
        world.persist(record.id)
    assert world.record(record.id) == record
    world.fetcher.pages[second] = PNG
    after = world.persist(record.id)
    assert after is not None
    assert after.state is State.SUCCEEDED
    assert sorted(world.outputs.objects) == sorted(file.key for file in after.files)
