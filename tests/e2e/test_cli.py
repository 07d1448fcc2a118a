"""The users' command against the embedded cloud, at a terminal and with pipes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shlex
import signal
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.e2e.waiting import until
from tests.support.terminal import COMMAND, ROOT, Terminal, run, shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.driver import Driver

PAGE = ROOT / "docs" / "cli.md"
SCHNELL = "black-forest-labs/flux-schnell"


@pytest.fixture
def environment(driver: Driver, tmp_path: Path) -> dict[str, str]:
    return shell(tmp_path, DARKROOM_URL=driver.cloud.base_url, DARKROOM_TOKEN=driver.cloud.token)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 48), "teal").save(path)
    return path


def one(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The only line of standard output, which is a JSON object."""
    (line,) = done.stdout.splitlines()
    return dict(json.loads(line))


def rows_in(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "results.csv").read_text(), newline="")))


def opened(folder: Path) -> list[str]:
    path = folder / "opened.txt"
    return path.read_text().split() if path.exists() else []


def test_a_key_is_typed_unseen_tried_and_kept(driver: Driver, tmp_path: Path) -> None:
    environment = shell(tmp_path)
    with Terminal(environment, "login", driver.cloud.base_url, cwd=tmp_path) as terminal:
        terminal.until("API key:")
        until(lambda: not terminal.echoes)
        terminal.type(f"{driver.cloud.token}\n")
        assert terminal.end() == 0, terminal.shown
    assert "local at 127.0.0.1" in terminal.shown
    assert driver.cloud.token not in terminal.shown
    kept = tmp_path / "config" / "darkroom" / "account.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert SCHNELL in run(environment, "models", cwd=tmp_path).stdout
    assert run(environment, "logout", cwd=tmp_path).returncode == 0
    refused = run(environment, "models", cwd=tmp_path)
    assert (refused.returncode, "darkroom login" in refused.stderr) == (2, True)


def test_a_key_that_is_not_valid_is_not_kept(driver: Driver, tmp_path: Path) -> None:
    environment = shell(tmp_path)
    refused = run(
        environment, "login", driver.cloud.base_url, "--key-stdin", cwd=tmp_path, stdin="dk_no\n"
    )
    assert refused.returncode == 3
    assert "401" in refused.stderr
    assert not (tmp_path / "config").exists()


