"""Read: one tenant's records, never another's."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws.items import prediction_item
from darkroom.domain.errors import (
    BadRequestError,
    NotFoundError,
    UnavailableError,
    UnreadableRecordError,
)
from darkroom.services.predictions.read import (
    PAGE,
    PAGE_BYTES,
    READ_AT_ONCE,
    ListPage,
    Wanted,
    _cursor,
)

from tests.support import versions
from tests.support.fakes import START, FakePredictions
from tests.support.records import accepted
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from darkroom.domain.prediction import Prediction


def test_a_tenant_reads_its_own_record() -> None:
    world = World()
    record = world.accept()
    assert world.read.get("acme", record.id) == record


@pytest.mark.parametrize("id_", ["", "x", "0" * 26, "A" * 26, "../" * 8 + "ab", "0" * 27])
def test_an_unknown_id_is_not_found(id_: str) -> None:
    with pytest.raises(NotFoundError):
        World().read.get("acme", id_)


def test_another_tenants_record_is_as_unknown_as_none() -> None:
    world = World()
    record = world.accept()
    with pytest.raises(NotFoundError) as others:
        world.read.get("other", record.id)
    with pytest.raises(NotFoundError) as unknown:
        world.read.get("other", "0" * 26)
    assert str(others.value) == str(unknown.value)


def page(world: World, cursor: str | None = None, tenant: str = "acme") -> ListPage:
    return world.read.page(tenant, cursor, None, world.shown)


def listed(world: World, tenant: str = "acme") -> list[str]:
    return [shown["id"] for shown in page(world, tenant=tenant).results]


def test_a_list_is_newest_first_and_one_tenants() -> None:
    world = World()
    ids = []
    for number in range(5):
        world.clock.advance(1)
        record = world.accept(tenant="acme" if number % 2 else "other")
        ids.append(record.id)
    assert listed(world) == [ids[3], ids[1]]
    assert listed(world, "other") == [ids[4], ids[2], ids[0]]
    assert listed(world, "nobody") == []


def test_pages_go_on_where_the_last_one_ended() -> None:
    world = World()
    for _ in range(PAGE + 5):
        world.clock.advance(1)
        world.accept()
    first = page(world)
    assert len(first.results) == PAGE
    second = page(world, first.next_cursor)
    assert len(second.results) == 5
    assert second.next_cursor is None
    assert len({shown["id"] for shown in first.results + second.results}) == PAGE + 5


# Forward and back


def numbered(number: int) -> World:
    """Return a world with so many records of acme's, a second apart, the oldest at START."""
    world = World()
    for each in range(number):
        created = START + 1000 * each
        world.store.insert(replace(accepted(), id=f"{each:026d}", created_at=created))
    return world


def ids(listed: ListPage) -> list[int]:
    return [int(shown["id"]) for shown in listed.results]


def some(world: World, cursor: str | None = None, **wanted: Any) -> ListPage:
    return world.read.page("acme", cursor, "3", world.shown, Wanted(**wanted))


def test_oracles_f9_each_page_leads_back_to_the_one_before() -> None:
    world = numbered(8)
    first = some(world)
    second = some(world, first.next_cursor)
    third = some(world, second.next_cursor)
    assert [ids(first), ids(second), ids(third)] == [[7, 6, 5], [4, 3, 2], [1, 0]]
    assert first.previous_cursor is None
    back = some(world, third.previous_cursor)
    assert ids(back) == [4, 3, 2]
    assert ids(some(world, back.next_cursor)) == [1, 0]
    start = some(world, back.previous_cursor)
    assert ids(start) == [7, 6, 5]
    assert start.previous_cursor is None
    assert ids(some(world, start.next_cursor)) == [4, 3, 2]


def test_what_was_made_since_comes_before_the_first_page() -> None:
    world = numbered(4)
    second = some(world, some(world).next_cursor)
    world.store.insert(replace(accepted(), id=f"{9:026d}", created_at=START + 9000))
    back = some(world, second.previous_cursor)
    assert ids(back) == [3, 2, 1]
    new = some(world, back.previous_cursor)
    assert (ids(new), new.previous_cursor) == ([9], None)


def test_before_the_first_there_is_an_empty_page() -> None:
    world = numbered(1)
    cursor = some(numbered(2), some(numbered(2)).next_cursor).previous_cursor
    assert cursor is None
    listed = some(world, _cursor((START, f"{0:026d}"), "acme", back=True))
    assert (listed.results, listed.cursors) == ([], (None, None))


