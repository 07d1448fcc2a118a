"""Where a running embedded cloud says how it is reached, so that two of one checkout never meet."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.processes import free_port, state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Place:
    """What belongs to one running cloud alone."""

    port: int
    state: Path
    """The folder of its logs, certificates and kept data."""
    announcement: Path
    """The file that says how it is reached, while it runs."""
    beside: bool
    """Another one has the names without a port."""


@contextlib.contextmanager
def claimed(port: int) -> Iterator[Place]:
    """Be the checkout's first cloud, or one beside it, under its port's name.

    What a cloud that was killed has left behind is taken over. The lock says who is the first, as
    the system gives it back however a process ends.
    """
    root = state_dir()
    root.mkdir(parents=True, exist_ok=True)
    with (root / "local.lock").open("w") as lock:
        if _taken(lock.fileno()):
            port = port or free_port()
            place = Place(port, root / f"local-{port}", root / f"local-{port}.json", beside=True)
        else:
            place = Place(port, root, root / "local.json", beside=False)
            place.announcement.unlink(missing_ok=True)
        yield place


@contextlib.contextmanager
def announced(announcement: Path, found: Mapping[str, Any]) -> Iterator[None]:
    """Write the file, whole or not at all, and take it away again if it is still this one."""
    draft = announcement.with_name(f"{announcement.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(found, file, indent=2)
    draft.replace(announcement)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            if json.loads(announcement.read_text()) == found:
                announcement.unlink()


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
