"""The journal of a batch: what was sent and what came of it, so that a killed run goes on.

JSON Lines. Each line is on the disk before the step that it allows: `send` before a create, so a
create whose answer is lost is repeated with the same key and the same body; `made` names the
prediction; `end` is its result, once its files are complete; `refused` says that nothing was
created.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from darkroom_cli.errors import UsageError
from darkroom_cli.predictions import ENDED
from darkroom_cli.text import is_id, visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from darkroom_cli.rows import Row

KEY_LIFE_S = 23 * 3600
"""Seconds for which a create is repeated: the service keeps a key for a day, and clocks differ."""
CLOCK_BACK_S = 300
"""Seconds by which a clock may have been set back, before nothing is known of a create's age."""


@dataclass
class Record:
    """What the journal says of one row."""

    sent_at: float | None = None
    """Time of the first create that may have reached the service without an answer."""
    version: str = ""
    input: dict[str, Any] = field(default_factory=dict)
    """What was sent: a repetition sends the same, since uploads have other URLs each time."""
    prediction: str = ""
    status: str = ""
    """Empty until it has ended and its files are complete."""
    files: list[tuple[str, str]] = field(default_factory=list)
    """Names and hashes."""
    cost: float | None = None
    error: str = ""

    def repeatable(self, now: float) -> bool:
        """Whether the service surely still knows the key of what was sent."""
        age = now - (self.sent_at or now)
        return -CLOCK_BACK_S <= age < KEY_LIFE_S


@dataclass
class Journal:
    """An open journal. The lock on it ends with the process, however that ends."""

    path: Path
    id: str
    rows: dict[str, Record]
    """By key."""
    begun: bool
    """Whether an earlier run has made it."""
    _handle: int
    _clock: Callable[[], float]
    _sync: Callable[[int], None]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            os.close(self._handle)
            # A thread that is still at work must not write to what gets this number next.
            self._handle = -1

    def keys(self, rows: list[Row]) -> list[str]:
        """Return each row's Idempotency-Key: made of the journal's id, the row's content, and its
        place among equal rows, so that rows may be moved in their file."""
        seen: dict[str, int] = {}
        keys = []
        for row in rows:
            seen[row.digest] = seen.get(row.digest, 0) + 1
            text = f"{self.id}\n{row.digest}\n{seen[row.digest]}"
            keys.append(f"darkroom-batch-{hashlib.sha256(text.encode()).hexdigest()}")
        return keys

    def record(self, key: str) -> Record:
        """Return what is known of a row."""
        with self._lock:
            return self.rows.setdefault(key, Record())

    def write(self, key: str, do: str, **said: Any) -> None:
        """Append a line; it is on the disk when this returns. Raises UsageError."""
        entry = {"do": do, "key": key, "at": self._clock(), **said}
        with self._lock:
            self.append(entry)
            _apply(self.rows, entry)

    def append(self, entry: dict[str, Any]) -> None:
        """Append a line, which no other thread may do meanwhile. Raises UsageError."""
        line = json.dumps(entry, ensure_ascii=True).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._handle, line) :]
            self._sync(self._handle)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None


def beside(folder: Path) -> Path:
    """Return the path of the journal of an output folder. Raises UsageError."""
    folder = folder.resolve()
    if not folder.name:
        raise UsageError(f"{folder} has no place beside it for the journal.")
    return folder.with_name(f"{folder.name}.journal.jsonl")


def opened(
    path: Path,
    *,
    url: str,
    tenant: str,
    clock: Callable[[], float] = time.time,
    sync: Callable[[int], None] = os.fsync,
) -> Journal:
    """Open the journal, or begin it. Raises UsageError if it is in use, damaged, or of another
    account, whose service would not know its keys."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}") from None
    try:
        _claim(handle, path)
        content = _content(handle)
        # A line without an end was being written when its run was killed: nothing followed from it.
        whole = content[: content.rfind(b"\n") + 1]
        lines = [_entry(line, number, path) for number, line in enumerate(whole.splitlines(), 1)]
        os.ftruncate(handle, len(whole))
        os.lseek(handle, 0, os.SEEK_END)
        header = lines[0] if lines else None
        made = Journal(path, _id(header, path, url, tenant), {}, bool(lines), handle, clock, sync)
        if header is None:
            made.append({"journal": 1, "id": made.id, "url": url, "tenant": tenant})
            _sync_folder(path.parent)
        for number, entry in enumerate(lines[1:], 2):
            try:
                _apply(made.rows, entry)
            except (KeyError, TypeError, ValueError):
                raise _damaged(path, number) from None
    except BaseException:
        os.close(handle)
        raise
    return made


def _claim(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UsageError(f"Another run is using {path}.") from None


def _content(handle: int) -> bytes:
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        return file.read()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _entry(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise _damaged(path, number)
    return entry


def _damaged(path: Path, number: int) -> UsageError:
    return UsageError(
        f"{path} is damaged in line {number}. Repair it, or begin with another --out; "
        "that makes all rows anew."
    )


def _id(header: dict[str, Any] | None, path: Path, url: str, tenant: str) -> str:
    if header is None:
        return secrets.token_hex(16)
    id_ = header.get("id")
    if header.get("journal") != 1 or not isinstance(id_, str):
        raise _damaged(path, 1)
    if (header.get("url"), header.get("tenant")) != (url, tenant):
        owner = visible(f"{header.get('tenant')} at {header.get('url')}")
        raise UsageError(f"{path} is the journal of {owner}. Another account needs another --out.")
    return id_


def _apply(rows: dict[str, Record], entry: dict[str, Any]) -> None:
    """Enter a line. Raises KeyError, TypeError or ValueError for one that no run wrote."""
    record = rows.setdefault(str(entry["key"]), Record())
    match entry["do"]:
        case "send":
            record.sent_at = record.sent_at or float(entry["at"])
            record.version, record.input = str(entry["version"]), dict(entry["input"])
            record.error = ""
        case "refused":
            record.sent_at = None
            record.error = str(entry["error"])
        case "made":
            if not is_id(entry["prediction"]):
                raise ValueError("no id")
            record.prediction = entry["prediction"]
        case "end":
            if entry["status"] not in ENDED:
                raise ValueError("no end")
            record.status = entry["status"]
            record.files = [(str(name), str(sha256)) for name, sha256 in entry["files"]]
            record.cost, record.error = entry["cost"], str(entry["error"])
        case other:
            raise ValueError(other)