def test_a_page_by_size_leads_back_without_a_gap() -> None:
    world = filled(60)
    for number in range(60):
        record = replace(world.record(f"{number:026d}"), created_at=START + number)
        world.store.items[record.id] = prediction_item(record)
    found = pages(world)
    assert [len(page.results) for page in found] == [24, 24, 12]
    back = world.read.page("acme", found[-1].previous_cursor, None, world.shown)
    assert back.results == found[1].results
    start = world.read.page("acme", back.previous_cursor, None, world.shown)
    assert start.results == found[0].results


# Filters by time and source


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [5, 4, 3, 2, 1, 0]),
        ({"created_after": START + 4000}, [5, 4]),
        ({"created_after": START + 4001}, [5]),
        ({"created_before": START + 1000}, [0]),
        ({"created_before": START + 1001}, [1, 0]),
        ({"created_after": START + 1000, "created_before": START + 3000}, [2, 1]),
        ({"created_after": START + 2000, "created_before": START + 2000}, []),
        ({"created_after": START + 3000, "created_before": START + 2000}, []),
        ({"created_after": -(10**15)}, [5, 4, 3, 2, 1, 0]),
        ({"created_before": -1}, []),
        ({"created_after": 10**15}, []),
        ({"created_before": 10**15}, [5, 4, 3, 2, 1, 0]),
        ({"source": "api"}, [5, 4, 3, 2, 1, 0]),
        ({"source": "web"}, []),
    ],
)
def test_oracles_f1_a_list_is_of_what_is_asked_for(
    wanted: dict[str, Any], found: list[int]
) -> None:
    world = numbered(6)
    seen: list[int] = []
    cursor: str | None = None
    while True:
        listed = some(world, cursor, **wanted)
        seen += ids(listed)
        cursor = listed.next_cursor
        if cursor is None:
            break
    assert seen == found


@pytest.mark.parametrize(
    ("at", "back", "found"),
    [(9, False, [4, 3, 2]), (0, False, []), (9, True, []), (0, True, [3, 2, 1])],
)
def test_a_cursor_from_outside_the_time_begins_at_its_end(
    at: int, back: bool, found: list[int]
) -> None:
    """Clients that follow `next` never send one; the index would reject it."""
    cursor = _cursor((START + 1000 * at, f"{at:026d}"), "acme", back=back)
    window = {"created_after": START + 1000, "created_before": START + 5000}
    assert ids(some(numbered(8), cursor, **window)) == found


# Pages by size


def pages(world: World, limit: str | None = None) -> list[ListPage]:
    """Return all pages, by their cursors."""
    found: list[ListPage] = []
    while not found or found[-1].next_cursor:
        cursor = found[-1].next_cursor if found else None
        found.append(world.read.page("acme", cursor, limit, world.shown))
    return found


def filled(number: int, prompt: str = "x" * 100_000, **parts: Any) -> World:
    """Return a world with so many large records of acme's."""
    world = World(**parts)
    for each in range(number):
        world.store.insert(replace(accepted(), id=f"{each:026d}", input={"prompt": prompt}))
    return world


def sizes(listed: list[ListPage]) -> list[int]:
    return [len(json.dumps(page.results)) for page in listed]


def test_a_page_ends_before_it_is_too_large_and_the_next_goes_on() -> None:
    found = pages(filled(101))
    assert [len(page.results) for page in found] == [24, 24, 24, 24, 5]
    assert max(sizes(found)) <= PAGE_BYTES + 1000
    seen = [shown["id"] for page in found for shown in page.results]
    assert sorted(seen) == [f"{number:026d}" for number in range(101)]


@pytest.mark.parametrize("prompt", ["\0" * 40_000, '"' * 100_000, "ü" * 100_000, "🐕" * 60_000])
def test_a_page_is_measured_as_lambda_hands_it_over(prompt: str) -> None:
    """Lambda accepts 6 MB of JSON, in which the body is one text."""
    found = pages(filled(20, prompt))
    assert sum(len(page.results) for page in found) == 20
    for page in found:
        body = json.dumps(page.results, ensure_ascii=False, separators=(",", ":"))
        assert len(json.dumps({"body": body})) < 5_500_000


def test_a_record_that_is_larger_than_a_page_is_one_alone() -> None:
    world = World()
    world.accept()
    record = world.accept()
    cost = PAGE_BYTES

    def show(shown: Prediction) -> dict[str, Any]:
        return {"id": shown.id, "large": "x" * cost if shown.id == record.id else ""}

    first = world.read.page("acme", None, None, show)
    second = world.read.page("acme", first.next_cursor, None, show)
    together = [*first.results, *second.results]
    assert sorted(len(shown["large"]) for shown in together) == [0, cost]
    assert first.next_cursor
    assert second.next_cursor is None


