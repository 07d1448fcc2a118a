"""Copies a prediction's outputs into our bucket, which is the condition of its success."""

from __future__ import annotations

import codecs
import hashlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING

from darkroom.domain import media
from darkroom.domain.errors import TransferFailedError
from darkroom.domain.lifecycle import MAX_OUTPUTS, Stored, StoreDelayed, StoreFailed
from darkroom.domain.outputs import file_texts
from darkroom.domain.prediction import Code, File, State
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from darkroom.domain.media import Media
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import Download, Fetcher, OutputStore
    from darkroom.services.models.run_times import RunTimes
    from darkroom.services.predictions.changes import Changes

_REFUSED = Code.OUTPUT_REFUSED
HEAD = 64 * 1024
"""Bytes that are read to determine a file's type."""
RESERVE_MS = 10_000
"""Part of an invocation's time that is reserved to send the last bytes and to write the record."""
FIRST_MS = 10_000
"""A run that begins this soon after the record became ready is its first. All others come later:
after the queue's visibility timeout, the sweep's grace period, or the delay after a failure."""


def _unlimited() -> int:
    return 1 << 60


@immutable
class Persist:
    """The persist use case. Safe to repeat and to run concurrently, because objects are written
    once."""

    changes: Changes
    fetcher: Fetcher
    outputs: OutputStore
    run_times: RunTimes | None = None
    """If given, the duration of the model's run is recorded."""
    at_once: int = 1
    """Files of one prediction that are copied concurrently, each by a thread."""

    def __call__(self, id_: str, remaining_ms: Callable[[], int] = _unlimited) -> Prediction | None:
        """Copy the outputs that are not in the bucket yet. With all of them the record succeeds.

        A run ends itself in time. Files that it could not copy are recorded with the time of the
        next attempt, or as failed permanently. Only our own outages raise, and the queue repeats
        the message.
        """
        record = self.changes.store.get(id_)
        if record is None or record.state is not State.STORING:
            return record
        run = _Run(self, record, remaining_ms)
        run.copy_all(self.at_once)
        applied = self.changes.apply(record, run.news())
        if self.run_times and applied.changed and applied.record.state is State.SUCCEEDED:
            self.run_times.note(applied.record)
        return applied.record


class _Run:
    """One run for one record: its stored files, and those still missing."""

    def __init__(
        self, persist: Persist, record: Prediction, remaining_ms: Callable[[], int]
    ) -> None:
        self._fetcher, self._outputs = persist.fetcher, persist.outputs
        self._record, self._remaining_ms = record, remaining_ms
        self._least_ms = int(persist.changes.timings.output_budget_s * 1000) + RESERVE_MS
        named = file_texts(record.output, record.places)
        # The host decides about a string that may name a file; on other hosts it is just text.
        self._texts = [text for text in named if text.declared or self._fetcher.serves(text.url)]
        self._urls = [text.url for text in self._texts]
        self._files = {_number(file.key): file for file in record.files}
        self._found: dict[int, str] = {}
        """Keys of files in the bucket that the record does not list, because their run ended before
        its write."""
        self._failed: list[TransferFailedError] = []
        self._failed += self._unfit()
        missing = [n for n in range(len(self._urls)) if n not in self._files]
        self._missing = deque(() if self._failed else missing)
        if self._missing and not _is_first(record, persist.changes.clock()):
            self._look()
            # Another run may be in progress, so this one begins at the other end.
            self._missing.reverse()
        # Files that failed before come after those that have not been tried since.
        self._missing.rotate(-record.store_attempts * persist.at_once)

    def copy_all(self, at_once: int) -> None:
        """Copy until nothing is missing or time is short. Afterwards no thread is left."""
        lanes = min(at_once, len(self._missing))
        if lanes < 2:
            self._lane()
            return
        with ThreadPoolExecutor(lanes) as pool:
            # Raises the errors of the lanes.
            deque(pool.map(lambda _: self._lane(), range(lanes)), maxlen=0)

    def news(self) -> Stored | StoreDelayed | StoreFailed:
        """Return the result of the run."""
        for failed in self._failed:
            if failed.code:
                return StoreFailed(Code(failed.code), str(failed))
        files = tuple(file for _, file in sorted(self._files.items()))
        if len(files) == len(self._urls):
            return Stored(files, tuple(self._texts))
        reason = str(self._failed[0]) if self._failed else "there was no time for all files"
        return StoreDelayed(reason, files)

    def _unfit(self) -> list[TransferFailedError]:
        """Return the problems of the output as a whole."""
        if self._record.makes_files and not self._urls:
            return [TransferFailedError("the output is on a host that is not allowed", _REFUSED)]
        if len(self._urls) > MAX_OUTPUTS:
            return [TransferFailedError("The output is larger than is stored.", _REFUSED)]
        return []

    def _lane(self) -> None:
        """Copy one file after another. The first is started however little time is left."""
        number = self._next()
        while number is not None:
            try:
                self._files[number] = self._copy(number)
            except TransferFailedError as failed:
                self._failed.append(failed)
                if failed.code:
                    self._missing.clear()
            except BaseException:
                self._missing.clear()
                raise
            number = self._next() if self._remaining_ms() >= self._least_ms else None

    def _next(self) -> int | None:
        try:
            return self._missing.popleft()
        except IndexError:
            return None

    def _copy(self, number: int) -> File:
        key = self._found.get(number)
        return self._described(key) if key else self._downloaded(number)

    def _look(self) -> None:
        """Find files that earlier or concurrent runs have stored but not recorded."""
        folder = self._record.folder
        for key in self._outputs.keys(folder):
            name, _, extension = key.removeprefix(folder).partition(".")
            ours = extension in media.BY_EXTENSION and name in map(str, range(len(self._urls)))
            if ours and int(name) not in self._files:
                self._found[int(name)] = key

    def _downloaded(self, number: int) -> File:
        url = self._urls[number]
        with self._fetcher.open(url) as download:
            chunks = download.chunks()
            head = _read(chunks, HEAD)
            kind = _kind(head, url, download)
            seen = _Seen(kind, to_the_end=download.length is None)
            key = object_key(self._record, number, kind.extension)
            whole = seen.checked(chain([head], chunks), download.length)
            stored = self._outputs.write_once(key, kind.type, whole)
        if stored.earlier:
            self._look()
        return _file(key, stored.sha256, stored.bytes, seen)

    def _described(self, key: str) -> File:
        """Describe an object in the bucket. It is complete, because objects are written
        atomically."""
        seen = _Seen(media.BY_EXTENSION[key.rpartition(".")[2]])
        whole = hashlib.sha256()
        for chunk in seen.noted(self._outputs.get(key)):
            whole.update(chunk)
        return _file(key, whole.hexdigest(), seen.length, seen)


