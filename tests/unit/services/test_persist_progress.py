"""Persist keeps its progress, and the next run continues."""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import TransferFailedError
from darkroom.domain.prediction import Code, State
from darkroom.handlers import persist
from darkroom.ports import StoredObject

from tests.support import events
from tests.support.fakes import Crash, FakeDownload, FakeOutputs, GeneratedDownload, SlowDownload
from tests.support.storing import Dying, storing, urls
from tests.support.world import PNG, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from darkroom.domain.prediction import Prediction

LAMBDA_S = 120
VISIBILITY_S = 720
MB = 1_000_000


class Killed(Crash):
    """Lambda ends a function at its timeout."""


@dataclass
class Lambda:
    """Persist as Lambda runs it, with a timeout on the simulated clock."""

    world: World
    ends: int = 0
    runs: int = 0

    def __call__(self, id_: str) -> Prediction | None:
        self.runs += 1
        self.ends = self.world.clock.now + LAMBDA_S * 1000
        return self.world.persist(id_, lambda: self.ends - self.world.clock.now)

    def watch(self) -> None:
        """End the process if its time is over."""
        if self.world.clock.now >= self.ends:
            raise Killed

    def until_over(self, record: Prediction, most: int = 100) -> Prediction:
        """Deliver messages as the queue does, including redelivery, until the record has ended."""
        while not (now := self.world.record(record.id)).state.terminal and self.runs < most:
            begun = self.world.clock.now = max(self.world.clock.now, now.next_store_at)
            try:
                self(record.id)
            except Killed:
                self.world.clock.now = begun + VISIBILITY_S * 1000
        return self.world.record(record.id)


def slow(lambda_: Lambda, seconds: float, data: bytes = PNG) -> SlowDownload:
    world = lambda_.world
    return SlowDownload(data, len(data), clock=world.clock, seconds=seconds, passed=lambda_.watch)


def names(count: int) -> list[str]:
    return [f"{number}.png" for number in range(count)]


def positions(record: Prediction) -> list[str]:
    return [file.key.rpartition("/")[2] for file in record.files]


def test_twelve_files_of_45_seconds_each_are_stored_in_turn_and_fetched_once() -> None:
    world = World()
    lambda_ = Lambda(world)
    record = storing(world, *names(12))
    world.fetcher.pages.update(dict.fromkeys(urls(record), slow(lambda_, 45)))
    after = lambda_.until_over(record)
    assert (after.state, after.code) == (State.SUCCEEDED, None)
    assert positions(after) == names(12)
    assert Counter(world.fetcher.fetched) == Counter(urls(record))
    assert lambda_.runs == 6


@dataclass
class InStep(FakeDownload):
    """Files that are downloaded in parallel and end together, 45 s after the start."""

    together: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def chunks(self) -> Iterator[bytes]:
        self.together.wait(60)
        yield self.data


def test_four_at_once_stop_in_time_as_well() -> None:
    world = World()
    world.persist = replace(world.persist, at_once=4)
    lambda_ = Lambda(world)
    record = storing(world, *names(12))
    together = threading.Barrier(4, lambda: world.clock.advance(45))
    page = InStep(PNG, len(PNG), together=together)
    world.fetcher.pages.update(dict.fromkeys(urls(record), page))
    first = lambda_(record.id)
    assert first is not None
    assert (first.state, len(first.files)) == (State.STORING, 8)
    assert world.clock.now <= lambda_.ends - 10_000
    after = lambda_.until_over(record)
    assert (after.state, positions(after)) == (State.SUCCEEDED, names(12))
    assert Counter(world.fetcher.fetched) == Counter(urls(record))
    assert lambda_.runs == 2


@dataclass
class Forgetful(FakeOutputs):
    """A store that only counts, since its content would not fit into memory."""

    sizes: dict[str, int] = field(default_factory=dict)

    def write_once(self, key: str, content_type: str, chunks: Iterator[bytes]) -> StoredObject:
        size = sum(map(len, chunks))
        assert key not in self.sizes
        self.sizes[key] = size
        return StoredObject(size, "0" * 64)

    def keys(self, prefix: str) -> list[str]:
        return sorted(self.sizes)


def test_a_hundred_files_of_50_megabytes_pass_in_constant_memory() -> None:
    world = World()
    lambda_ = Lambda(world)
    outputs = Forgetful()
    world.persist = replace(world.persist, outputs=outputs)
    record = storing(world, *names(100))
    size = 50 * MB
    filling = size - len(PNG) - 12

    @dataclass
    class Large(GeneratedDownload):
        def chunks(self) -> Iterator[bytes]:
            yield from super().chunks()
            world.clock.advance(6)
            lambda_.watch()

    page = Large(PNG, size, filling=filling)
    world.fetcher.pages.update(dict.fromkeys(urls(record), page))
    tracemalloc.start()
    after = lambda_.until_over(record)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after.state is State.SUCCEEDED
    assert [file.bytes for file in after.files] == [size] * 100
    assert positions(after) == names(100)
    assert Counter(world.fetcher.fetched) == Counter(urls(record))
    assert world.clock.now - int(record.finished_at or 0) < 15 * 60_000
    assert peak < 4 * MB


