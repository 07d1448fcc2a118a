"""The embedded AWS: ministack, whose functions have a bound on their workers.

By itself it starts a process for every invocation that comes while others run. A burst then starts
dozens at once, which starve, run out of their time and are started again. Here a function has a
few, and what comes beyond them waits: its time-out counts from when it really starts.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from ministack import app
from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = 4
"""At most so many of one function."""
PATIENCE_S = 1.0
"""Or what the last start of a worker took: no other is started for a shorter wait."""


def bound_workers(turns: Turns, *, starts: int) -> None:
    """Let invocations wait for their turn, and at most `starts` workers start at a time."""
    execute: Callable[..., dict[str, Any]] = lambda_svc._execute_function  # noqa: SLF001
    batches: Callable[..., int] = lambda_svc._sqs_esm_concurrency  # noqa: SLF001
    foreign: Callable[[Any], bool] = lambda_svc._function_config_scope_mismatch  # noqa: SLF001
    key: Callable[[Any], str] = lambda_svc._inflight_key  # noqa: SLF001
    starting = threading.BoundedSemaphore(starts)

    def in_turn(func: dict[str, Any], event: Any) -> dict[str, Any]:
        config = func.get("config") or func
        if foreign(config):  # it comes back, in the scope of its function
            return execute(func, event)
        with turns.turn(key(config), lambda: start_another(func, config)):
            return execute(func, event)

    def start_another(func: dict[str, Any], config: dict[str, Any]) -> None:
        worker, _ = lambda_runtime.acquire_worker(
            config["FunctionName"],
            config,
            func["code_zip"],
            qualifier=config.get("Version", "$LATEST"),
        )
        try:
            lambda_runtime.ensure_spawned(worker)
        finally:
            lambda_runtime.release_worker(worker)

    def batches_in_turn(esm: Any, func: Any, config: Any, queue: Any = None) -> int:
        # What waits in the queue keeps its visibility and makes fuller batches.
        return min(batches(esm, func, config, queue), turns.room(key(config)))

    class Worker(lambda_runtime.Worker):  # type: ignore[misc]  # ministack has no types
        def _spawn(self) -> None:
            with starting:
                began = time.monotonic()
                super()._spawn()
                turns.patience_s = max(PATIENCE_S, time.monotonic() - began)

    lambda_svc._execute_function = in_turn  # noqa: SLF001
    lambda_svc._sqs_esm_concurrency = batches_in_turn  # noqa: SLF001
    lambda_runtime.Worker = Worker


def read_streams_from_their_beginning() -> None:
    """After a restart with kept state: the positions come back, the streams begin anew."""
    restore: Callable[[Any], None] = lambda_svc._restore_state  # noqa: SLF001

    def restored(data: Any) -> None:
        restore(data)
        positions = lambda_svc._dynamodb_stream_positions._data  # noqa: SLF001
        positions.update(dict.fromkeys(positions, 0))

    lambda_svc._restore_state = restored  # noqa: SLF001


if __name__ == "__main__":
    bound_workers(Turns(most=WORKERS, patience_s=PATIENCE_S), starts=os.cpu_count() or 1)
    read_streams_from_their_beginning()
    app.main()
