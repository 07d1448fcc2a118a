"""One embedded cloud for all tests here: models take no time, recovery takes seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local.cloud import EmbeddedCloud
from tests.e2e.canary import leaks
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
def announced(
    cloud: EmbeddedCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> EmbeddedCloud:
    """The cloud, announced as by `make run`, which `--local` finds."""
    found = {
        "aws_endpoint": cloud.aws_endpoint,
        "replicate_url": cloud.replicate_url,
        "replicate_token": cloud.replicate_token,
    }
    (tmp_path / "local.json").write_text(json.dumps(found))
    monkeypatch.setenv("DARKROOM_STATE_DIR", str(tmp_path))
    return cloud


@pytest.fixture
def anyone(cloud: EmbeddedCloud) -> Iterator[httpx.Client]:
    """A client of the front port without a token."""
    with httpx.Client(base_url=cloud.base_url, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def api(cloud: EmbeddedCloud) -> Iterator[httpx.Client]:
    """A client of the front port with the local key."""
    headers = {"Authorization": f"Bearer {cloud.token}"}
    with httpx.Client(
        base_url=cloud.base_url, headers=headers, trust_env=False, timeout=60
    ) as client:
        yield client


@pytest.fixture
def set_faults(cloud: EmbeddedCloud) -> Iterator[Callable[..., None]]:
    """Replaces the provider's faults, which are removed after the test."""
    with httpx.Client(base_url=cloud.replicate_url, trust_env=False) as emulator:

        def put(**faults: Any) -> None:
            answer = emulator.put("/_emulator/faults", json={"time_scale": 0, **faults})
            assert answer.status_code == 200, answer.text

        yield put
        emulator.delete("/_emulator/faults")
        put()


@pytest.fixture
def upstream(cloud: EmbeddedCloud) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Returns every prediction that the provider ever made."""
    with httpx.Client(base_url=cloud.replicate_url, trust_env=False) as emulator:
        yield lambda: list(emulator.get("/_emulator/predictions").json())


@pytest.fixture
def finished(api: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Polls a prediction until it ends."""

    def ended(id_: str) -> dict[str, Any] | None:
        answer = api.get(f"/v1/predictions/{id_}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return None if shown["status"] in {"starting", "processing"} else shown

    return lambda id_: dict(until(lambda: ended(id_)))
