"""The product's own wiring, over the gated doubles in place of the adapters."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

from darkroom import catalog
from darkroom.adapters import (
    aws,
    controls,
    deliveries,
    download,
    http,
    predictions,
    queues,
    replicate,
    s3,
)
from darkroom.catalog import Catalogue
from darkroom.domain import link
from darkroom.handlers import relay
from darkroom.runtime import observability, settings, wiring
from darkroom.services import persist, reuse

from tests import fakes
from tests.fakes import FakeSigner
from tests.world import PUBLIC_URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.proof.cloud import Cloud
    from tests.proof.config import Config


@lru_cache
def _catalogue() -> Catalogue:
    """The product's models, and one that is billed by the megapixel."""
    folders = Path(catalog.__path__[0]), Path(__file__).parent / "models"
    files = (path for folder in folders for path in folder.glob("*--*.json"))
    return Catalogue({path.stem.replace("--", "/", 1): path for path in files}, {})


@contextmanager
def installed(cloud: Cloud) -> Iterator[None]:
    """The handlers run over this world, each run wired anew as after a cold start."""
    p = cloud.ports

    def port(name: str) -> Callable[..., Any]:
        return lambda *_args, **_named: p[name]

    def nothing(*_args: Any, **_named: Any) -> None:
        return None

    drawn = SimpleNamespace(randint=lambda low, _high: low + len(cloud.submitted))
    dice = SimpleNamespace(SystemRandom=lambda: drawn, random=lambda: 0.5)
    replaced: list[tuple[Any, str, Any]] = [
        (aws, "client", nothing),
        (aws, "OnFirstUse", nothing),
        (predictions, "DynamoPredictions", port("store")),
        (controls, "DynamoControls", port("controls")),
        (deliveries, "DynamoDeliveries", port("deliveries")),
        (s3, "S3Outputs", port("outputs")),
        (s3, "S3Uploads", port("uploads")),
        (s3, "S3Signer", lambda *_: FakeSigner()),
        (queues, "SqsQueue", lambda _client, url: p[url.removesuffix("_queue")]),
        (queues, "EventBridgeBus", port("bus")),
        (http, "Client", nothing),
        (download, "OutputFetcher", port("fetcher")),
        (download, "Callbacks", port("sender")),
        (replicate, "Replicate", port("provider")),
        (Catalogue, "load", _catalogue),
        (settings.Settings, "from_env", classmethod(_reader(cloud.config))),
        (wiring, "_secrets", port("secrets")),
        (wiring, "_tasks", port("tasks")),
        (wiring, "tell_task", wiring.tell_task.__wrapped__),
        (queues, "SqsDeadLetters", port("dead")),
        (wiring, "now", cloud.process_clock),
        (wiring, "random", dice),
        (link, "new_id", lambda *_: f"{len(cloud.submitted) - 1:026d}"),
        (observability.metrics, "add_metric", cloud.count),
        (persist, "ThreadPoolExecutor", InTurn),
        (reuse, "ThreadPoolExecutor", InTurn),
        # Equal items are one object here: what is read of one is read once.
        (relay, "read_prediction", cloud.store.read),
        (fakes, "prediction_item", cloud.store.item_of),
    ]
    replaced += [(wiring, n, getattr(wiring, n).__wrapped__) for n in cloud.handlers]
    off = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with ExitStack() as patches:
        for where, name, value in replaced:
            patches.enter_context(patch.object(where, name, value))
        yield
    logging.disable(off)


def _reader(config: Config) -> Callable[[type[Any]], Any]:
    """Reads a function's settings without an environment; what is a name is its own value."""
    ours = {
        "public_url": PUBLIC_URL,
        "timings": config.timings,
        "dedicated_account": config.dedicated,
        "open_models": True,
        "result_cache": config.cache,
        "tasks": True,
    }
    known: dict[type[Any], Any] = {}

    def read(kind: type[Any]) -> Any:
        if kind not in known:
            given = {name: ours[name] for name in kind.kinds() if name in ours}
            known[kind] = kind(**({name: name for name in kind.required()} | given))
        return known[kind]

    return read


class InTurn:
    """Stands in for ThreadPoolExecutor: one after the other, so that a schedule can be replayed.

    A crash is everybody's: it is not kept in a future, but ends the run.
    """

    def __init__(self, _workers: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, do: Callable[..., Any], *args: Any) -> Future[Any]:
        """Do it now; an exception waits in the future."""
        future: Future[Any] = Future()
        try:
            future.set_result(do(*args))
        except Exception as error:  # noqa: BLE001 - what a thread does with it
            future.set_exception(error)
        return future

    def map(self, do: Callable[..., Any], *columns: Iterable[Any]) -> Iterator[Any]:
        """All of them, the first failure raised when its turn comes."""
        futures = [self.submit(do, *row) for row in zip(*columns, strict=False)]
        return (future.result() for future in futures)

    def shutdown(self, **_: bool) -> None:
        """Nothing is under way."""
