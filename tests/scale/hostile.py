"""Single requests that are designed to take long: the processor time of an upload's head, of a
check."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from darkroom.api.multipart import read_form
from darkroom.domain.checker import validate_input
from darkroom.domain.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

ENOUGH_S = 2.0
"""Work that takes longer is stopped."""
BYTES = 200_000
HEADS = {
    "semicolons in an open quote": b'="' + b";" * BYTES,
    "semicolons in quotes": b'=x; a="' + b";" * BYTES + b'"',
    "open quotes": b';a="' * (BYTES // 4),
    "escaped quotes": b';a="' + b'\\";a= ' * (BYTES // 6),
    "names without values": b";a=" * (BYTES // 3),
    "blanks": b"; " * (BYTES // 2),
    "folds": b"\r\n " * (BYTES // 3),
}
"""The text after `Content-Disposition: form-data`."""
BRANCHES, VALUES = 2_000, 60_000


class _Enough(BaseException):
    """It took too long."""


def run() -> dict[str, Any]:
    """Return the maximum of each kind."""
    return {
        "predictions": 0,
        "upload_s": max(_seconds(lambda head=head: _upload(head)) for head in HEADS.values()),
        "schema_s": _seconds(_check),
    }


def _upload(head: bytes) -> None:
    form = b"--b\r\nContent-Disposition: form-data; name" + head + b"\r\n\r\nx\r\n--b--\r\n"
    with suppress(BadRequestError):
        read_form("multipart/form-data; boundary=b", form)


def _check() -> None:
    branch = {"type": "array", "items": {"type": "integer"}}
    schema = {"properties": {"x": {"anyOf": [branch] * BRANCHES}}}
    # Each branch fails only at the last value.
    validate_input(schema, {"x": [*range(VALUES), "a"]})


def _seconds(work: Callable[[], None]) -> float:
    """Return its processor time, up to a limit."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Enough

    before = signal.signal(signal.SIGPROF, stop)
    began = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, ENOUGH_S)
    try:
        with suppress(_Enough):
            work()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return round(time.process_time() - began, 3)
