"""One embedded cloud for all tests here: models take no time, recovery takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.cloud import EmbeddedCloud
from tests.e2e.canary import leaks
from tests.e2e.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    state_dir = tmp_path_factory.mktemp("cloud")
    with EmbeddedCloud(time_scale=0, state_dir=state_dir, local_callbacks=True) as running:
        yield running
        # All logs of the run, whatever the tests were.
        assert leaks(running) == []


@pytest.fixture
def driver(cloud: EmbeddedCloud) -> Iterator[Driver]:
    """A client and operator of the cloud; what it makes fail is as before after the test."""
    with Driver(cloud) as driver:
        yield driver


@pytest.fixture
def announced(driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cloud is announced as `make run` does, so that `--local` finds it."""
    driver.announce(tmp_path)
    monkeypatch.setenv("DARKROOM_STATE_DIR", str(tmp_path))
