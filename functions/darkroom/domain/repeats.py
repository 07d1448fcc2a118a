"""Silent repetitions: a POST that is sent again, without a key that identifies its request.

A client's library repeats a POST if it got no answer, or a 429 or 5xx, and sends only its number of
attempts in a header (`x-stainless-retry-count`: 0 the first time). A tenant's equal requests with
this header share one row, `REPEAT#…`, written in the transaction that inserts the prediction. The
rules, within two minutes:

- A first attempt is a separate request, however equal: it makes a prediction and enters it.
- A repetition with the count n is answered with the latest prediction of the row that last
  answered a count below n, and stores n there. So if several equal requests lose their answers,
  each of them gets a prediction that one of them made, and no two get the same.
- For a first attempt that we rejected (402, 429, 503) there is no prediction, and the row counts
  it: as many repetitions make their own. If a repetition could belong to a rejected or to an
  answered request, it counts for the rejected one, since rejections are repeated and lost answers
  are rare.
- A repetition that finds nothing makes the prediction. Its first attempt may still be in
  progress: if it was received before but is written after, it is answered with that prediction.

The following cannot be known, and is decided so that no more is made than was requested:

- Which of several equal requests lost its answer: the repetition gets the latest, which may be
  the one that another client has received.
- Whether a repetition's first attempt reached us at all. If not (the gateway rejected it, or we
  crashed before its record was written), and an equal request has made a prediction, it gets
  that.
- Whether a rejected client will retry. If it gave up, the next repetition of an equal request
  makes a prediction instead, but never more than there were first attempts.

A key with a dedupe window goes further: any equal request within the window is answered with the
latest prediction of the row, whatever its count.
"""

from __future__ import annotations

from darkroom.domain.values import immutable

WINDOW_S = 120
"""Maximum seconds between a first attempt and its repetition."""
REFUSED_S = 300
"""Maximum seconds until a rejected client retries: twice, a minute after each rejection."""
KEPT = 4
"""Number of predictions kept in a row, the latest ones."""
KEPT_S = 2 * 3600
"""Lifetime of a row after its last change; longer than any window."""


@immutable
class Made:
    """A prediction that one of the equal requests made."""

    prediction: str
    at: int
    """Its `created_at`."""
    count: int = 0
    """The retry count of the last request that it answered."""
    early: bool = False
    """It was made by a repetition that found nothing."""


@immutable
class Repeats:
    """Content of a row."""

    made: tuple[Made, ...] = ()
    """The latest first."""
    refused: int = 0
    """First attempts that we rejected and that have not been repeated."""
    refused_at: int = 0
    """Time of the last rejection."""

    def latest(self, since: int) -> Made | None:
        """Return the latest prediction, unless it is older than `since`."""
        return self.made[0] if self.made and self.made[0].at >= since else None

    def answer_to(self, count: int, now: int) -> Made | None:
        """Return the prediction that answers a repetition; None if it is to make its own."""
        since = now - WINDOW_S * 1000
        fresh = [made for made in self.made if made.at >= since]
        return next((made for made in fresh if made.count < count), self.latest(since))

    def awaits_refused(self, now: int) -> bool:
        """Whether a rejected first attempt may still be repeated."""
        return self.refused > 0 and self.refused_at >= now - REFUSED_S * 1000


@immutable
class RepeatEntry:
    """Entry of a new prediction in its row, and its condition."""

    row: str
    made: Made
    expires_at: int
    """In seconds."""
    received_at: int | None = None
    """For a first attempt: fails if a repetition has made a prediction early since then."""
    seen: Made | None = None
    """For all others: fails if the row's latest prediction is not this one."""
    redeems: bool = False
    """Replaces a rejected first attempt: fails if none is left."""
