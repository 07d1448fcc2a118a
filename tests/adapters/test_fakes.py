"""Features of the fakes that moto lacks: lagging indexes, and the table's TTL."""

from __future__ import annotations

import pytest
from darkroom.ports import Due, Span

from tests.adapters.rows import T, following, name, record
from tests.support.fakes import START, FakeClock, FakeControls, FakePredictions

LONG_AGO = 1_000_000_000


def test_a_lagging_index_shows_each_item_as_it_was_one_write_ago() -> None:
    store = FakePredictions()
    for number in (1, 2):
        store.insert(record(number, created_at=T + number))
    store.commit(following(record(1, created_at=T + 1), due_at=T + 9000))
    store.lagging = True
    assert store.due(T + 60_000, 10) == [Due(name(1), T + 5000)]
    assert store.list_ids("acme", None, 10).ids == [name(1)]
    assert store.recent_ids("acme", T, 10) == [name(1)]
    assert store.claim(Due(name(1), T + 5000), T + 60_000) is None
    assert store.get(name(2)) == record(2, created_at=T + 2)
    store.lagging = False
    assert store.due(T + 60_000, 10) == [Due(name(2), T + 5000), Due(name(1), T + 9000)]
    assert store.list_ids("acme", None, 10).ids == [name(2), name(1)]


def test_what_the_ttl_removed_stays_in_a_lagging_index() -> None:
    store = FakePredictions()
    store.insert(record(1, expires_at=LONG_AGO))
    store.insert(record(2))
    store.remove_expired()
    assert list(store.items) == [name(2)]
    store.lagging = True
    assert store.list_ids("acme", None, 10).ids == [name(1)]
    assert list(store.get_many([name(1), name(2)])) == [record(2)]


def test_a_list_refuses_what_dynamodb_refuses() -> None:
    """moto accepts both: an empty time range, and a start key outside of it."""
    store = FakePredictions()
    with pytest.raises(ValueError, match="BETWEEN"):
        store.list_ids("acme", None, 10, Span(T, T - 1))
    with pytest.raises(ValueError, match="boundaries"):
        store.list_ids("acme", (T + 9, name(9)), 10, Span(T, T + 1))


def test_a_result_counts_until_its_time() -> None:
    controls = FakeControls(clock=(clock := FakeClock()))
    controls.cache_result("a" * 64, "one", START // 1000 + 60)
    clock.advance(59)
    assert controls.cached_result("a" * 64) == "one"
    clock.advance(1)
    assert controls.cached_result("a" * 64) is None
