"""Waits in the front: concurrent reads are batched."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from darkroom.domain.errors import UnavailableError, UnreadableRecordError

from local.waiting import BatchedReads
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.domain.prediction import Prediction


class Reading:
    """Reads records of a world, and records which were read together."""

    def __init__(self) -> None:
        self.world = World()
        self.read: list[set[str]] = []
        self.torn: set[str] = set()
        self.down = False
        self._asked = threading.Barrier(2)
        self.batches = BatchedReads(self._asked.wait)

    def __call__(self, id_: str) -> Prediction | None:
        return self.batches.read(id_, self._get_many)

    def together(self, *ids: str) -> list[object]:
        """Return the results of all, requested before the read begins."""
        with ThreadPoolExecutor(len(ids)) as pool:
            found = [pool.submit(self, id_) for id_ in ids]
            while self.batches.wanted != {*ids}:
                pass
            self._asked.wait()
            return [one.exception() or one.result() for one in found]

    def _get_many(
        self, ids: set[str], unreadable: list[UnreadableRecordError]
    ) -> Iterator[Prediction]:
        self.read.append({*ids})
        if self.down:
            raise UnavailableError("DynamoDB is down")
        unreadable += [UnreadableRecordError(id_) for id_ in ids & self.torn]
        return self.world.store.get_many(ids - self.torn)


def test_records_that_are_wanted_together_are_read_together() -> None:
    reading = Reading()
    one, other = reading.world.accept(), reading.world.accept()
    unknown = "0" * 26
    found = reading.together(one.id, other.id, unknown)
    assert found == [one, other, None]
    assert reading.read == [{one.id, other.id, unknown}]
    assert reading.together(one.id) == [one]
    assert reading.read[1:] == [{one.id}], "what was read before answers nobody later"


def test_a_record_that_cannot_be_read_fails_for_who_wants_it() -> None:
    reading = Reading()
    one, torn = reading.world.accept(), reading.world.accept()
    reading.torn = {torn.id}
    found = reading.together(one.id, torn.id)
    assert found[0] == one
    assert isinstance(found[1], UnreadableRecordError)


def test_a_reading_that_fails_fails_for_all_and_the_next_one_is_another() -> None:
    reading = Reading()
    one, other = reading.world.accept(), reading.world.accept()
    reading.down = True
    assert [type(found) for found in reading.together(one.id, other.id)] == [UnavailableError] * 2
    reading.down = False
    assert reading.together(one.id) == [one]
