"""The embedded AWS: ministack with a limit on each function's workers.

Unmodified, it starts a process for every concurrent invocation. A burst then starts dozens at once,
which starve, time out and are started again. Here each function has a few workers, and further
invocations wait; their timeout counts from the real start.
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
"""Maximum of workers per function."""
PATIENCE_S = 1.0
"""Minimum wait before another worker is started; the duration of the last start if that is
longer."""


def bound_workers(turns: Turns, *, starts: int) -> None:
    """Let invocations wait for their turn, and at most `starts` workers start at a time."""
    execute: Callable[..., dict[str, Any]] = lambda_svc._execute_function  # noqa: SLF001
    batches: Callable[..., int] = lambda_svc._sqs_esm_concurrency  # noqa: SLF001
    foreign: Callable[[Any], bool] = lambda_svc._function_config_scope_mismatch  # noqa: SLF001
    key: Callable[[Any], str] = lambda_svc._inflight_key  # noqa: SLF001
    starting = threading.BoundedSemaphore(starts)

    def in_turn(func: dict[str, Any], event: Any) -> dict[str, Any]:
        config = func.get("config") or func
        if foreign(config):  # it returns here in the scope of its function
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
        # Messages that stay in the queue keep their visibility and make fuller batches.
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
    """Reset stream positions after a restart with kept state, because the streams themselves start
    empty."""
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
