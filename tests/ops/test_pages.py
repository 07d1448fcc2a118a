"""The commands in the pages for operators."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from infra.config import StageConfig
from ops.__main__ import _parser
from tests.support.make import planned

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))


def commands(page: Path) -> list[str]:
    """Return the lines of a page's blocks of code."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_adversarial_l6_no_secret_is_typed_on_a_command_line(page: Path) -> None:
    """The shell's history keeps it, and every process of the machine can see it."""
    secret = re.compile(r"(?:^|\s)(?:export\s+)?\w*(?:TOKEN|SECRET|PASSWORD)=(?!\$)\S")
    assert [line for line in commands(page) if secret.search(line)] == []


SAID = {
    "aws-M8": ("deploy.md", 'CDK_FLAGS="--require-approval never"'),
    "aws-M5": ("deploy.md", "small_account"),
    "aws-M7": ("deploy.md", "python3.13"),
    "aws-L2": ("observability.md", "infrequent_access_log"),
    "aws-L4": ("scale.md", "set for each route"),
    "aws-L9-domain": ("deploy.md", "domain=Domain("),
    "aws-L9-memory": ("observability.md", "Max Memory Used"),
    "aws-L9-govcloud": ("deploy.md", "GovCloud"),
    "aws-L10": ("operations.md", "10 public keys and 10 key groups"),
    "oracles-F3": ("compatibility.md", "Vercel's AI SDK 5 and 6"),
    "oracles-N1": ("compatibility.md", "Darkroom-Cache: bypass"),
    "newcomer-friction-7": ("../README.md", "No licence has been chosen"),
    "newcomer-friction-8": ("deploy.md", "cors_origins"),
    "newcomer-friction-10": ("deploy.md", "alarm_emails"),
    "newcomer-bug-15": ("compatibility.md", "**`urls.web`** is the address of the prediction"),
    "newcomer-friction-4": ("callbacks.md", "`DARKROOM_LOCAL_CALLBACKS=1 make run`"),
    "newcomer-friction-14": ("deploy.md", "`CDK_FLAGS` are passed"),
    "newcomer-friction-15": ("callbacks.md", "**In no order.**"),
    "newcomer-friction-16": ("../README.md", "`KEEP=1 make run` keeps it"),
}
"""Required texts of a page, by the case in which they were missing."""


@pytest.mark.parametrize("case", SAID)
def test_a_page_says_what_was_missed(case: str) -> None:
    page, text = SAID[case]
    assert text in " ".join((ROOT / "docs" / page).read_text().split())


def test_newcomer_friction_4_the_switch_is_in_the_first_lines_of_the_page() -> None:
    begin = (ROOT / "docs" / "callbacks.md").read_text().partition("\n| event |")[0]
    assert "DARKROOM_LOCAL_CALLBACKS=1" in begin


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of_a_page_end_at_100_columns(page: Path) -> None:
    """Tables, which cannot be wrapped, and blocks of code are excluded."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    wide = [line for line in text.splitlines() if len(line) > 100 and not line.startswith("|")]
    assert wide == []


def test_newcomer_bug_15_doctors_sample_counts_the_functions_that_there_are() -> None:
    sample = re.search(r"functions: (\d+) are ready", (ROOT / "docs" / "operations.md").read_text())
    assert sample
    assert int(sample[1]) == len(StageConfig.dev().functions())


def test_what_the_pages_pass_to_cdk_arrives() -> None:
    """aws-M8: an unattended deployment."""
    command = planned("deploy", "STAGE=prod", "CDK_FLAGS=--require-approval never")
    assert command.rstrip().endswith("--require-approval never")


@pytest.mark.parametrize(("shell", "stage"), [({}, "dev"), ({"STAGE": "shop"}, "shop")])
def test_newcomer_friction_13_make_and_ops_mean_the_same_stage(
    shell: dict[str, str], stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STAGE", raising=False)
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    assert _parser().parse_args(["doctor"]).stage == stage
    assert f"stage={stage} " in planned("diff")


def test_newcomer_friction_13_outside_the_environment_it_says_so() -> None:
    command = [sys.executable, "-S", "-m", "ops", "doctor"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert ".venv/bin/python -m ops" in refused.stderr


@pytest.mark.parametrize("module", ["bench.io", "bench.scale"])
def test_newcomer_bug_12_the_pages_commands_need_no_pythonpath(module: str) -> None:
    shell = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, env=shell, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_newcomer_bug_13_pages_and_changelog_name_the_version_that_is_built() -> None:
    """Only pyproject.toml has it; a wheel of another version is a different one to pip."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    wheel = tomllib.loads((ROOT / "infra" / "pyproject.toml").read_text())
    assert "version" in wheel["project"]["dynamic"]
    assert wheel["tool"]["hatch"]["version"]["path"] == "../pyproject.toml"
    page = (ROOT / "docs" / "construct.md").read_text()
    assert set(re.findall(r"darkroom_cdk-(.+?)-py3", page)) == {version}
    upgrade = page.partition("## Upgrade")[2]
    assert upgrade.index("make wheel") < upgrade.index("pip install --upgrade dist/")
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", headings[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_operators_command_is_one(page: Path) -> None:
    """Commands in blocks of code can be typed unchanged, except for names in capitals."""
    found = [re.sub(r"\s+#.*|[|>;)].*", "", c.partition("-m ops ")[2]) for c in commands(page)]
    for command in filter(None, found):
        _parser().parse_args(shlex.split(command.partition(" < ")[0]))
