"""The CDN's key pair outlives its stage, including one that is removed and deployed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.stage import local_stage
from ops import cdn_key
from ops.__main__ import main

if TYPE_CHECKING:
    from ops.deployment import Deployment
    from tests.ops.stacks import Stacks

STAGE = "dev"


def test_aws_m1_a_key_whose_secret_was_deleted_is_restored(deployment: Deployment) -> None:
    """Secrets Manager keeps a deleted secret for 30 days, including its name."""
    public, made = cdn_key.ensure(deployment, STAGE)
    assert made
    client = deployment.client("secretsmanager")
    client.delete_secret(SecretId=cdn_key.secret_name(STAGE))
    assert cdn_key.ensure(deployment, STAGE) == (public, False)
    assert "DeletedDate" not in client.describe_secret(SecretId=cdn_key.secret_name(STAGE))


def test_aws_m1_a_deleted_secret_without_a_value_gets_one(deployment: Deployment) -> None:
    client = deployment.client("secretsmanager")
    client.create_secret(Name=cdn_key.secret_name(STAGE))
    client.delete_secret(SecretId=cdn_key.secret_name(STAGE))
    public, made = cdn_key.ensure(deployment, STAGE)
    assert made
    assert cdn_key.public_half(cdn_key.read(deployment, STAGE)["private_key"]) == public


@pytest.mark.usefixtures("stacks")
def test_aws_m1_a_stage_that_was_taken_down_can_be_deployed_again(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first step of `make deploy STAGE=dev`."""
    first_step = ["setup", "--keys-only", "--parameter", "--stage", STAGE]
    assert main(first_step) == 0
    before = capsys.readouterr().out
    deployment.client("secretsmanager").delete_secret(SecretId=cdn_key.secret_name(STAGE))
    assert main(first_step) == 0
    assert capsys.readouterr().out == before


# Ownership of the key


def keys_only(*arguments: str) -> int:
    return main(["setup", "--keys-only", "--parameter", *arguments])


def made(deployment: Deployment) -> list[str]:
    secrets = deployment.client("secretsmanager").list_secrets()["SecretList"]
    return [secret["Name"] for secret in secrets if secret["Name"].startswith("darkroom/")]


@pytest.mark.usefixtures("stacks")
def test_newcomer_bug_5_a_typo_in_the_stage_makes_nothing(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys_only("--stage", "prdo") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "no stage 'prdo'; choose one of dev, prod, local" in told.err
    assert made(deployment) == []


def test_a_stage_of_an_app_of_ones_own_is_named_once(
    deployment: Deployment, stacks: Stacks
) -> None:
    assert keys_only("--stage", "photos") == 1
    assert keys_only("--stage", "photos", "--new") == 0
    assert made(deployment) == ["darkroom/photos/cdn-key"]
    assert keys_only("--stage", "photos") == 0
    stacks.outputs = {"Darkroom-shop-Service": {"ApiUrl": "x"}}
    assert keys_only("--stage", "shop") == 0


@pytest.mark.usefixtures("stacks")
def test_aws_l8_a_stage_without_a_cdn_gets_no_key(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its deployment has no parameter for a stack that does not exist."""
    assert local_stage().cdn is False
    assert keys_only("--stage", "local") == 0
    assert capsys.readouterr().out == ""
    assert made(deployment) == []
