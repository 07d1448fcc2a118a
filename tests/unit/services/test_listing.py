"""The provider's list as a tick reads it: page by page, and around unreadable items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain import evidence
from darkroom.domain.errors import PageTooLargeError, ProviderSilentError, ProviderUnavailableError
from darkroom.domain.times import rfc3339
from darkroom.ports import ProviderPage
from darkroom.replicate.snapshot import read_snapshot
from darkroom.services.predictions import listing
from darkroom.services.predictions.listing import LIST_FROM, SILENCES, Listing, Patience

from tests.support.fakes import START, FakeClock

if TYPE_CHECKING:
    from darkroom.domain.snapshot import Snapshot

PAGE = 4


def item(number: int, at: int, **more: Any) -> Snapshot:
    body = {"id": f"p{number}", "status": "processing", "created_at": rfc3339(at), **more}
    return read_snapshot(body)


@dataclass
class Listings:
    """A provider's list of `items`, newest first, with a few per page."""

    items: list[Snapshot]
    page_size: int = PAGE
    heavy: set[str] = field(default_factory=set)
    """Ids of items of which two are too large for one page."""
    deep: set[str] = field(default_factory=set)
    """Ids of items that no parser accepts: their page does not say where the next one begins."""
    fails_at: int | None = None
    asked: list[tuple[int, int | None, str | None]] = field(default_factory=list)

    def page(
        self, after: int, before: int | None = None, cursor: str | None = None
    ) -> ProviderPage:
        self.asked.append((after, before, cursor))
        if self.fails_at is not None and len(self.asked) > self.fails_at:
            raise ProviderUnavailableError("down")
        last = 10**15 if before is None else before
        window = [each for each in self.items if after <= (each.created_at or after) < last]
        first = int(cursor or 0)
        shown = window[first : first + self.page_size]
        if sum(each.provider_id in self.heavy for each in shown) > 1:
            raise PageTooLargeError("large")
        readable = [each for each in shown if each.provider_id not in self.deep]
        whole = len(readable) == len(shown)
        more = whole and len(window) > first + self.page_size
        return ProviderPage(readable, whole, str(first + self.page_size) if more else None)


def reader(
    source: Any,
    *,
    polled: dict[str, int] | None = None,
    unknown: dict[str, int] | None = None,
    most: int = 100,
) -> Listing:
    clock = FakeClock(START + 1_000_000)
    return Listing(source, clock, Patience(most), polled=polled or {}, unknown=unknown or {})


def many(number: int, apart_ms: int = 1000) -> list[Snapshot]:
    return [item(n, START + apart_ms * n) for n in reversed(range(number))]


# Creates of unknown outcome


def test_all_pages_since_the_oldest_are_read_once() -> None:
    source = Listings(many(10))
    read = reader(source, unknown={"a" * 26: START})
    reading = read.of_unknown()
    assert len(reading.others) == 10
    assert reading.complete(START)
    assert reading.begun_at == START + 1_000_000
    assert read.of_unknown() is reading
    assert len(source.asked) == 3


def test_what_names_a_record_is_kept_for_it_alone() -> None:
    def hook(id_: str) -> str:
        return f"https://darkroom.test/hooks/replicate/{id_}?t=x"

    ours, anothers = "a" * 26, "b" * 26
    items = [
        item(0, START, webhook=hook(ours), logs="kept"),
        item(1, START, webhook=hook(anothers)),
        item(2, START, webhook="https://elsewhere.test/", logs="let go"),
    ]
    reading = reader(Listings(items), unknown={ours: START}).of_unknown()
    assert [s.logs for s in reading.linked[ours]] == ["kept"]
    assert anothers not in reading.linked
    assert [(s.provider_id, s.logs) for s in reading.others] == [("p2", "")]


def test_a_page_that_is_too_large_is_read_in_smaller_times() -> None:
    source = Listings(many(12, apart_ms=20_000), heavy={"p3", "p4", "p9"})
    reading = reader(source, unknown={"a" * 26: START}).of_unknown()
    assert {s.provider_id for s in reading.others} == {f"p{n}" for n in range(12)}
    assert reading.complete(START)


