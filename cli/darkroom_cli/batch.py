"""A batch: each row becomes one prediction and its files, however often it is started."""

from __future__ import annotations

import csv
import io
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from darkroom_cli import files
from darkroom_cli.errors import CliError, RefusedError, UnreachableError, UsageError
from darkroom_cli.predictions import create, find, most, watch
from darkroom_cli.rows import Problem
from darkroom_cli.text import short

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from darkroom_cli.journal import Journal, Record
    from darkroom_cli.predictions import Prediction
    from darkroom_cli.rows import Row
    from darkroom_cli.service import Service

MOST_AT_ONCE = 64
PATIENCE_S = 600.0
"""Seconds for which a row waits out 429s, 5xx and silence before the batch stops."""
STOPS = frozenset({401, 402, 403, 429})
"""Refusals that the next row would meet too."""
RESULTS = "results.csv"
COLUMNS = ("row", "line", "model", "prompt", "prediction", "status", "files", "cost", "error")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Stopped(BaseException):
    """The run is ending: whoever waits, stops waiting. No `except Exception` may hold it up."""


@dataclass(frozen=True)
class Result:
    """What became of a row in this run."""

    row: Row
    prediction: str
    status: str
    """The service's, or `refused`, `unanswered`, or `open` where the run ended before."""
    files: tuple[str, ...] = ()
    cost: float | None = None
    error: str = ""