def test_a_host_that_drips_one_file_delays_no_other() -> None:
    world = World()
    lambda_ = Lambda(world)
    record = storing(world, *names(6))
    first, *others = urls(record)
    world.fetcher.pages[first] = slow(lambda_, 10_000)
    world.fetcher.pages.update(dict.fromkeys(others, slow(lambda_, 10)))
    for _ in range(4):
        lambda_(record.id)
        world.clock.now = max(world.clock.now, world.record(record.id).next_store_at)
    after = world.record(record.id)
    assert after.state is State.STORING
    assert sorted(positions(after)) == names(6)[1:]
    assert max(Counter(world.fetcher.fetched)[url] for url in others) == 1
    world.fetcher.pages[first] = PNG
    after = lambda_.until_over(record)
    assert (after.state, positions(after)) == (State.SUCCEEDED, names(6))


def test_what_drips_first_in_line_does_not_keep_the_rest_from_a_turn() -> None:
    world = World()
    lambda_ = Lambda(world)
    record = storing(world, *names(3))
    world.fetcher.pages.update(dict.fromkeys(urls(record)[:2], slow(lambda_, 10_000)))
    for _ in range(3):
        lambda_(record.id)
        world.clock.now = max(world.clock.now, world.record(record.id).next_store_at)
    assert positions(world.record(record.id)) == ["2.png"]


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("later_s", [90, VISIBILITY_S], ids=["by the sweep", "by the queue"])
@pytest.mark.parametrize("stored", [0, 1, 5, 9])
def test_a_run_killed_after_some_files_loses_none_of_them(
    stored: int, later_s: int, at_once: int
) -> None:
    world = World()
    world.persist = replace(world.persist, at_once=at_once)
    record = storing(world, *names(10))
    killing = urls(record)[stored]
    world.fetcher.pages[killing] = Dying(PNG, len(PNG))
    with pytest.raises(Crash):
        world.persist(record.id)
    assert world.record(record.id) == record
    done = set(world.outputs.objects)
    world.fetcher.pages[killing] = PNG
    world.fetcher.fetched.clear()
    world.clock.advance(later_s)
    after = world.persist(record.id)
    assert after is not None
    assert (after.state, positions(after)) == (State.SUCCEEDED, names(10))
    kept = {f"https://replicate.delivery/{record.provider_id}/{key[-5:]}" for key in done}
    assert Counter(world.fetcher.fetched) == Counter(set(urls(record)) - kept)
    described = {(f.sha256, f.bytes, f.content_type, f.width, f.height) for f in after.files}
    assert described == {(hashlib.sha256(PNG).hexdigest(), len(PNG), "image/png", 2, 3)}


def test_a_run_that_was_delayed_and_then_killed_loses_nothing_either() -> None:
    world = World()
    record = storing(world, *names(4))
    pages = world.fetcher.pages
    pages[urls(record)[1]] = TransferFailedError("status 500")
    assert len(world.persist(record.id).files) == 3  # type: ignore[union-attr]
    pages[urls(record)[1]] = PNG
    crash(world, record)
    assert len(world.record(record.id).files) == 3
    world.persist(record.id)
    assert Counter(world.fetcher.fetched) == Counter([*urls(record), urls(record)[1]])
    assert positions(world.record(record.id)) == names(4)


def crash(world: World, record: Prediction) -> None:
    """Run persist, and end it before its result is stored."""

    def commit(*_: Any, **__: Any) -> None:
        raise Crash

    store = world.changes.store
    dying: Any = type("Dying", (type(store),), {"commit": commit})()
    vars(dying).update(vars(store))
    with pytest.raises(Crash):
        replace(world.persist, changes=replace(world.changes, store=dying))(record.id)


def test_one_file_that_was_stored_before_a_crash_is_not_fetched_again() -> None:
    world = World()
    record = storing(world, "0.png")
    crash(world, record)
    world.clock.advance(VISIBILITY_S)
    world.fetcher.pages.clear()
    after = world.persist(record.id)
    assert after is not None
    assert (after.state, after.files[0].content_type) == (State.SUCCEEDED, "image/png")
    assert len(world.fetcher.fetched) == 1


def test_what_else_lies_beside_the_outputs_is_none() -> None:
    world = World()
    record = storing(world, "0.png", "1.png")
    folder = f"acme/2027/01/{record.id}/"
    for name in ("copy-0.png", "0.exe", "0", "9.png", "00.png", "0.png.tmp", "x/1.png"):
        world.outputs.objects[folder + name] = ("image/png", b"another")
    world.clock.advance(VISIBILITY_S)
    after = world.persist(record.id)
    assert after is not None
    assert [file.bytes for file in after.files] == [len(PNG)] * 2