def test_a_picture_is_made_watched_and_downloaded(
    driver: Driver, environment: dict[str, str], tmp_path: Path
) -> None:
    made = run(
        environment,
        *("generate", "flux-schnell", "a kite over dunes", "-i", "num_outputs=2"),
        *("-i", "output_format=png", "--tag", "kites", "--out", "pictures", "--json"),
        cwd=tmp_path,
    )
    assert made.returncode == 0, made.stderr
    shown = one(made)
    assert shown["input"]["num_outputs"] == 2
    files = shown["darkroom"]["files"]
    assert len(files) == 2
    for path, file in zip(shown["saved"], files, strict=True):
        content = (tmp_path / path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.format == "PNG"
    listed = run(environment, "list", "--tag", "kites", "--json", cwd=tmp_path)
    assert one(listed)["id"] == shown["id"]
    found = run(environment, "get", shown["id"], cwd=tmp_path)
    assert found.stdout.splitlines()[0] == f"{shown['id']} succeeded"
    assert "cost $0.006" in found.stdout
    # A viewer that notes what it is to show, as the system's would be found.
    (tmp_path / "xdg-open").write_text('#!/bin/sh\necho "$@" >> opened.txt\n')
    (tmp_path / "xdg-open").chmod(0o755)
    viewer = {**environment, "PATH": f"{tmp_path}:{environment['PATH']}"}
    assert run(viewer, "get", shown["id"], "--open", cwd=tmp_path).returncode == 0
    names = [f"{shown['id']}.png", f"{shown['id']}-2.png"]
    until(lambda: sorted(opened(tmp_path)) == sorted(names))


def test_a_picture_is_changed_and_enlarged(
    driver: Driver, environment: dict[str, str], photo: Path, tmp_path: Path
) -> None:
    edited = run(
        environment, "edit", photo.name, "make it a winter night", "-w", "--json", cwd=tmp_path
    )
    assert edited.returncode == 0, edited.stderr
    shown = one(edited)
    assert shown["model"] == "black-forest-labs/flux-kontext-pro"
    assert shown["input"]["input_image"].startswith(driver.cloud.base_url)
    larger = run(
        environment, "upscale", photo.name, "--scale", "2", "-o", "large", "--json", cwd=tmp_path
    )
    assert larger.returncode == 0, larger.stderr
    with Image.open(tmp_path / one(larger)["saved"][0]) as picture:
        assert picture.size == (128, 96)


def test_a_file_too_large_for_the_api_is_posted_to_the_bucket(
    environment: dict[str, str], tmp_path: Path
) -> None:
    # Noise cannot be compressed.
    Image.effect_noise((2400, 2400), 100).save(tmp_path / "large.png")
    assert (tmp_path / "large.png").stat().st_size > 4_500_000
    done = run(environment, "upscale", "large.png", "--scale", "1", "-w", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_codes_and_texts_of_what_goes_wrong(environment: dict[str, str], tmp_path: Path) -> None:
    def ended(*arguments: str, **changed: str) -> tuple[int, str]:
        done = run({**environment, **changed}, *arguments, cwd=tmp_path)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    code, text = ended("generate", "flux-schnell", "a fox", "-i", "num_output=2")
    assert (code, "num_outputs is" in text) == (2, True)
    code, text = ended("generate", "flux-schnell")
    assert (code, "needs prompt" in text) == (2, True)
    code, text = ended("generate", "no-such-model", "a fox")
    assert (code, "422" in text) == (3, True)
    assert ended("get", "a" * 26)[0] == 3
    assert ended("get", "../../v1/account")[0] == 2
    assert ended("list", "--status", "odd")[0] == 3
    assert ended("list", DARKROOM_TOKEN="dk_wrong")[0] == 3
    code, text = ended("login", "http://127.0.0.1:9", "--key-stdin", "--json")
    assert code == 2
    refused = run(shell(tmp_path), "login", "http://127.0.0.1:9", cwd=tmp_path, stdin="dk_x\n")
    assert (refused.returncode, "cannot be reached" in refused.stderr) == (4, True)


def test_a_failed_prediction_ends_with_1(environment: dict[str, str], tmp_path: Path) -> None:
    done = run(environment, "generate", "flux-schnell", "let a fox FAIL", "-w", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "failed" in done.stdout


def test_a_dry_run_tells_the_price_and_makes_nothing(
    driver: Driver, environment: dict[str, str], tmp_path: Path
) -> None:
    done = run(
        environment, "generate", "flux-schnell", "never made", "--dry-run", "--json", cwd=tmp_path
    )
    assert one(done) == {"most": 0.003}
    assert driver.made_of("never made") == []


def test_ctrl_c_of_a_watch_says_what_goes_on(
    driver: Driver, environment: dict[str, str], tmp_path: Path
) -> None:
    driver.faults(time_scale=5)
    with Terminal(
        environment, "generate", "flux-schnell", "a slow lighthouse", "--watch", cwd=tmp_path
    ) as terminal:
        terminal.until("starting")
        terminal.type("\x03")
        assert terminal.end() == 130, terminal.shown
    (id_,) = re.findall(r"The prediction goes on; `darkroom get (\w{26}) --out \.`", terminal.shown)
    driver.faults()
    found = run(environment, "get", id_, "--out", ".", "--json", cwd=tmp_path)
    assert one(found)["status"] == "succeeded"


def test_a_prediction_is_cancelled(
    driver: Driver, environment: dict[str, str], tmp_path: Path
) -> None:
    driver.faults(time_scale=1000)
    made = run(environment, "generate", "flux-schnell", "never wanted", "--json", cwd=tmp_path)
    id_ = one(made)["id"]
    assert run(environment, "cancel", id_, cwd=tmp_path).returncode == 0
    ended = run(environment, "get", id_, "--watch", "--json", cwd=tmp_path)
    assert (ended.returncode, one(ended)["status"]) == (1, "canceled")


# batch


def prompts(path: Path, word: str, count: int) -> list[str]:
    """Write that many rows; return their prompts."""
    texts = [f"{word} number {number}" for number in range(count)]
    path.write_text("prompt,output_format\n" + "".join(f"{text},png\n" for text in texts))
    return texts


def assert_whole(driver: Driver, folder: Path, texts: list[str]) -> None:
    """Each row was created once upstream, and has its whole file; there is nothing else."""
    assert [len(driver.made_of(text)) for text in texts] == [1] * len(texts)
    rows = rows_in(folder)
    assert [row["status"] for row in rows] == ["succeeded"] * len(texts)
    assert {path.name for path in folder.iterdir()} == {
        "results.csv",
        *(row["files"] for row in rows),
    }
    for row in rows:
        (file,) = driver.shown(row["prediction"])["darkroom"]["files"]
        content = (folder / row["files"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]


def test_a_batch_killed_in_the_middle_goes_on(
    driver: Driver, environment: dict[str, str], tmp_path: Path
) -> None:
    texts = prompts(tmp_path / "rows.csv", "a killed heron", 14)
    journal = tmp_path / "out.journal.jsonl"
    command = ("batch", "rows.csv", "-m", "flux-schnell", "-o", "out", "--at-once", "4", "--json")

    def lines(kind: str) -> int:
        return journal.read_text().count(f'"do": "{kind}"') if journal.exists() else 0

    # After the first creates, then after the first files.
    for kind, count in (("made", 2), ("end", 5)):
        with Terminal(environment, *command, cwd=tmp_path) as terminal:
            until(lambda: lines(kind) >= count)  # noqa: B023
            assert terminal.kill(signal.SIGKILL) == -signal.SIGKILL
    assert lines("end") < len(texts), "it was over before it was killed"
    done = run(environment, *command, "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(row["row"] for row in told) == list(range(1, 15))
    assert_whole(driver, tmp_path / "out", texts)


def test_ctrl_c_of_a_batch_says_what_goes_on(
    driver: Driver, environment: dict[str, str], tmp_path: Path
) -> None:
    driver.faults(time_scale=2)
    texts = prompts(tmp_path / "rows.csv", "a stopped heron", 6)
    journal = tmp_path / "out.journal.jsonl"
    command = ("batch", "rows.csv", "-m", "flux-schnell", "-o", "out")
    with Terminal(environment, *command, cwd=tmp_path) as terminal:
        terminal.until("making")
        until(lambda: journal.exists() and '"made"' in journal.read_text())
        terminal.type("\x03")
        assert terminal.end() == 130, terminal.shown
    again = re.findall(r"The predictions go on; `darkroom (.+)` finds them", terminal.shown)
    assert again == [" ".join([*command, "--resume"])]
    driver.faults()
    done = run(environment, *again[0].split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 of 6 rows succeeded" in done.stdout
    assert_whole(driver, tmp_path / "out", texts)


def test_a_bad_row_stops_a_batch_before_it_begins(
    driver: Driver, environment: dict[str, str], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("prompt,num_outputs\na sound heron,1\na lame heron,nine\n")
    command = ("batch", "rows.csv", "-m", "flux-schnell", "-o", "out")
    refused = run(environment, *command, cwd=tmp_path)
    assert refused.returncode == 2
    assert "line 3 (row 2), column num_outputs: is a whole number" in refused.stderr
    assert driver.made_of("a sound heron") == []
    priced = run(environment, *command, "--keep-going", "--dry-run", cwd=tmp_path)
    assert "1 rows: $0.003 at most" in priced.stdout
    done = run(environment, *command, "--keep-going", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_whole(driver, tmp_path / "out", ["a sound heron"])


# docs/cli.md


def test_every_command_of_the_page_does_what_it_says(
    driver: Driver, environment: dict[str, str], photo: Path, tmp_path: Path
) -> None:
    """In order, in one folder, with this cloud's address, and an id that there is."""
    driver.run("a picture for the page")
    id_ = driver.api.get("/v1/predictions", params={"limit": "1"}).json()["results"][0]["id"]
    for name in ("key.txt", "prompts.csv", "prompts.jsonl"):
        (tmp_path / name).write_text(file_of(name))
    (tmp_path / "key.txt").write_text(driver.cloud.token)
    Image.new("L", (64, 48), 255).save(tmp_path / "door.png")
    (tmp_path / "bin").mkdir()
    launcher = tmp_path / "bin" / "darkroom"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    launcher.chmod(0o755)
    named = {"PATH": f"{tmp_path / 'bin'}:{environment['PATH']}"}
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    commands = [line for block in blocks for line in block.splitlines()]
    commands = [line for line in commands if line.startswith("darkroom ")]
    assert len(commands) > 15
    for shown in commands:
        here = shown.replace("https://images.example.com", driver.cloud.base_url)
        line = re.sub(r"\b[0-9a-z]{26}\b", id_, here.replace(" --open", " --watch"))
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=tmp_path,
            env={**environment, **named},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)


def file_of(name: str) -> str:
    """A file that the page shows, below a line with its name; empty if it shows none."""
    pattern = rf"^`{re.escape(name)}` .*?^```\n(.*?)^```"
    found = re.search(pattern, PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return found[1] if found else ""
