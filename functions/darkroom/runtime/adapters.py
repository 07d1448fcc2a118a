"""Creates the adapters that a function is built with; the only module that imports them.

Each is imported where it is created, so that a function loads only its own.
"""

from __future__ import annotations

import os
import random
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from darkroom.runtime.function import INITIALIZATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom import ports
    from darkroom.aws.secrets import SecretsManagerStore
    from darkroom.catalog import Catalogue


def now() -> int:
    """Return the milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Adapters:
    """Creates the implementations of the ports in a deployed stack; tests and the proof create
    doubles.

    The arguments are values of the function's settings. With `lazy`, the client is created at the
    first call, because most invocations do not use it.
    """

    def clock(self) -> ports.Clock:
        return now

    def sleep(self) -> Callable[[float], object]:
        """Return a function that waits for a number of seconds."""
        return time.sleep

    def dice(self) -> Callable[[], float]:
        """Return a source of numbers from 0 to 1, for jitter."""
        return random.random

    def seeds(self) -> random.Random:
        """Return the generator of predictions' seeds."""
        return random.SystemRandom()

    def catalogue(self) -> Callable[[], Catalogue]:
        """Return a function that loads the models at the first call."""
        from darkroom.catalog import Catalogue

        return lru_cache(Catalogue.load)

    def predictions(self, table: str, controls: str = "") -> ports.PredictionStore:
        """`controls` is the table of the rows that change with a record, if the function writes."""
        from darkroom.aws.clients import client
        from darkroom.aws.predictions import DynamoPredictions

        return DynamoPredictions(client("dynamodb"), table, controls)

    def controls(self, table: str) -> ports.Controls:
        from darkroom.aws.clients import client
        from darkroom.aws.controls import DynamoControls

        return DynamoControls(client("dynamodb"), table)

    def deliveries(self, table: str) -> ports.DeliveryStore:
        from darkroom.aws.clients import client
        from darkroom.aws.deliveries import DynamoDeliveries

        return DynamoDeliveries(client("dynamodb"), table)

    def uploads(self, bucket: str) -> ports.UploadStore:
        from darkroom.aws.clients import LazyClient
        from darkroom.aws.s3 import S3Uploads

        return S3Uploads(LazyClient("s3"), bucket)

    def forms(self, bucket: str, endpoint: str) -> ports.UploadForms:
        from darkroom.aws.clients import client
        from darkroom.aws.s3 import S3Forms

        return S3Forms(client("s3", endpoint or None), bucket)

    def outputs(self, bucket: str, *, lazy: bool = False) -> ports.OutputStore:
        from darkroom.aws.clients import LazyClient, client
        from darkroom.aws.s3 import S3Outputs

        return S3Outputs(LazyClient("s3") if lazy else client("s3"), bucket)

    def signer(self, outputs: str, uploads: str, endpoint: str) -> ports.Signer:
        from darkroom.aws.clients import LazyClient
        from darkroom.aws.s3 import S3Signer

        return S3Signer(LazyClient("s3", endpoint or None), outputs, uploads)

    def cdn_signer(
        self, domain: str, key_name: str, inputs: ports.Signer, *, lazy: bool
    ) -> ports.Signer:
        """Return a signer of outputs' URLs at the CDN, and of inputs' like `inputs`."""
        from darkroom.aws.cdn import CdnSigner

        made = lru_cache(lambda: _secrets(cdn_name=key_name))
        if not lazy and INITIALIZATION in os.environ:
            made()
        return CdnSigner(domain, lambda: made().cdn_key(), inputs, self.clock())

    def secrets(self, **names: str) -> ports.Secrets:
        """Return the secrets of these names, `token_name=…`; on Lambda they are read before the
        first event."""
        return _secrets(**names)

    def provider(self, url: str, secrets: ports.Secrets) -> ports.Provider:
        from darkroom.outbound.http import Client
        from darkroom.replicate.client import Replicate

        return Replicate(Client(), url, secrets)

    def masks(self) -> Callable[[], ports.Masks]:
        """Loads Pillow at the first call."""

        def load() -> ports.Masks:
            from darkroom.pictures.masks import PillowMasks

            return PillowMasks()

        return load

    def thumbnails(self) -> ports.Thumbnails:
        from darkroom.pictures.thumbnails import PillowThumbnails

        return PillowThumbnails()

    def previews(self) -> ports.Previews:
        from darkroom.outbound.http import Client
        from darkroom.outbound.previews import UrlPreviews

        return UrlPreviews(Client())

    def queue(self, url: str, *, lazy: bool = False) -> ports.Queue:
        from darkroom.aws.clients import LazyClient, client
        from darkroom.aws.queues import SqsQueue

        return SqsQueue(LazyClient("sqs") if lazy else client("sqs"), url)

    def redelivery(self, url: str) -> ports.Redelivery:
        """Return the queue from which the function gets its messages."""
        from darkroom.aws.clients import client
        from darkroom.aws.queues import SqsQueue

        return SqsQueue(client("sqs"), url)

    def dead_letters(self, url: str) -> ports.DeadLetters:
        from darkroom.aws.clients import client
        from darkroom.aws.queues import SqsDeadLetters

        return SqsDeadLetters(client("sqs"), url)

    def bus(self, name: str, *, lazy: bool = False) -> ports.EventBus:
        from darkroom.aws.clients import LazyClient, client
        from darkroom.aws.queues import EventBridgeBus

        return EventBridgeBus(LazyClient("events") if lazy else client("events"), name)

    def tasks(self) -> ports.Tasks:
        from darkroom.aws.clients import LazyClient
        from darkroom.aws.stepfunctions import StepFunctionsTasks

        return StepFunctionsTasks(LazyClient("stepfunctions"))

    def fetcher(self, hosts: tuple[str, ...], most: int, budget_s: float) -> ports.Fetcher:
        """Return a fetcher of files of at most `most` bytes from these hosts only."""
        from darkroom.outbound.download import OutputFetcher, output_guard
        from darkroom.outbound.http import Client

        return OutputFetcher(Client(output_guard(hosts)), hosts, most, budget_s)

    def sender(self, *, local: bool) -> ports.CallbackSender:
        """Return a sender to clients' webhooks; with `local` also to those on this machine."""
        from darkroom.outbound.download import Callbacks, callback_guard
        from darkroom.outbound.http import Client

        return Callbacks(Client(callback_guard(local=local)), local)


def _secrets(**names: str) -> SecretsManagerStore:
    from darkroom.aws.clients import client
    from darkroom.aws.secrets import SecretsManagerStore

    made = SecretsManagerStore(client("secretsmanager"), **names)
    if INITIALIZATION in os.environ:
        made.read_ahead()
    return made
