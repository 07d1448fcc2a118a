"""The provider's list of predictions, read for one tick of the sweep.

A page has a hundred predictions, newest first. One reading serves all records of the tick that need
the provider: those to poll, and those whose create has an unknown outcome.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from darkroom.domain import evidence, strict_json
from darkroom.domain.errors import PageTooLargeError, ProviderSilentError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from darkroom.domain.snapshot import Snapshot
    from darkroom.ports import Clock, Provider, ProviderPage

_T = TypeVar("_T")

SILENCES = 3
"""Consecutive timeouts after which the tick does not call the provider any more."""
LIST_FROM = 10
"""Number of polls from which the list is read, which answers a hundred records per call."""
WORTH = 5
"""Number of polls that a page must answer to be worth its call."""
CREDIT = 60
"""Allowed total shortfall of pages below that; afterwards the rest is polled one by one."""
POLL_SKEW_MS = 5_000
"""Maximum by which the provider's creation time is assumed later than ours; a create takes up to
three seconds."""
LATER_STILL_MS = 500
"""Margin on the observed difference of creation times, for predictions not seen yet."""
FRESH_MS = 190_000
"""Age below which no search can prove that a create made nothing; it is only searched around its
own time."""
AROUND = 20
"""Maximum creates of unknown outcome in a tick for which the time of their own creation is read."""
AROUND_MS = 900_000
"""Maximum age of those; older than a complete reading may reach."""
SHORTEST_WINDOW_MS = 1_000
MOST_OTHERS = 20_000
"""Maximum predictions without a webhook that are kept as evidence."""
MOST_KEPT = 12_000_000
"""About the bytes of listed predictions that are kept until their records are handled."""


class Patience:
    """Budget of one tick for calls of the provider: number and time."""

    def __init__(self, most: int, spare_ms: Callable[[], int] = lambda: 0) -> None:
        self.left = most
        self.spare_ms = spare_ms
        """Returns the remaining time of the tick."""
        self._silences = 0

    @property
    def usable(self) -> bool:
        """False if the provider does not answer, or the budget of calls or time is used up."""
        return self.left > 0 and self._silences < SILENCES and self.spare_ms() >= 0

    def ask(self, question: Callable[[], _T], *, counted: bool = True) -> _T:
        """Call the provider and return its answer. Raises ProviderUnavailableError, also if the
        budget is used up."""
        if not self.usable:
            raise ProviderUnavailableError("asked no more in this tick")
        self.left -= counted
        try:
            answer = question()
        except ProviderSilentError:
            self._silences += 1
            raise
        self._silences = 0
        return answer


@dataclass(slots=True)
class Reading:
    """Content of the list for the period in which a create of unknown outcome may have been
    executed."""

    begun_at: int
    pages: int = 0
    readable: bool = True
    """Every prediction of the period read so far was readable."""
    since: int = 0
    """End of the period that is not known completely, if the reading ended early."""
    linked: dict[str, list[Snapshot]] = field(default_factory=lambda: defaultdict(list))
    """By the record whose id is in the webhook."""
    others: list[Snapshot] = field(default_factory=list)
    """Predictions whose webhook is not shown, or does not name a record."""

    def complete(self, created_at: int) -> bool:
        """Whether it shows everything that a create of a record of that time can have made."""
        return self.readable and self.since < created_at - evidence.CLOCK_SKEW_MS


class Listing:
    """Reads the list at most twice: the periods in which the polled predictions were created, and
    the whole time since the oldest create of unknown outcome. Both leave time to apply the results.
    """

    def __init__(
        self,
        provider: Provider,
        clock: Clock,
        patience: Patience,
        *,
        polled: Mapping[str, int],
        unknown: Mapping[str, int],
    ) -> None:
        """`polled` maps provider ids to creation times, `unknown` record ids."""
        self._provider, self._clock, self._patience = provider, clock, patience
        self._polled, self._unknown = dict(polled), dict(unknown)
        self._shown: dict[str, Snapshot] = {}
        self._linked: dict[str, dict[str, Snapshot]] = defaultdict(dict)
        self._kept = 0
        self._latest_ms = 0
        self._around = AROUND
        self._least_ms = 0
        self._reading: Reading | None = None
        self._failed: ProviderUnavailableError | None = None
        fresh = clock() - FRESH_MS
        self._wanted = {**polled, **{id_: at for id_, at in unknown.items() if at > fresh}}
        self._recent_read = len(self._wanted) < LIST_FROM
        self.unreadable = 0
        """Number of pages with an unreadable item."""

    def listed(self, provider_id: str) -> Snapshot | None:
        """Return the prediction from the list, if that is cheaper than polling it."""
        if provider_id not in self._shown:
            self._read_recent()
        return self._shown.pop(provider_id, None)

    def linked(self, record_id: str) -> Snapshot | None:
        """Return a prediction with the record's webhook, if the pages read so far have one."""
        if record_id not in self._linked:
            self._read_recent()
        return next(iter(self._linked.get(record_id, {}).values()), None)

    def around(self, record_id: str) -> list[Snapshot]:
        """Return the predictions with the record's webhook from the time of its own creation.

        For a record that a complete reading did not reach. It finds predictions, but proves no
        absence.
        """
        at, now = self._unknown[record_id], self._clock()
        if record_id not in self._linked and at > now - AROUND_MS and self._around:
            self._around -= 1
            self._least_ms = 0
            with suppress(ProviderUnavailableError):
                for page in self._pages(at - POLL_SKEW_MS, at + POLL_SKEW_MS, Reading(now)):
                    self._take(page)
        return list(self._linked.get(record_id, {}).values())

    def of_unknown(self) -> Reading:
        """Return everything created since the oldest create of unknown outcome.

        Raises ProviderUnavailableError if the list cannot be read at all.
        """
        if self._failed:
            raise self._failed
        if self._reading is None:
            since = min(self._unknown.values()) - evidence.CLOCK_SKEW_MS
            reading = Reading(self._clock())
            # Nothing else follows it, so most of the time belongs to it.
            self._least_ms = self._patience.spare_ms() // 4
            try:
                for page in self._pages(since, reading.begun_at + evidence.CLOCK_SKEW_MS, reading):
                    self._take(page)
                    self._note(page, reading)
            except ProviderUnavailableError as failed:
                self._failed = failed
                raise
            self._reading = reading
        return self._reading

    def _note(self, page: ProviderPage, reading: Reading) -> None:
        reading.readable = reading.readable and page.complete
        for snapshot in page.snapshots:
            named = evidence.named_record(snapshot.webhook)
            if named in self._unknown:
                reading.linked[named].append(snapshot)
            elif named is None and len(reading.others) < MOST_OTHERS:
                reading.others.append(replace(snapshot, logs="", output=None, metrics=None))
            elif named is None:
                reading.readable = False

    def _pages(self, after: int, before: int, reading: Reading) -> Iterator[ProviderPage]:
        """Yield the pages of a period, newest first; a period whose page is too large is halved.

        Raises ProviderUnavailableError if the first page cannot be read; the reading ends at a
        later failure.
        """
        cursor = None
        oldest = before
        while True:
            try:
                page = self._page(after, before, cursor)
            except PageTooLargeError:
                yield from self._halves(after, oldest, reading)
                return
            except ProviderUnavailableError:
                if not reading.pages:
                    raise
                reading.since = max(reading.since, oldest)
                return
            reading.pages += 1
            yield page
            times = [s.created_at for s in page.snapshots if s.created_at is not None]
            reached = min(times, default=oldest)
            if page.next is None and (page.complete or not after < reached < oldest):
                return
            # An incomplete page does not tell where the next one begins.
            cursor, before = page.next, before if page.next else reached
            oldest = min(oldest, reached)

    def _halves(self, after: int, before: int, reading: Reading) -> Iterator[ProviderPage]:
        if before - after <= SHORTEST_WINDOW_MS:
            reading.readable = False
            return
        middle = (after + before) // 2
        yield from self._pages(middle, before, reading)
        yield from self._pages(after, middle, reading)

    def _page(self, after: int, before: int, cursor: str | None) -> ProviderPage:
        if self._patience.spare_ms() < self._least_ms:
            raise ProviderUnavailableError("no time for another page")
        page = self._patience.ask(lambda: self._provider.page(after, before, cursor))
        self.unreadable += not page.complete
        return page

    def _take(self, page: ProviderPage) -> float:
        """Keep the wanted predictions. Returns the number of polls that the page answers.

        Finding a create of unknown outcome is worth a page, because it cannot be polled.
        """
        taken: float = 0
        for snapshot in page.snapshots:
            values = strict_json.weight([snapshot.output, snapshot.metrics])
            size = len(snapshot.logs) + values
            named = evidence.named_record(snapshot.webhook)
            if self._kept + size >= MOST_KEPT:
                continue
            if snapshot.provider_id in self._polled:
                self._shown[snapshot.provider_id] = snapshot
                at = self._polled[snapshot.provider_id]
                self._latest_ms = max(self._latest_ms, (snapshot.created_at or at) - at)
            elif named in self._unknown:
                self._linked[named][snapshot.provider_id] = snapshot
            else:
                continue
            self._kept += size
            taken += 1 if snapshot.provider_id in self._polled else WORTH
        return taken

    def _open(self) -> dict[str, int]:
        """Return the wanted predictions that were not found yet, with their creation times."""
        seen = self._shown.keys() | self._linked.keys()
        return {id_: at for id_, at in self._wanted.items() if id_ not in seen}

    def _read_recent(self) -> None:
        """Read the list for all wanted predictions, once, if that is worth it."""
        if self._recent_read:
            return
        self._recent_read = True
        self._least_ms = self._patience.spare_ms() // 2
        # Predictions missing from the list are polled one by one.
        with suppress(ProviderUnavailableError):
            self._read_wanted()

    def _read_wanted(self) -> None:
        """Read backwards from the newest wanted prediction, as long as pages are worth their
        calls."""
        open_ = self._open()
        newest = max(open_.values())
        after = min(open_.values()) - evidence.CLOCK_SKEW_MS
        window = _Window(after, newest + POLL_SKEW_MS)
        credit: float = CREDIT
        while len(open_) >= LIST_FROM and credit > 0:
            try:
                page = self._page(*window.asked)
            except PageTooLargeError:
                if not window.halve():
                    return
                continue
            taken = self._take(page)
            open_ = self._open()
            times = [s.created_at for s in page.snapshots if s.created_at is not None]
            if not (times or self._shown or self._linked) and window.skew == POLL_SKEW_MS:
                # Nothing found yet; the provider's clock may be ahead of ours.
                window = _Window(after, newest + evidence.CLOCK_SKEW_MS, evidence.CLOCK_SKEW_MS)
                continue
            reached = window.read(page.next, times)
            if reached <= newest:
                # Pages above the newest wanted prediction cannot contain any.
                credit = min(CREDIT, credit + taken - WORTH)
            older = [at for at in open_.values() if at < reached]
            if not older or not window.more:
                return
            above = max(older) + self._skew(window)
            if taken < WORTH and above < reached:
                # No wanted prediction for a while, so reading continues at the next one.
                window.jump(above)

    def _skew(self, window: _Window) -> int:
        """Return by how much the provider's times are later than ours, as observed if enough were
        seen."""
        seen = self._latest_ms + LATER_STILL_MS if len(self._shown) >= LIST_FROM else window.skew
        return min(seen, window.skew)


