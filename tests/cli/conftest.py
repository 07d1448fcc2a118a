"""No test here reaches another machine; the few that start a process talk to this one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_socket import disable_socket, enable_socket

from tests.cli.fake import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_sockets(request: pytest.FixtureRequest) -> Iterator[None]:
    if "served" not in request.fixturenames:
        disable_socket()
    yield
    enable_socket()


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()