def test_what_is_too_large_in_the_shortest_time_leaves_the_reading_incomplete() -> None:
    source = Listings(many(12, apart_ms=10), heavy={"p5", "p6"})
    reading = reader(source, unknown={"a" * 26: START}).of_unknown()
    assert not reading.complete(START)


def test_beyond_an_item_that_no_parser_takes_the_reading_goes_on() -> None:
    source = Listings(many(12, apart_ms=10_000), deep={"p9"})
    read = reader(source, unknown={"a" * 26: START})
    reading = read.of_unknown()
    assert {s.provider_id for s in reading.others} == {f"p{n}" for n in range(12)} - {"p9"}
    assert not reading.complete(START)
    assert read.unreadable == 1


def test_a_first_page_that_cannot_be_read_is_told_once() -> None:
    source = Listings(many(3), fails_at=0)
    read = reader(source, unknown={"a" * 26: START})
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError):
            read.of_unknown()
    assert len(source.asked) == 1


def test_a_later_page_that_cannot_be_read_leaves_the_reading_incomplete() -> None:
    reading = reader(Listings(many(9), fails_at=1), unknown={"a" * 26: START}).of_unknown()
    assert len(reading.others) == PAGE
    assert not reading.complete(START)


def test_a_reading_holds_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_OTHERS", 5)
    reading = reader(Listings(many(9)), unknown={"a" * 26: START}).of_unknown()
    assert len(reading.others) == 5
    assert not reading.complete(START)


def test_a_reading_ends_where_the_provider_may_be_asked_no_more() -> None:
    reading = reader(Listings(many(20)), unknown={"a" * 26: START}, most=2).of_unknown()
    assert len(reading.others) == 2 * PAGE
    assert not reading.complete(START)


# Polls


def polls(items: list[Snapshot]) -> dict[str, int]:
    return {each.provider_id: each.created_at or START for each in items}


def test_few_polls_are_asked_for_one_by_one() -> None:
    source = Listings(many(LIST_FROM - 1))
    read = reader(source, polled=polls(source.items))
    assert read.listed("p0") is None
    assert source.asked == []


def test_many_polls_are_answered_by_pages() -> None:
    source = Listings(many(40), page_size=20)
    read = reader(source, polled=polls(source.items))
    assert all(read.listed(f"p{n}") for n in range(40))
    assert len(source.asked) == 2
    # Each is returned once; the next search requests it again.
    assert read.listed("p1") is None


def test_where_nothing_is_asked_about_the_list_is_passed_over() -> None:
    source = Listings(many(4000), page_size=100)
    due = [each for n, each in enumerate(source.items) if n < 150 or n >= 3900]
    read = reader(source, polled=polls(due))
    assert sum(read.listed(each.provider_id) is not None for each in due) >= 200
    assert len(source.asked) <= 8


def test_how_much_later_the_providers_times_are_is_seen_and_not_guessed() -> None:
    # A page covers a second of creates; the due ones were created in three seconds, far apart.
    source = Listings(many(3000, apart_ms=10), page_size=100)
    seconds = [source.items[start : start + 100] for start in (0, 1500, 2900)]
    ours = {s.provider_id: (s.created_at or 0) - 300 for due in seconds for s in due}
    read = reader(source, polled=ours)
    shown = sum(read.listed(provider_id) is not None for provider_id in ours)
    assert shown > len(ours) - LIST_FROM
    # With the five seconds of tolerance, each of the later two would take six more pages.
    assert len(source.asked) <= 9


def test_pages_that_answer_little_are_read_no_further() -> None:
    source = Listings(many(4000), page_size=100)
    due = source.items[::200]
    read = reader(source, polled=polls(due))
    for each in due:
        read.listed(each.provider_id)
    assert len(source.asked) <= 1 + listing.CREDIT / (listing.WORTH - 1)


def test_a_clock_that_is_ahead_is_looked_for_once() -> None:
    ahead = [item(n, START + 50_000 + 10 * n) for n in reversed(range(20))]
    source = Listings(ahead, page_size=20)
    read = reader(source, polled={each.provider_id: START for each in ahead})
    assert all(read.listed(each.provider_id) for each in ahead)