@dataclass
class Batch:
    """The rows of a file, in the state that their journal says."""

    service: Service
    journal: Journal
    rows: Sequence[Row]
    out: Path
    clock: Callable[[], float] = time.time
    stop: threading.Event = field(default_factory=threading.Event)
    _ending: CliError | None = None

    def __post_init__(self) -> None:
        self.keys = self.journal.keys(list(self.rows))
        self.service.pause = self._pause

    def fresh(self) -> int:
        """Return the number of rows of which the journal knows nothing: new, or changed."""
        return sum(key not in self.journal.rows for key in self.keys)

    def left_out(self) -> int:
        """Return the number of the journal's rows that are no longer in the file as they were."""
        return len(self.journal.rows.keys() - set(self.keys))

    def run(self, at_once: int, tell: Callable[[Result], None]) -> list[Result]:
        """Work on all rows, so many at once, and return their results in order.

        A refusal that every row would meet ends the run after the rows in progress, and is raised
        when all results are told. Raises UsageError, RefusedError, UnreachableError or Stopped.
        """
        files.tidy(files.folder(self.out))
        todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(self.rows)):
            todo.put(number)
        done: queue.SimpleQueue[tuple[int, Result | BaseException]] = queue.SimpleQueue()
        count = max(1, min(at_once, MOST_AT_ONCE, len(self.rows)))
        workers = [
            threading.Thread(target=self._work, args=(todo, done), daemon=True)
            for _ in range(count)
        ]
        for worker in workers:
            worker.start()
        results: dict[int, Result] = {}
        try:
            while len(results) < len(self.rows):
                number, result = done.get()
                if isinstance(result, BaseException):
                    raise result
                results[number] = result
                tell(result)
        finally:
            # What is in progress is left: the journal has what is needed to find it again.
            self.stop.set()
        ordered = [results[number] for number in sorted(results)]
        self._write_table(ordered)
        if self._ending:
            raise self._ending
        return ordered

    def _work(
        self,
        todo: queue.SimpleQueue[int],
        done: queue.SimpleQueue[tuple[int, Result | BaseException]],
    ) -> None:
        while not self.stop.is_set():
            try:
                number = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((number, self._result(self.rows[number], self.keys[number])))
            except BaseException as error:  # noqa: BLE001 - the main thread raises it
                done.put((number, error))
                return

    def _result(self, row: Row, key: str) -> Result:
        record = self.journal.record(key)
        try:
            return self._made(row, key, record)
        except UsageError:
            raise
        except RefusedError as error:
            if error.status in STOPS:
                self._ending = self._ending or error
                return Result(row, record.prediction, "open", error=str(error))
            return Result(row, record.prediction, "refused", error=str(error))
        except UnreachableError as error:
            self._ending = self._ending or error
            return Result(row, record.prediction, "open", error=str(error))

    def _made(self, row: Row, key: str, record: Record) -> Result:
        if record.status and all(
            files.is_whole(self.out / name, sha256) for name, sha256 in record.files
        ):
            return _result_of(row, record)
        if isinstance(self._ending, UnreachableError) or (self._ending and not record.prediction):
            return Result(row, record.prediction, "open")
        if record.prediction:
            shown = find(self.service, record.prediction)
        elif record.sent_at is not None and not record.repeatable(self.clock()):
            return Result(row, "", "unanswered", error=UNANSWERED)
        else:
            shown = self._create(row, key, record)
        shown = watch(self.service, shown, lambda _: None, long_polls=False)
        try:
            saved = self._save(row, shown)
        except UnreachableError as error:
            # Another row's files may well arrive.
            return Result(row, record.prediction, "open", error=str(error))
        self.journal.write(
            key, "end", status=shown.status, files=saved, cost=shown.cost, error=shown.error
        )
        return _result_of(row, record)

    def _save(self, row: Row, shown: Prediction) -> list[tuple[str, str]]:
        if shown.status != "succeeded":
            return []
        return files.save(self.service, shown, self.out, f"{row.number:04d}-{shown.id[:8]}")

    def _create(self, row: Row, key: str, record: Record) -> Prediction:
        """Create the row's prediction, or find it, and enter it in the journal."""
        first = record.sent_at is None
        if first:
            given = row.input(lambda one: files.upload(self.service, one.path, one.sha256))
            self.journal.write(key, "send", version=row.version, input=given)
        try:
            made = create(self.service, record.version, record.input, key)
        except RefusedError as error:
            # Otherwise an earlier try may have created it, and only the same request finds it.
            if first and error.certain:
                self.journal.write(key, "refused", status=error.status, error=str(error))
            raise
        self.journal.write(key, "made", prediction=made.id)
        return made

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Stopped

    def _write_table(self, results: list[Result]) -> None:
        table = io.StringIO(newline="")
        written = csv.writer(table)
        written.writerow(COLUMNS)
        for one in results:
            cost = "" if one.cost is None else one.cost
            cells = (one.row.version, one.row.given.get("prompt", ""), one.prediction, one.status)
            written.writerow(
                (
                    *(one.row.number, one.row.line, *map(_cell, cells)),
                    *(" ".join(one.files), cost, _cell(one.error)),
                )
            )
        path, draft = self.out / RESULTS, self.out / f"{files.DRAFT}{RESULTS}"
        try:
            draft.write_text(table.getvalue(), encoding="utf-8", newline="")
            draft.replace(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from None


UNANSWERED = (
    "A create was sent and not answered, too long ago to be repeated safely. Look for it with "
    "`darkroom list`; to make the row anew, use another --out."
)


def price(service: Service, rows: Sequence[Row], tell: Callable[[int], None]) -> Quote:
    """Ask the service what the rows cost at most, one after the other. Creates and uploads nothing.

    A row with a file is priced with a stand-in picture, so that of a model that bills by the size
    of its input is not exact. Raises UnreachableError, or RefusedError for what stops a batch.
    """
    quote = Quote()
    for number, row in enumerate(rows, 1):
        try:
            amount = most(service, row.version, row.input(lambda _: STAND_IN))
        except RefusedError as error:
            if error.status in STOPS:
                raise
            quote.refused.append(Problem(row.number, row.line, "", str(error)))
        else:
            quote.unknown += amount is None
            quote.dollars += amount or 0.0
        tell(number)
    return quote


STAND_IN = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwAD"
    "BwIAMCbHYQAAAABJRU5ErkJggg=="
)
"""A picture of one pixel."""


@dataclass
class Quote:
    """What a batch costs at most."""

    dollars: float = 0.0
    unknown: int = 0
    """Rows of models without a known price."""
    refused: list[Problem] = field(default_factory=list)


def _result_of(row: Row, record: Record) -> Result:
    names = tuple(name for name, _ in record.files)
    return Result(row, record.prediction, record.status, names, record.cost, record.error)


def _cell(value: object) -> str:
    """Return a text that a spreadsheet takes for no formula."""
    text = short(value, 2000)
    return f"'{text}" if text.startswith(_FORMULA) else text