def test_a_limit_holds_beside_the_size() -> None:
    world = filled(30)
    assert [len(page.results) for page in pages(world, "10")] == [10, 10, 10, 0]
    assert [len(page.results) for page in pages(world, "28")] == [24, 6]


def test_few_records_are_in_memory_at_a_time() -> None:
    asked: list[int] = []

    class Counting(FakePredictions):
        def get_many(self, ids: Iterable[str], *args: Any) -> Iterator[Prediction]:
            wanted = list(ids)
            asked.append(len(wanted))
            return super().get_many(wanted, *args)

    page(filled(40, store=Counting()))
    assert asked == [READ_AT_ONCE]


# Unreadable and expired records


@pytest.mark.parametrize("change", versions.UNREADABLE.values(), ids=versions.UNREADABLE)
def test_a_list_leaves_out_what_it_cannot_read_and_tells_of_it(change: Callable[..., Any]) -> None:
    world = World()
    ids = []
    for _ in range(3):
        world.clock.advance(1)
        ids.append(world.accept().id)
    world.store.items[ids[1]] = change(world.store.items[ids[1]])
    found = page(world)
    assert [shown["id"] for shown in found.results] == [ids[2], ids[0]]
    assert [left_out.id for left_out in found.unreadable] == [ids[1]]


def test_a_list_leaves_out_what_cannot_be_shown() -> None:
    world = World()
    good, bad = world.accept(), world.accept()
    world.store.items[bad.id] = prediction_item(replace(bad, uploads={"/a/b": "key"}))
    found = page(world)
    assert [shown["id"] for shown in found.results] == [good.id]
    (left_out,) = found.unreadable
    assert (left_out.id, left_out.tenant) == (bad.id, "acme")


def test_an_outage_is_no_record_that_cannot_be_shown() -> None:
    def away(_record: Prediction) -> dict[str, Any]:
        raise UnavailableError("The CDN's key is not set.")

    world = World()
    world.accept()
    with pytest.raises(UnavailableError):
        world.read.page("acme", None, None, away)


def test_one_that_cannot_be_read_is_its_tenants_alone() -> None:
    world = World()
    record = world.accept()
    change = versions.UNREADABLE["state"]
    world.store.items[record.id] = change(world.store.items[record.id])
    with pytest.raises(UnreadableRecordError):
        world.read.get("acme", record.id)
    with pytest.raises(NotFoundError):
        world.read.get("other", record.id)


@pytest.mark.parametrize("removed", [False, True], ids=["still there", "removed"])
def test_a_record_past_its_retention_is_gone(removed: bool) -> None:
    """DynamoDB's TTL deletes it within days of its time."""
    world = World()
    old = world.accept()
    world.clock.advance(90 * 86_400)
    if removed:
        world.store.remove_expired()
    young = world.accept()
    with pytest.raises(NotFoundError):
        world.read.get("acme", old.id)
    assert listed(world) == [young.id]


def test_an_index_that_lags_hides_the_newest_for_a_moment_and_nothing_else() -> None:
    world = World()
    ids = []
    for _ in range(3):
        world.clock.advance(1)
        ids.append(world.accept().id)
    world.store.before[ids[2]] = None
    world.store.lagging = True
    assert listed(world) == [ids[1], ids[0]]
    world.store.lagging = False
    assert listed(world) == [ids[2], ids[1], ids[0]]


# Cursors


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


ID = "a" * 26
BAD = {
    "not base64": "!!!!",
    "not ASCII": "é" * 8,
    "not JSON": base64.urlsafe_b64encode(b"{").decode(),
    "not UTF-8": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "a number": cursor(7),
    "too short": cursor([1, ID]),
    "too long": cursor([1, ID, "acme", "back", 4]),
    "another direction": cursor([1, ID, "acme", "forth"]),
    "a direction as number": cursor([1, ID, "acme", 1]),
    "an object": cursor({"a": 1, "b": 2, "c": 3}),
    "time as text": cursor(["1", ID, "acme"]),
    "time as truth": cursor([True, ID, "acme"]),
    "time zero": cursor([0, ID, "acme"]),
    "time too large": cursor([10**14, ID, "acme"]),
    "no id": cursor([1, "x", "acme"]),
    "id as number": cursor([1, 2, "acme"]),
    "another tenant's": cursor([1, ID, "other"]),
    "huge": "a" * 401,
    "a deep nest": cursor(json.loads("[" * 140 + "]" * 140)),
}


@pytest.mark.parametrize("given", BAD.values(), ids=BAD)
def test_a_cursor_that_we_did_not_make_is_refused(given: str) -> None:
    with pytest.raises(BadRequestError):
        page(World(), given)
