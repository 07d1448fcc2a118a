"""The workflows of GitHub Actions: pinned, with the least rights, approved, without any key."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*"))
GUIDE = ROOT / "docs" / "guides" / "deploy-from-github.md"
ON = True
"""YAML 1.1, which PyYAML reads, parses the word `on` as true."""


def read(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return found


TEST, DEPLOY = (read(ROOT / ".github" / "workflows" / f"{name}.yml") for name in ("test", "deploy"))


def steps(workflow: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", [])


def test_there_are_two() -> None:
    assert [path.name for path in FILES] == ["deploy.yml", "test.yml"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_and_named_by_its_version(path: Path) -> None:
    used = re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE)
    assert used
    for action in used:
        ours = action.startswith("./.github/workflows/")
        assert ours or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", action), action


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_key_is_kept(path: Path) -> None:
    text = path.read_text()
    assert "secrets" not in text
    assert not re.search(r"aws-(access|secret|session)|AWS_(ACCESS|SECRET|SESSION)", text)
    assert not re.search(r"AKIA|ASIA|r8_|dk_", text)
    for step in steps(read(path)):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_that_somebody_types_becomes_a_part_of_a_command(path: Path) -> None:
    assert [step["run"] for step in steps(read(path)) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_permissions_are_the_least(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for name, job in workflow["jobs"].items():
        wanted = {"contents": "read"}
        if any("configure-aws" in step.get("uses", "") for step in job.get("steps", [])):
            wanted["id-token"] = "write"
        assert job.get("permissions", workflow["permissions"]) == wanted, name
        assert "timeout-minutes" in job or "uses" in job, name


def test_pull_requests_are_tested_without_the_rights_of_the_repository() -> None:
    """`pull_request_target` would run foreign code with them."""
    assert TEST[ON].keys() == {"pull_request", "push", "workflow_call"}
    assert [step["run"] for step in steps(TEST) if "run" in step] == ["make test"]
    assert DEPLOY[ON].keys() == {"workflow_dispatch"}


def test_a_deployment_is_tested_shown_and_approved() -> None:
    jobs = DEPLOY["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
    assert (jobs["diff"]["needs"], jobs["deploy"]["needs"]) == ("test", "diff")
    assert jobs["deploy"]["environment"] == "${{ inputs.stage }}"
    commands = {
        name: [step["run"] for step in job.get("steps", []) if "run" in step]
        for name, job in jobs.items()
    }
    assert "make diff" in "".join(commands["diff"])
    assert [name for name, each in commands.items() if "make deploy" in "".join(each)] == ["deploy"]
    assert "environment" not in jobs["diff"]


def test_the_role_that_looks_is_another_than_the_one_that_deploys() -> None:
    taken = {
        name: step["with"]["role-to-assume"]
        for name, job in DEPLOY["jobs"].items()
        for step in job.get("steps", [])
        if "configure-aws" in step.get("uses", "")
    }
    assert taken == {
        "diff": "${{ vars.AWS_DIFF_ROLE }}",
        "deploy": "${{ vars.AWS_DEPLOY_ROLE }}",
    }


def test_stages_to_choose_from_are_those_of_the_app() -> None:
    from infra.config import StageConfig

    for stage in DEPLOY[ON]["workflow_dispatch"]["inputs"]["stage"]["options"]:
        assert StageConfig.named(stage).name == stage


def test_the_guides_policies_let_in_one_environment_and_to_what_a_deployment_calls() -> None:
    page = GUIDE.read_text()
    blocks = re.findall(r"^   ```json\n(.*?)^   ```", page, re.DOTALL | re.MULTILINE)
    trust, rights = (json.loads(block)["Statement"] for block in blocks)
    (statement,) = trust
    condition = statement["Condition"]["StringEquals"]
    issuer = "token.actions.githubusercontent.com"
    assert condition[f"{issuer}:aud"] == "sts.amazonaws.com"
    assert re.fullmatch(r"repo:[^*]+:environment:prod", condition[f"{issuer}:sub"])
    allowed = {
        action
        for each in rights
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    assert "*" not in "".join(allowed)
    called = re.findall(
        r"\.(create_secret|put_secret_value|restore_secret|get_secret_value)\(",
        "".join((ROOT / "ops" / f"{name}.py").read_text() for name in ("cdn_key", "deployment")),
    )
    names = {"secretsmanager:" + "".join(map(str.title, call.split("_"))) for call in called}
    assert names | {"sts:AssumeRole", "cloudformation:DescribeStacks"} == allowed
