"""A running emulator, a client of it, and a receiver for its webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulator.server import Emulator, running
from tests.emulator.client import TOKEN, Client, Receiver, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with running(token=TOKEN, retry_scale=0.02, seed=1) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def shared_client(emulator: Emulator) -> Iterator[Client]:
    with Client(emulator.url) as client:
        yield client


@pytest.fixture
def client(shared_client: Client) -> Iterator[Client]:
    shared_client.faults()
    yield shared_client
    shared_client.delete("/_emulator/faults")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
