"""The product's own functions, built over the gated doubles in place of the adapters."""

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
from darkroom.catalog import Catalogue
from darkroom.domain import link
from darkroom.handlers import relay
from darkroom.runtime import observability
from darkroom.runtime.adapters import Adapters
from darkroom.services.predictions import persist, reuse

from tests.support import fakes
from tests.support.fakes import FakeSigner
from tests.support.world import PUBLIC_URL, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from darkroom.runtime.function import Function

    from tests.proof.cloud import Cloud


@lru_cache
def _catalogue() -> Catalogue:
    """The product's models, and one that is billed by the megapixel."""
    folders = Path(catalog.__path__[0]), Path(__file__).parent / "models"
    files = (path for folder in folders for path in folder.glob("*--*.json"))
    return Catalogue({path.stem.replace("--", "/", 1): path for path in files}, {})


class Doubles(Adapters):
    """Returns the existing ports of a cloud; a name is the port's."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.ports = cloud.ports

    def clock(self) -> Callable[[], int]:
        return self.cloud.process_clock

    def dice(self) -> Callable[[], float]:
        return lambda: 0.5

    def seeds(self) -> Any:
        return SimpleNamespace(randint=lambda low, _high: low + len(self.cloud.submitted))

    def catalogue(self) -> Callable[[], Catalogue]:
        return _catalogue

    def predictions(self, table: str, controls: str = "") -> Any:
        return self.ports["store"]

    def controls(self, table: str) -> Any:
        return self.ports["controls"]

    def deliveries(self, table: str) -> Any:
        return self.ports["deliveries"]

    def uploads(self, bucket: str) -> Any:
        return self.ports["uploads"]

    def outputs(self, bucket: str, *, lazy: bool = False) -> Any:
        return self.ports["outputs"]

    def signer(self, outputs: str, uploads: str, endpoint: str) -> FakeSigner:
        return FakeSigner()

    def secrets(self, **names: str) -> Any:
        return self.ports["secrets"]

    def provider(self, url: str, secrets: object) -> Any:
        return self.ports["provider"]

    def queue(self, url: str, *, lazy: bool = False) -> Any:
        return self.ports.get(url) or self.ports[url.removesuffix("_queue")]

    def redelivery(self, url: str) -> Any:
        return self.queue(url)

    def dead_letters(self, url: str) -> Any:
        return self.ports["dead"]

    def bus(self, name: str, *, lazy: bool = False) -> Any:
        return self.ports["bus"]

    def tasks(self) -> Any:
        return self.ports["tasks"]

    def fetcher(self, hosts: tuple[str, ...], most: int, budget_s: float) -> Any:
        return self.ports["fetcher"]

    def sender(self, *, local: bool) -> Any:
        return self.ports["sender"]


def handler(function: Function[Any, Any], cloud: Cloud) -> Callable[[Any, Any], Any]:
    """Return a function's handler in this world, rebuilt for each run as after a cold start."""
    given = {
        "public_url": PUBLIC_URL,
        "timings": cloud.config.timings,
        "dedicated_account": cloud.config.dedicated,
        "open_models": True,
        "result_cache": cloud.config.cache,
        "tasks": True,
    }
    settings, doubles = named(function.settings, given), Doubles(cloud)

    def handle(event: Any, context: Any) -> Any:
        return function.handle(function.build(settings, doubles), event, context)

    return handle


@contextmanager
def installed(cloud: Cloud) -> Iterator[None]:
    """Install this world's ids, metrics, threads and logs, for which there is no adapter."""
    replaced: list[tuple[Any, str, Any]] = [
        (link, "new_id", lambda *_: f"{len(cloud.submitted) - 1:026d}"),
        (observability.metrics, "add_metric", cloud.count),
        (persist, "ThreadPoolExecutor", InTurn),
        (reuse, "ThreadPoolExecutor", InTurn),
        # Equal items are one object here, so each is read once.
        (relay, "read_prediction", cloud.store.read),
        (fakes, "prediction_item", cloud.store.item_of),
    ]
    off = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with ExitStack() as patches:
        for where, name, value in replaced:
            patches.enter_context(patch.object(where, name, value))
        yield
    logging.disable(off)


class InTurn:
    """Replaces ThreadPoolExecutor and works sequentially, so that a schedule can be replayed.

    A crash is not stored in a future: it ends the run.
    """

    def __init__(self, _workers: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, do: Callable[..., Any], *args: Any) -> Future[Any]:
        """Do it now; an exception is stored in the future."""
        future: Future[Any] = Future()
        try:
            future.set_result(do(*args))
        except Exception as error:  # noqa: BLE001 - what a thread does with it
            future.set_exception(error)
        return future

    def map(self, do: Callable[..., Any], *columns: Iterable[Any]) -> Iterator[Any]:
        """Do all of them; the first failure is raised at its turn."""
        futures = [self.submit(do, *row) for row in zip(*columns, strict=False)]
        return (future.result() for future in futures)

    def shutdown(self, **_: bool) -> None:
        """Nothing is in progress."""