@dataclass(slots=True)
class _Window:
    """The period that is read, newest first: from `after` to `before`, or a part of it if a page
    would be too large."""

    after: int
    before: int
    skew: int = POLL_SKEW_MS
    more: bool = True
    """Whether an unread part may be left."""
    _span: int = 0
    _cursor: str | None = None
    _top: int = 0
    """Everything above it was read."""

    def __post_init__(self) -> None:
        self._span, self._top = self.before - self.after, self.before

    @property
    def asked(self) -> tuple[int, int, str | None]:
        """The arguments of the next page request."""
        return max(self.after, self.before - self._span), self.before, self._cursor

    def read(self, following: str | None, times: list[int]) -> int:
        """Record a page. Returns the time down to which everything is known."""
        begin = self.asked[0]
        self._cursor = following
        self._top = min([self._top, *times]) if following else begin
        if following is None:
            self.before, self.more = begin, begin > self.after
        return self._top

    def halve(self) -> bool:
        """Request half of the period, from the end of the last page. Returns False if it is too
        short."""
        begin = self.asked[0]
        # The next page may have predictions of the same millisecond.
        self.before, self._cursor = min(self.before, self._top + 1), None
        self._span = (self.before - begin) // 2
        return self._span >= SHORTEST_WINDOW_MS

    def jump(self, before: int) -> None:
        """Continue from this time."""
        self.before, self._top, self._cursor = before, before, None
