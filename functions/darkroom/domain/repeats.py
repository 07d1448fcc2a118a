"""Silent repetitions: a POST that comes again, with no key that says which request it is.

A client's library repeats a POST when no answer reached it, or a 429 or 5xx did, and says in a
header only how often it has tried (`x-stainless-retry-count`: 0 the first time). A tenant's equal
requests that carry the header share one row, `REPEAT#…`, written in the transaction that inserts
the prediction. What follows from it, within two minutes:

- A first try is a request of its own, however equal: it makes a prediction and enters it.
- A repetition with the count n is answered with the latest prediction of the row that was last the
  answer to a count below n, and leaves n there. So where several equal requests lose their answers,
  each of them gets a prediction that one of them made, and none gets another one's.
- Of a first try that we refused (402, 429, 503) there is no prediction, and the row counts it: as
  many repetitions make one of their own. Where both a refused request and an answered one could be
  meant, it is the refused one: refusals are repeated, lost answers are rare.
- A repetition that finds nothing makes the prediction. Its first try may still be on its way: if it
  was received before and comes to be written after, it is answered with that prediction.

What cannot be known, and is decided so that no more is made than was asked for:

- Which of several equal requests lost its answer: the repetition gets the latest, which may be the
  one that another client has received.
- Whether a repetition's first try reached us at all. If not (the gateway refused it, or we died
  before its record was written), and an equal request has made a prediction, it gets that one.
- Whether a client that was refused still comes again. If it gave up, the next repetition of an
  equal request makes a prediction in its place: never more than there were first tries.

A key with a dedupe window asks for more: any equal request within the window is answered with the
latest prediction of the row, whatever its count.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_S = 120
"""A repetition comes within so many seconds of its first try."""
REFUSED_S = 300
"""A client that was refused comes again within so many: twice, a minute after each refusal."""
KEPT = 4
"""The latest predictions that a row holds."""
KEPT_S = 2 * 3600
"""How long a row is kept after its last change: longer than any window that asks for it."""


@dataclass(frozen=True, slots=True)
class Made:
    """A prediction that one of the equal requests made."""

    prediction: str
    at: int
    """Its `created_at`."""
    count: int = 0
    """The retry count of the last request that it was the answer to."""
    early: bool = False
    """A repetition that found nothing made it."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """What a row says."""

    made: tuple[Made, ...] = ()
    """The latest first."""
    refused: int = 0
    """First tries that we refused and that have not come again."""
    refused_at: int = 0
    """The last refusal."""

    def latest(self, since: int) -> Made | None:
        """The latest prediction, unless it is older."""
        return self.made[0] if self.made and self.made[0].at >= since else None

    def answer_to(self, count: int, now: int) -> Made | None:
        """What a repetition is answered with, unless it is to make a prediction of its own."""
        since = now - WINDOW_S * 1000
        fresh = [made for made in self.made if made.at >= since]
        return next((made for made in fresh if made.count < count), self.latest(since))

    def awaits_refused(self, now: int) -> bool:
        """Whether a refused first try has yet to come again, and has not given up."""
        return self.refused > 0 and self.refused_at >= now - REFUSED_S * 1000


@dataclass(frozen=True, slots=True)
class RepeatEntry:
    """How a new prediction is entered in its row, and on what condition."""

    row: str
    made: Made
    expires_at: int
    """In seconds."""
    received_at: int | None = None
    """Of a first try: refused if a repetition has made a prediction early since then."""
    seen: Made | None = None
    """Of all others: refused if the row's latest is another one than was seen."""
    redeems: bool = False
    """Takes the place of a first try that was refused: refused if none is left."""
