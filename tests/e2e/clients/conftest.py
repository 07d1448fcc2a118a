"""One https cloud on which all published clients are run once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.cloud import EmbeddedCloud
from tests.e2e.clients.published import drive

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def secure_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    state_dir = tmp_path_factory.mktemp("secure")
    with EmbeddedCloud(
        time_scale=0, state_dir=state_dir, tls=True, local_callbacks=True
    ) as running:
        yield running


@pytest.fixture(scope="package")
def results(
    secure_cloud: EmbeddedCloud, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, Any]]]:
    """The output of each client's script, by client."""
    return drive(secure_cloud, tmp_path_factory.mktemp("clients"))
