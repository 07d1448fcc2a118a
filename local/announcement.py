"""local.json of a running embedded cloud, and the names that keep two clouds of a checkout
apart."""

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
    """Port and files of one running cloud."""

    port: int
    state: Path
    """The folder of its logs, certificates and kept data."""
    announcement: Path
    """The file with its URLs and keys, while it runs."""
    beside: bool
    """True if another cloud of the checkout has the names without a port."""


@contextlib.contextmanager
def claimed(port: int) -> Iterator[Place]:
    """Claim the names of the checkout's first cloud or, if taken, names with this port.

    Files of a killed cloud are reused. A file lock decides who is first, because the system
    releases it however a process ends.
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
    """Write the file atomically, and delete it at the end if it is still the same."""
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
