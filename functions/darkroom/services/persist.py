"""Copy a prediction's outputs into our bucket: only then has it succeeded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from typing import TYPE_CHECKING

from darkroom.domain import media
from darkroom.domain.errors import DownloadFailed
from darkroom.domain.lifecycle import Stored, StoreDelayed, StoreFailed
from darkroom.domain.prediction import Code, File, State
from darkroom.domain.snapshot import file_urls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.domain.prediction import Prediction
    from darkroom.ports import Download, Fetcher, OutputStore
    from darkroom.services.changes import Changes
    from darkroom.services.run_times import RunTimes

HEAD = 64 * 1024
"""Bytes that are looked at to tell what a file is and how large a picture."""
TAIL = 4096


@dataclass(frozen=True, slots=True)
class Persist:
    """The persist use case. Safe to repeat, and to run twice at once: objects are written once."""

    changes: Changes
    fetcher: Fetcher
    outputs: OutputStore
    run_times: RunTimes | None = None
    """Where given, how long the model ran is noted."""
    at_once: int = 1
    """Files of one prediction that are copied at a time, each by a thread."""

    def __call__(self, id_: str) -> Prediction | None:
        """Copy every output, then mark the record succeeded.

        A copy that fails is written down with the time of the next try, or for good; only our own
        outages raise, and the queue repeats the message.
        """
        record = self.changes.store.get(id_)
        if record is None or record.state is not State.STORING:
            return record
        try:
            files = self._copy_all(record, file_urls(record.output))
        except DownloadFailed as failed:
            reason = str(failed)
            code = failed.code
            news = StoreFailed(Code(code), reason) if code else StoreDelayed(reason)
            return self.changes.apply(record, news).record
        stored = self.changes.apply(record, Stored(files))
        if self.run_times and stored.changed:
            self.run_times.note(stored.record)
        return stored.record

    def _copy_all(self, record: Prediction, urls: list[str]) -> tuple[File, ...]:
        """All files, several at once. None is being copied any more when this returns or raises."""
        if len(urls) < 2 or self.at_once == 1:
            return tuple(self._copy(record, number, url) for number, url in enumerate(urls))
        with ThreadPoolExecutor(self.at_once) as pool:
            return tuple(pool.map(self._copy, repeat(record), range(len(urls)), urls))

    def _copy(self, record: Prediction, number: int, url: str) -> File:
        with self.fetcher.open(url) as download:
            chunks = download.chunks()
            head = _read(chunks, HEAD)
            kind = media.sniff(head)
            if kind is None:
                raise DownloadFailed("the output is not an image or video of a known type")
            key = object_key(record, number, kind.extension)
            whole = _checked(head, chunks, kind, download)
            stored = self.outputs.write_once(key, kind.type, whole)
        width, height = media.size(head, kind) or (None, None)
        return File(key, stored.sha256, stored.bytes, kind.type, width, height)


def object_key(record: Prediction, number: int, extension: str) -> str:
    """`{tenant}/{yyyy}/{mm}/{id}/{n}.{ext}`: the same for every try, so that none writes twice."""
    created = datetime.fromtimestamp(record.created_at // 1000, UTC)
    return f"{record.tenant}/{created:%Y/%m}/{record.id}/{number}.{extension}"


def _read(chunks: Iterator[bytes], least: int) -> bytes:
    head = bytearray()
    for chunk in chunks:
        head += chunk
        if len(head) >= least:
            break
    return bytes(head)


def _checked(
    head: bytes, chunks: Iterator[bytes], kind: media.Media, download: Download
) -> Iterator[bytes]:
    """All the bytes; raises at the end if the file stops short of its own format's end."""
    length = len(head)
    tail = head[-TAIL:]
    yield head
    for chunk in chunks:
        length += len(chunk)
        tail = (tail + chunk[-TAIL:])[-TAIL:]
        yield chunk
    if download.length is not None and length != download.length:
        raise DownloadFailed("the output is shorter than announced")
    if not media.complete(kind, head, tail, length):
        raise DownloadFailed("the output is cut short")