def _is_first(record: Prediction, now: int) -> bool:
    """Whether nothing can be in the bucket yet, unless two runs have begun together."""
    tried = record.store_attempts or record.files
    return not tried and now - record.next_store_at < FIRST_MS


def object_key(record: Prediction, number: int, extension: str) -> str:
    """Return `{tenant}/{yyyy}/{mm}/{id}/{n}.{ext}`, the same for every attempt, so that none writes
    twice."""
    return f"{record.folder}{number}.{extension}"


def _number(key: str) -> int:
    """Return the place in the output of the file with this key."""
    return int(key.rpartition("/")[2].partition(".")[0])


def _read(chunks: Iterator[bytes], least: int) -> bytes:
    head = bytearray()
    for chunk in chunks:
        head += chunk
        if len(head) >= least:
            break
    return bytes(head)


def _kind(head: bytes, url: str, download: Download) -> Media:
    """Return the file's type. Raises TransferFailedError, with a code if a retry would get the same
    bytes."""
    kind = media.sniff(head) or media.text(head, url, download.content_type)
    if kind is not None:
        return kind
    if len(head) < HEAD and download.length not in {None, len(head)}:
        raise _not_as_announced()
    name = media.refused(head, download.content_type)
    if name is None:
        raise TransferFailedError("the output is a page or a message in the place of a file")
    raise TransferFailedError(f"the output is of a type that is not stored: {name}", _REFUSED)


def _not_as_announced() -> TransferFailedError:
    return TransferFailedError("the output is not as long as announced")


def _file(key: str, sha256: str, size: int, seen: _Seen) -> File:
    width, height = seen.size or (None, None)
    return File(key, sha256, size, seen.kind.type, width, height)


class _Seen:
    """Observes a file's bytes as they pass."""

    def __init__(self, kind: Media, *, to_the_end: bool = False) -> None:
        self.kind = kind
        self.length = 0
        self._walk = media.Walk(kind, to_the_end=to_the_end)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of a picture."""
        return self._walk.size

    def noted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the same chunks, observed."""
        for chunk in chunks:
            self.length += len(chunk)
            self._walk.feed(chunk)
            yield chunk

    def checked(self, chunks: Iterator[bytes], announced: int | None) -> Iterator[bytes]:
        """Yield the same chunks. Raises at the end if the file is incomplete.

        A declared length that is met is better evidence than a format's end mark, which some
        writers omit.
        """
        yield from _utf8(self.noted(chunks)) if self.kind in media.TEXTS else self.noted(chunks)
        if announced not in {None, self.length}:
            raise _not_as_announced()
        if announced is None and not self._walk.ended:
            raise TransferFailedError("the output is cut short")


def _utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same chunks. Raises if they are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            decoder.decode(chunk)
            yield chunk
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise TransferFailedError("the output is text, but not in UTF-8", _REFUSED) from None