def test_a_list_that_fails_answers_nothing_and_is_not_asked_again() -> None:
    source = Listings(many(20), fails_at=0)
    read = reader(source, polled=polls(source.items))
    assert [read.listed(f"p{n}") for n in range(20)] == [None] * 20
    assert len(source.asked) == 1


def test_what_is_kept_for_polls_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_KEPT", 10_000)
    items = [item(n, START + n, logs="x" * 3000) for n in reversed(range(20))]
    source = Listings(items, page_size=20)
    read = reader(source, polled=polls(items))
    assert sum(read.listed(each.provider_id) is not None for each in items) == 3


def test_where_a_page_is_too_large_polls_are_read_in_smaller_times() -> None:
    items = many(40, apart_ms=10_000)
    source = Listings(items, page_size=20, heavy={"p21", "p22", "p30"})
    read = reader(source, polled=polls(items))
    assert sum(read.listed(f"p{n}") is not None for n in range(40)) > 40 - LIST_FROM


def test_large_items_further_down_are_read_from_where_the_page_before_ended() -> None:
    items = many(40, apart_ms=10_000)
    source = Listings(items, page_size=20, heavy={"p3", "p10"})
    read = reader(source, polled=polls(items))
    assert sum(read.listed(f"p{n}") is not None for n in range(40)) > 40 - LIST_FROM


def test_polls_that_no_page_can_show_are_asked_for_one_by_one() -> None:
    items = many(40, apart_ms=10)
    source = Listings(items, page_size=20, heavy={"p21", "p22"})
    read = reader(source, polled=polls(items))
    assert [read.listed(f"p{n}") for n in (20, 21, 22)] == [None] * 3


def test_pages_above_the_newest_that_is_wanted_count_for_nothing() -> None:
    wanted = many(20, apart_ms=10)
    others = [item(100 + n, START + 200 + 10 * n) for n in reversed(range(200))]
    source = Listings([*others, *wanted], page_size=20)
    read = reader(source, polled=polls(wanted))
    assert all(read.listed(each.provider_id) for each in wanted)


def test_pages_may_fall_short_for_a_while() -> None:
    items = many(400, apart_ms=100)
    wanted = [each for n, each in enumerate(items) if n % 100 < 60 or n % 10 == 0]
    source = Listings(items, page_size=20)
    read = reader(source, polled=polls(wanted))
    shown = sum(read.listed(each.provider_id) is not None for each in wanted)
    assert shown > len(wanted) - LIST_FROM


# Fresh creates of unknown outcome


def hooked(number: int, at: int, record_id: str) -> Snapshot:
    url = f"https://darkroom.test/hooks/replicate/{record_id}?t=x"
    return item(number, at, webhook=url)


def test_fresh_creates_are_found_where_they_should_be() -> None:
    now = START + 1_000_000
    ids = [chr(97 + n) * 26 for n in range(12)]
    begun = now - 100_000
    items = [hooked(n, begun + 300 + n, id_) for n, id_ in enumerate(ids)][::-1]
    later = [item(100 + n, begun + 20_000 + n) for n in reversed(range(50))]
    source = Listings([*later, *items], page_size=12)
    read = reader(source, unknown=dict.fromkeys(ids, begun))
    found = [read.linked(id_) for id_ in ids]
    assert [each and each.provider_id for each in found] == [f"p{n}" for n in range(12)]
    # Those created later are not read.
    assert len(source.asked) == 1


def test_few_creates_and_older_ones_are_left_to_the_whole_reading() -> None:
    ids = [chr(97 + n) * 26 for n in range(12)]
    items = [hooked(n, START + n, id_) for n, id_ in enumerate(ids)][::-1]
    source = Listings(items)
    read = reader(source, unknown=dict.fromkeys(ids, START))
    assert read.linked(ids[0]) is None
    assert source.asked == []
    assert len(read.of_unknown().linked) == 12
    assert read.linked(ids[0]) is not None