@dataclass
class Meanwhile(FakeDownload):
    """A download during which a function is called once."""

    does: Callable[[], object] = lambda: None

    def chunks(self) -> Iterator[bytes]:
        does, self.does = self.does, lambda: None
        does()
        yield self.data


@pytest.mark.parametrize("later_s", [0, 90])
def test_two_runs_at_once_share_what_either_has_stored(later_s: int) -> None:
    world = World()
    record = storing(world, *names(10))

    def rival() -> None:
        world.clock.advance(later_s)
        world.persist(record.id)

    world.fetcher.pages[urls(record)[4]] = Meanwhile(PNG, len(PNG), does=rival)
    after = world.persist(record.id)
    assert after == world.record(record.id)
    assert (after.state, positions(after)) == (State.SUCCEEDED, names(10))
    again = Counter(world.fetcher.fetched) - Counter(urls(record))
    # The one in progress; and if two begin together, the file by which one notices the other.
    assert again == Counter([urls(record)[4], *urls(record)[: later_s == 0]])


def test_a_run_that_may_not_be_alone_begins_at_the_other_end() -> None:
    world = World()
    record = storing(world, *names(4))
    world.clock.advance(90)
    world.persist(record.id)
    assert world.fetcher.fetched == urls(record)[::-1]
    assert positions(world.record(record.id)) == names(4)


def test_what_two_runs_have_stored_is_put_together() -> None:
    world = World()
    record = storing(world, *names(4))
    first, second, third, _ = urls(record)
    world.fetcher.pages[third] = TransferFailedError("status 500")

    def rival() -> None:
        page, world.fetcher.pages[second] = world.fetcher.pages[second], TransferFailedError("no")
        world.persist(record.id)
        world.fetcher.pages[second] = page

    world.fetcher.pages[first] = Meanwhile(PNG, len(PNG), does=rival)
    world.persist(record.id)
    assert sorted(positions(world.record(record.id))) == ["0.png", "1.png", "3.png"]
    world.fetcher.pages[third] = PNG
    world.persist(record.id)
    assert positions(world.record(record.id)) == names(4)


def test_progress_is_no_failure_and_goes_on_at_once() -> None:
    world = World()
    record = storing(world, *names(3))
    good = PNG
    for url in urls(record):
        world.fetcher.pages[url] = TransferFailedError("status 500")
    pauses = []
    for mended in (None, None, 0, None, 1, None, None):
        if mended is not None:
            world.fetcher.pages[urls(record)[mended]] = good
        world.persist(record.id)
        now = world.record(record.id)
        pauses.append((now.next_store_at - world.clock.now) // 1000)
        world.clock.now = now.next_store_at
    assert pauses == [15, 30, 0, 15, 0, 15, 30]
    world.fetcher.pages[urls(record)[2]] = good
    world.settle()
    assert world.record(record.id).state is State.SUCCEEDED


def test_a_run_that_ends_itself_is_followed_by_a_message() -> None:
    world = World()
    lambda_ = Lambda(world)
    record = storing(world, *names(3))
    world.fetcher.pages.update(dict.fromkeys(urls(record), slow(lambda_, 50)))
    world.store.stream.clear()
    lambda_(record.id)
    world.run_stream()
    assert world.persist_queue.messages == [({"id": record.id}, 0)]
    assert world.shown(world.record(record.id))["darkroom"]["files"] == []


def test_the_hour_ends_no_run_that_still_gets_files() -> None:
    world = World()
    record = storing(world, *names(3))
    missing = urls(record)[2]
    world.fetcher.pages[missing] = TransferFailedError("status 404")
    world.clock.advance(3601)
    assert len(world.persist(record.id).files) == 2  # type: ignore[union-attr]
    after = world.persist(record.id)
    assert after is not None
    assert (after.state, after.code, after.files) == (State.FAILED, Code.OUTPUT_EXPIRED, ())


def test_an_outage_of_our_own_ends_the_run_for_all_files() -> None:
    class Broken(FakeOutputs):
        def write_once(self, key: str, content_type: str, chunks: Iterator[bytes]) -> StoredObject:
            raise ConnectionError

    world = World()
    record = storing(world, *names(5))
    world.persist = replace(world.persist, outputs=Broken(), at_once=2)
    with pytest.raises(ConnectionError):
        world.persist(record.id)
    assert len(world.fetcher.fetched) <= 2


def test_the_handler_tells_how_much_time_is_left() -> None:
    class Short(events.Context):
        @staticmethod
        def get_remaining_time_in_millis() -> int:
            return 69_999

    world = World()
    record = storing(world, *names(3))
    handler = persist.FUNCTION.entry(lambda: world.persist)
    for stored in (1, 2, 3):
        handler(events.sqs({"id": record.id}), Short())
        assert len(world.record(record.id).files) == stored
    assert world.record(record.id).state is State.SUCCEEDED
