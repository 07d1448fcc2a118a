"""`python -m local run` as a process: it announces itself, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from local.cloud import EmbeddedCloud
from local.demo import CHOSEN
from local.doors import DOORS
from local.processes import ROOT, StartError, free_port, listen
from tests.e2e.logs import Logs
from tests.e2e.started import Started, refuses
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    runs: list[Started] = []

    def start(*arguments: str) -> Started:
        runs.append(Started(tmp_path, *arguments))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
        run.process.communicate()


def assert_nothing_left(run: Started, found: dict[str, Any]) -> None:
    until(lambda: not run.processes())
    for url in (found["base_url"], found["replicate_url"], found["aws_endpoint"]):
        assert refuses(url), url
    assert list((run.folder / "tmp").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_a_run_from_start_to_end(started: Callable[..., Started]) -> None:
    port = free_port()
    run = started("--port", str(port))
    found = run.announced()
    assert set(found) == {
        "base_url",
        "token",
        "replicate_url",
        "replicate_token",
        "aws_endpoint",
        "ca_file",
        "pid",
    }
    assert found["base_url"] == f"http://127.0.0.1:{port}"
    assert found["pid"] == run.process.pid
    assert run.processes()

    second = subprocess.run(
        [sys.executable, "-m", "local", "run", "--port", str(port)],
        cwd=ROOT,
        env=run.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.startswith(f"Port {port} is taken")
    assert len(second.stderr.splitlines()) == 1

    made = run.ops("keys", "create", "--tenant", "alice", "--local")
    token = made.stdout.splitlines()[-1]
    answer = httpx.get(
        f"{found['base_url']}/v1/predictions",
        headers={"Authorization": f"Token {token}"},
        trust_env=False,
        timeout=60,
    )
    assert (answer.status_code, answer.json()["results"]) == (200, [])

    code, out, err = run.end(signal.SIGTERM)
    assert code == 0, err
    assert found["token"] in out
    assert "another one at each start; KEEP=1 keeps" in out
    assert not (run.folder / "state" / "local.json").exists()
    assert_nothing_left(run, found)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_nothing_outlives_a_killed_run(started: Callable[..., Started]) -> None:
    run = started("--port", "0")
    found = run.announced()
    assert run.processes()
    run.end(signal.SIGKILL)
    assert_nothing_left(run, found)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_an_interrupted_start_leaves_nothing(started: Callable[..., Started]) -> None:
    run = started("--port", "0")
    run.until(lambda: len(run.processes()) > 1)
    code, _, err = run.end(signal.SIGINT)
    assert (code, err) == (0, "Stopped.\n")
    until(lambda: not run.processes())
    assert not (run.folder / "state" / "local.json").exists()
    assert list((run.folder / "tmp").iterdir()) == []


def test_newcomer_bug_14_two_clouds_of_one_checkout(started: Callable[..., Started]) -> None:
    first = started("--port", "0")
    told = first.announced()
    port = free_port()
    second = started("--port", str(port))
    beside = second.announced(f"local-{port}.json")
    assert beside["base_url"] == f"http://127.0.0.1:{port}"
    assert first.announced() == told
    state = first.folder / "state"
    logs = {path.name for path in (state / f"local-{port}" / "logs").iterdir()}
    assert logs >= {"aws.log", "front.log", "replicate.log"}
    create = ("keys", "create", "--tenant", "alice")
    found = first.ops(*create, "--local")
    assert f"--local-port {port}" in found.stderr
    named = first.ops(*create, "--local-port", str(port))
    for made, own, other in ((found, told, beside), (named, beside, told)):
        token = made.stdout.splitlines()[-1]
        assert [lets_in(cloud, token) for cloud in (own, other)] == [True, False]
    second.end(signal.SIGTERM)
    assert [path.name for path in state.glob("local*.json")] == ["local.json"]
    assert first.announced() == told
    assert lets_in(told, told["token"])


def lets_in(cloud: dict[str, Any], token: str) -> bool:
    answer = httpx.get(
        f"{cloud['base_url']}/v1/predictions",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


def test_newcomer_bug_1_a_kept_cloud_relays_at_once(tmp_path: Path) -> None:
    for start in range(2):
        with (
            EmbeddedCloud(time_scale=0, state_dir=tmp_path, keep=True) as cloud,
            httpx.Client(
                base_url=cloud.base_url,
                headers={"Authorization": f"Bearer {cloud.token}"},
                trust_env=False,
                timeout=60,
            ) as api,
        ):
            logs = Logs(cloud)
            created = api.post(
                "/v1/models/black-forest-labs/flux-schnell/predictions",
                json={"input": {"prompt": f"start {start}"}},
            ).json()
            path = f"/v1/predictions/{created['id']}"
            until(lambda: api.get(path).json()["status"] == "succeeded")  # noqa: B023
            relayed = [line.get("prediction") for line in logs.lines("Relay")]
            assert created["id"] in relayed, f"start {start}: only the sweep has found it"


def test_a_taken_port_is_said_in_one_line() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"^Port {port} is taken .* Try PORT={port + 1}\.$"):
            listen(port)


def test_the_demo_makes_a_picture_with_each_of_a_dozen_models(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local", "demo"],
        cwd=ROOT,
        env={**os.environ, "DARKROOM_STATE_DIR": str(tmp_path), "ALL": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = {path.name for path in (tmp_path / "demo").iterdir()}
    for model in CHOSEN:
        name = model.rpartition("/")[2]
        assert any(file.startswith(name) for file in files), model
        assert re.search(rf"{re.escape(model)} +succeeded", done.stdout), model
    lines = re.findall(r"(\S+)  \d+x\d+  sha256 [0-9a-f]{64}$", done.stdout, re.MULTILINE)
    pictures = {Path(line).name for line in lines}
    assert pictures | {"index.html"} == files
    sheet = (tmp_path / "demo" / "index.html").read_text()
    assert set(re.findall(r'<img src="([^"]+)"', sheet)) == pictures
    assert done.stdout.splitlines()[-1].endswith(os.path.relpath(tmp_path / "demo" / "index.html"))
    assert "12 of 12 models succeeded" in done.stdout
    for door in DOORS:
        assert any(file.startswith(f"door-{door.name}.") for file in files), door.name
        assert textwrap.indent(door.how, "    ") in done.stdout
    for made in ("flux-schnell-1.webp  1344x768", "real-esrgan.png  2688x1536"):
        assert made in done.stdout
    with Image.open(tmp_path / "demo" / "remove-background.png") as picture:
        assert picture.getchannel("A").getextrema() == (0, 255)