def far_back(at: int, ids: list[str], **asked: Any) -> tuple[Listings, Listing]:
    """Creates whose time a reading from now backwards does not reach."""
    items = [hooked(n, at + 300 + n, id_) for n, id_ in enumerate(ids)][::-1]
    later = [item(1000 + n, at + 60_000 + 100 * n) for n in reversed(range(400))]
    source = Listings([*later, *items])
    read = hurried(source, 40, unknown=dict.fromkeys(ids, at), **asked)
    assert not read.of_unknown().complete(at)
    return source, read


def test_what_a_reading_does_not_reach_is_looked_for_where_it_should_be() -> None:
    at = START + 700_000
    source, read = far_back(at, ["a" * 26, "b" * 26])
    pages = len(source.asked)
    assert [s.provider_id for s in read.around("a" * 26)] == ["p0"]
    # Creates of the same time are found together.
    assert [s.provider_id for s in read.around("b" * 26)] == ["p1"]
    assert len(source.asked) == pages + 1


def test_what_is_looked_for_by_itself_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "AROUND", 0)
    source, read = far_back(START + 700_000, ["a" * 26])
    pages = len(source.asked)
    assert read.around("a" * 26) == []
    monkeypatch.setattr(listing, "AROUND", 20)
    old, read = far_back(START, ["a" * 26])
    assert read.around("a" * 26) == []
    assert [len(source.asked), len(old.asked)] == [pages, pages]


def test_nothing_is_shown_where_the_list_fails() -> None:
    source, read = far_back(START + 700_000, ["a" * 26])
    source.fails_at = len(source.asked)
    assert read.around("a" * 26) == []


# Time


class Spare:
    """Return the remaining time: one second less per page."""

    def __init__(self, source: Listings, seconds: int) -> None:
        self._source, self._seconds = source, seconds

    def __call__(self) -> int:
        return 1000 * (self._seconds - len(self._source.asked))


def hurried(source: Listings, seconds: int, **asked: Any) -> Listing:
    patience = Patience(1000, Spare(source, seconds))
    asked = {"polled": {}, "unknown": {}, **asked}
    return Listing(source, FakeClock(START + 1_000_000), patience, **asked)


def test_a_reading_for_polls_leaves_half_of_the_time() -> None:
    source = Listings(many(400))
    read = hurried(source, 20, polled=polls(source.items))
    assert read.listed("p0") is None
    assert len(source.asked) == 11


def test_a_reading_that_ends_early_tells_of_what_it_covers() -> None:
    source = Listings(many(400))
    reading = hurried(source, 40, unknown={"a" * 26: START}).of_unknown()
    assert len(source.asked) == 31
    covered = source.items[-1 + 4 * 31].created_at or 0
    assert reading.complete(covered + evidence.CLOCK_SKEW_MS + 1)
    assert not reading.complete(covered + evidence.CLOCK_SKEW_MS)


def test_the_provider_is_not_asked_when_the_time_is_over() -> None:
    source = Listings(many(40))
    with pytest.raises(ProviderUnavailableError):
        hurried(source, -1, unknown={"a" * 26: START}).of_unknown()
    assert source.asked == []


# Patience


def test_a_provider_that_does_not_answer_is_asked_no_more() -> None:
    patience = Patience(100)

    def silent() -> None:
        raise ProviderSilentError("time-out")

    for _ in range(SILENCES):
        assert patience.usable
        with pytest.raises(ProviderSilentError):
            patience.ask(silent)
    assert not patience.usable
    with pytest.raises(ProviderUnavailableError, match="no more"):
        patience.ask(lambda: 1)


def test_an_answer_in_between_restores_the_patience() -> None:
    patience = Patience(100)

    def silent() -> None:
        raise ProviderSilentError("time-out")

    for _ in range(SILENCES - 1):
        with pytest.raises(ProviderSilentError):
            patience.ask(silent)
    assert patience.ask(lambda: 7) == 7
    with pytest.raises(ProviderSilentError):
        patience.ask(silent)
    assert patience.usable


def test_cancels_are_not_counted() -> None:
    patience = Patience(1)
    assert [patience.ask(lambda: 1, counted=False) for _ in range(5)] == [1] * 5
    assert patience.ask(lambda: 2) == 2
    assert not patience.usable
