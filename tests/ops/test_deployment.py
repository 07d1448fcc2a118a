"""The account and region of the commands: those of the CDK command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from ops import cdn_key
from ops.__main__ import main
from ops.deployment import NotFoundError, find

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ops.stacks import Stacks

Announce = Callable[..., None]
REGIONS = ("AWS_REGION", "AMAZON_REGION", "AWS_DEFAULT_REGION")


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A shell without any region, whose profile names one."""
    for name in REGIONS:
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    config.write_text("[default]\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return monkeypatch


@pytest.mark.parametrize(
    ("exported", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AMAZON_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-north-1"}, "eu-west-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-north-1"}, "eu-north-1"),
        ({}, "us-east-1"),
    ],
)
def test_aws_h2_the_region_is_the_one_that_cdk_takes(
    shell: pytest.MonkeyPatch, exported: dict[str, str], region: str
) -> None:
    for name, value in exported.items():
        shell.setenv(name, value)
    found = find(local=False, stage="prod", table="controls")
    assert found.client("secretsmanager").meta.region_name == region


@pytest.mark.usefixtures("stacks")
def test_aws_h2_the_first_step_of_a_deployment_makes_the_key_where_the_stacks_will_be(
    shell: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As docs/deploy.md says: AWS_REGION alone."""
    shell.setenv("AWS_REGION", "eu-west-1")
    shell.setenv("AWS_CONFIG_FILE", os.devnull)
    with mock_aws():
        assert main(["setup", "--keys-only", "--parameter", "--stage", "prod"]) == 0
        assert capsys.readouterr().out.startswith("CdnPublicKey=-----BEGIN PUBLIC KEY-----")
        secrets = boto3.client("secretsmanager", region_name="eu-west-1").list_secrets()
        assert [s["Name"] for s in secrets["SecretList"]] == [cdn_key.secret_name("prod")]


def test_without_a_region_it_says_how_to_choose_one(
    shell: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.setenv("AWS_CONFIG_FILE", os.devnull)
    assert main(["keys", "list"]) == 1
    assert "export AWS_REGION=" in capsys.readouterr().err


def test_without_credentials_it_says_how_to_give_them(
    shell: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        shell.delenv(name)
    assert main(["keys", "list"]) == 1
    assert "export AWS_PROFILE=" in capsys.readouterr().err


# Embedded clouds of one checkout


@pytest.fixture
def announce(stacks: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Announce:
    """Writes an announcement as `make run` does."""
    stacks.outputs = {"Darkroom-local-Service": {"ControlsTable": "controls"}}
    monkeypatch.setenv("DARKROOM_STATE_DIR", str(tmp_path))

    def write(name: str, port: int, pid: int | None = None) -> None:
        told = {
            "base_url": f"http://127.0.0.1:{port}",
            "aws_endpoint": stacks.url,
            "replicate_url": f"http://127.0.0.1:{port}/replicate",
            "replicate_token": "r8_x",
            "pid": pid or os.getpid(),
        }
        (tmp_path / name).write_text(json.dumps(told))

    return write


def emulator(port: int | None = None) -> str | None:
    """Return the emulator that was found."""
    return find(local=True, port=port, stage="dev").emulator


def test_newcomer_bug_14_the_first_is_found_and_the_others_are_named(
    announce: Announce, capsys: pytest.CaptureFixture[str]
) -> None:
    announce("local.json", 9000)
    assert emulator() == emulator(9000) == "http://127.0.0.1:9000/replicate"
    assert capsys.readouterr().err == ""
    announce("local-8787.json", 8787)
    announce("local-8788.json", 8788)
    assert emulator() == "http://127.0.0.1:9000/replicate"
    assert capsys.readouterr().err == (
        "The embedded cloud on 9000. Also running: --local-port 8787 or --local-port 8788\n"
    )
    assert emulator(8788) == "http://127.0.0.1:8788/replicate"
    assert capsys.readouterr().err == ""


def test_newcomer_bug_14_without_the_first_nothing_is_guessed(
    announce: Announce, capsys: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    announce("local.json", 9000, pid=ended.pid)
    announce("local-8787.json", 8787)
    for arguments in (["keys", "list", "--local"], ["keys", "list", "--local-port", "9000"]):
        assert main(arguments) == 1
        assert "running" in (said := capsys.readouterr().err)
        assert said.endswith(". Also running: --local-port 8787\n")


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"aws_endpoint": "x"}'])
def test_what_is_no_announcement_announces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("DARKROOM_STATE_DIR", str(tmp_path))
    (tmp_path / "local.json").write_text(told)
    with pytest.raises(NotFoundError, match=r"^The embedded cloud is not running: start it with"):
        emulator()
